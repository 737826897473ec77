//! HTTP on a bare socket: tests here look at what really crosses the wire, and say things no polite client would.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How long any answer may take before a test is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub struct Connection(BufReader<TcpStream>);

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Sends bytes as they are; answers whether the other side took them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.get_mut().write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads one answer to a request that was not HEAD.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer(true).await.expect("an answer")
    }

    /// Reads one answer; `None` when the other side closed instead.
    pub async fn try_answer(&mut self, has_body: bool) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read(has_body)).await.expect("an answer in time")
    }

    async fn read(&mut self, has_body: bool) -> Option<Answer> {
        let line = self.line().await?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if has_body {
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.ok()?;
            answer.body = String::from_utf8(body).unwrap();
        }
        Some(answer)
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line).await {
            Ok(1..) => Some(line.trim_end().to_owned()),
            Ok(0) | Err(_) => None,
        }
    }

    /// Waits until the other side closes.
    pub async fn closed(&mut self) {
        let mut rest = Vec::new();
        let end = self.0.read_to_end(&mut rest);
        let _ = tokio::time::timeout(PATIENCE, end).await.expect("the other side closes");
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: autoheal.test\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT") {
        head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// One request on a connection of its own.
pub async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Answer {
    let mut connection = Connection::open(address).await;
    connection.send(request(method, path, headers, body)).await;
    connection.try_answer(method != "HEAD").await.expect("an answer")
}

/// GET.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    call(address, "GET", path, &[], "").await
}

/// POST.
pub async fn post(address: SocketAddr, path: &str, body: impl AsRef<[u8]>) -> Answer {
    call(address, "POST", path, &[], body).await
}
