//! Containers through the Docker Engine API.

use std::path::PathBuf;

/// How one Docker host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerHost {
    /// The name rules use.
    pub name: String,
    /// `unix:///path`, `tcp://host:port` or `http(s)://host:port`.
    pub address: String,
    /// Client certificate and authority for `tcp://` with TLS.
    pub tls: Option<DockerTls>,
}

/// Files for TLS to an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerTls {
    /// Authority that signed the engine's certificate (PEM).
    pub ca_file: PathBuf,
    /// Our certificate (PEM).
    pub cert_file: PathBuf,
    /// Our key (PEM).
    pub key_file: PathBuf,
}
