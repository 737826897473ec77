//! `autoheal healthcheck`: for images without a shell or curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::say::say;
use super::{Exit, Flags};
use crate::config::{LISTEN_ADDRESS, listen_address};
use crate::web::server;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Answers to a health check are short.
const MAX_ANSWER: u64 = 4096;

/// Asks `/-/healthy` of the daemon this machine's flags would start.
pub fn run(flags: &Flags) -> Exit {
    let address = flags.listen_address.as_deref().unwrap_or("127.0.0.1:9099");
    let Some(address) = listen_address(address).map(reachable) else {
        say(format_args!("nobody can listen on --listen-address {address:?}: {LISTEN_ADDRESS}"));
        return Exit::Usage;
    };
    match ask(address) {
        Ok(()) => Exit::Success,
        Err(error) => {
            say(format_args!("http://{address}/-/healthy: {error}"));
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

/// One plain HTTP exchange over the standard library: the health check runs every few seconds and should cost nothing. It
/// has neither a user's password nor a client certificate, so a daemon that asks for one has shown that it lives.
fn ask(address: SocketAddr) -> std::io::Result<()> {
    use std::io::{Error, Read, Write};
    let mut stream = std::net::TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /-/healthy HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // What came before an error still counts.
    if let Err(error) = stream.take(MAX_ANSWER).read_to_end(&mut answer)
        && answer.is_empty()
    {
        return Err(error);
    }
    let answer = String::from_utf8_lossy(&answer);
    if is_alive(&answer) {
        return Ok(());
    }
    Err(Error::other(format!("answered {:?}", answer.lines().next().unwrap_or_default())))
}

/// Whether an answer is a living daemon's: 200; 401 where users are configured; or 400 where TLS is.
fn is_alive(answer: &str) -> bool {
    let status = answer.strip_prefix("HTTP/1.1 ").unwrap_or_default();
    status.starts_with("200 ")
        || status.starts_with("401 ")
        || status.starts_with("400 ") && answer.contains(server::WANTS_TLS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_asks_who_is_there_is_alive() {
        for (answer, alive) in [
            ("HTTP/1.1 200 OK\r\n\r\nOK", true),
            ("HTTP/1.1 401 Unauthorized\r\n\r\nUnauthorized", true),
            ("HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", true),
            ("HTTP/1.1 400 Bad Request\r\n\r\n", false),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(is_alive(answer), alive, "{answer:?}");
        }
    }
}
