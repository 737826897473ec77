//! A small web server, with or without TLS, that answers whatever it is told to, and remembers who asked how.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::pki::Authority;

/// What it answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status and a body.
    Say(u16, String),
    /// A redirect to another address.
    Send(String),
    /// The beginning of a body that is announced to be longer.
    Break,
    /// Nothing, ever.
    Hang,
}

/// A running server; it ends with this value.
pub struct Site {
    pub address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Site {
    /// Plain HTTP.
    pub async fn start(answer: Answer) -> Self {
        Self::serve(answer, None).await
    }

    /// HTTPS with a certificate of this authority, for clients that show one of the same.
    pub async fn with_tls(answer: Answer, authority: &Authority, wants_client: bool) -> Self {
        Self::serve(answer, Some(authority.acceptor(wants_client))).await
    }

    async fn serve(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, requests) = (Arc::new(Mutex::new(answer)), Arc::new(Mutex::new(Vec::new())));
        let (answers, heard) = (Arc::clone(&answer), Arc::clone(&requests));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, heard, tls) = (Arc::clone(&answers), Arc::clone(&heard), tls.clone());
                open.spawn(async move {
                    match tls {
                        None => talk(stream, &answers, &heard).await,
                        // A client that trusts nobody leaves during the handshake.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, &answers, &heard).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, answer, requests, _serving: serving }
    }

    /// Changes what it answers from now on.
    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &Mutex<Answer>, requests: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    requests.lock().unwrap().push(String::from_utf8(head).unwrap());
    let answer = answer.lock().unwrap().clone();
    let text = match answer {
        Answer::Hang => return std::future::pending().await,
        Answer::Say(status, body) => {
            format!("HTTP/1.1 {status} So\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        }
        Answer::Send(to) => {
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Answer::Break => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf".to_owned(),
    };
    // A client may have gone.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
