//! How a server is reached that actions speak to by HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;

use crate::secret::Secret;
use crate::tls::{ClientTls, TlsError};

/// One server.
#[derive(Debug, Clone)]
pub struct HttpServer {
    /// The name rules use.
    pub name: String,
    /// Its address; paths of rules start behind its path.
    pub address: Url,
    /// Who we are there.
    pub auth: HttpAuth,
    /// Headers for every request; they may be credentials.
    pub headers: BTreeMap<String, Secret>,
    /// Whom we trust and what we show.
    pub tls: ClientTls,
    /// Requests go through here; it may carry a password.
    pub proxy: Option<Secret>,
    /// How long things may take.
    pub times: HttpTimes,
}

/// Who we are on a server.
#[derive(Debug, Clone, Default)]
pub enum HttpAuth {
    /// Nobody, or whoever the headers say.
    #[default]
    None,
    /// A user with a password or a token in its place.
    Basic {
        /// The user's name.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpTimes {
    /// Until a connection stands.
    pub connect: Duration,
    /// A whole answer.
    pub request: Duration,
    /// How long after a start whose answer was lost a job may still appear.
    pub lost_answer: Duration,
    /// How long a job may wait in the queue.
    pub queued: Duration,
    /// The longest pause between two looks at a job.
    pub longest_poll: Duration,
}

impl Default for HttpTimes {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(30),
            lost_answer: Duration::from_mins(2),
            queued: Duration::from_mins(10),
            longest_poll: Duration::from_secs(15),
        }
    }
}

/// A server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum HttpServerError {
    /// A TLS option cannot be used.
    #[error("http server {server}: {source}")]
    Tls {
        /// The server's name or address.
        server: String,
        /// What is wrong.
        source: TlsError,
    },
    /// The proxy's address is none.
    #[error("http server {server}: proxy is not an address such as http://proxy.example.com:3128")]
    Proxy {
        /// The server's name.
        server: String,
    },
    /// A value that no header can carry.
    #[error("http server {server}: the value of header {name} has characters that no header can carry")]
    Header {
        /// The server's name.
        server: String,
        /// The header.
        name: String,
    },
}
