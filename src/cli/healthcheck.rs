//! `autoheal healthcheck`: for images without a shell or curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::{Exit, Flags};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks `/-/healthy` of the daemon this machine's flags would start.
pub fn run(flags: &Flags) -> Exit {
    let address = flags.listen_address.as_deref().unwrap_or("127.0.0.1:9099");
    let address = match address.parse::<SocketAddr>() {
        Ok(address) => reachable(address),
        Err(error) => {
            eprintln!("autoheal: --listen-address {address:?}: {error}; write for example 127.0.0.1:9099");
            return Exit::Usage;
        }
    };
    match ask(address) {
        Ok(()) => Exit::Success,
        Err(error) => {
            eprintln!("autoheal: http://{address}/-/healthy: {error}");
            Exit::Failure
        }
    }
}

/// A daemon that listens everywhere is asked on loopback.
const fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// One plain HTTP exchange over the standard library: the health check runs every few seconds and should cost nothing.
fn ask(address: SocketAddr) -> std::io::Result<()> {
    use std::io::{Error, Read, Write};
    let mut stream = std::net::TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /-/healthy HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer)?;
    let status = String::from_utf8_lossy(&answer[..length]);
    let status = status.lines().next().unwrap_or_default();
    if status.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(Error::other(format!("answered {status:?}"))) }
}
