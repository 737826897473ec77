//! A small forward proxy: passes requests with a whole address on, opens tunnels for CONNECT, and may ask for a password.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A running proxy; it ends with this value.
pub struct Proxy {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Proxy {
    /// For whoever shows this user and password.
    pub async fn start(user: &str, password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wanted = format!("proxy-authorization: Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, wanted) = (Arc::clone(&heard), wanted.clone());
                // Either side may leave at any time.
                open.spawn(async move { pass_on(stream, &heard, &wanted).await.unwrap_or_default() });
            }
        });
        Self { address, requests, _serving: serving }
    }

    /// The first line of what came on each connection.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn pass_on(mut client: TcpStream, requests: &Mutex<Vec<String>>, wanted: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    let line = text.lines().next().unwrap_or_default().to_owned();
    requests.lock().unwrap().push(line.clone());
    if !text.lines().any(|line| line.eq_ignore_ascii_case(wanted)) {
        let no = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(no.as_bytes()).await;
    }
    let (method, rest) = line.split_once(' ').unwrap_or_default();
    let to = rest.trim_start_matches("http://").split(['/', ' ']).next().unwrap_or_default();
    let mut server = TcpStream::connect(to).await?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    } else {
        // Servers take a whole address as well.
        server.write_all(&head).await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}
