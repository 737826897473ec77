//! Docker hosts as configured, checked before anything connects.

use std::path::PathBuf;

use http::Uri;

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

impl DockerTls {
    /// The three files as Docker's own client expects them in `DOCKER_CERT_PATH`.
    #[must_use]
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            ca_file: directory.join("ca.pem"),
            cert_file: directory.join("cert.pem"),
            key_file: directory.join("key.pem"),
        }
    }
}

impl DockerHost {
    /// Where an engine listens when nobody says otherwise.
    pub const DEFAULT_ADDRESS: &'static str = "unix:///var/run/docker.sock";

    /// The host Docker's own client would talk to, given the values of `DOCKER_HOST`, `DOCKER_CERT_PATH` and whether
    /// `DOCKER_TLS_VERIFY` is set. Empty values count as absent, as they do for Docker.
    #[must_use]
    pub fn from_docker_variables(
        name: impl Into<String>,
        docker_host: Option<&str>,
        cert_path: Option<&str>,
        tls_verify: bool,
    ) -> Self {
        let address = docker_host.filter(|text| !text.is_empty()).unwrap_or(Self::DEFAULT_ADDRESS).to_owned();
        let over_network = !address.starts_with("unix://");
        let tls = cert_path
            .filter(|text| !text.is_empty() && over_network && (tls_verify || address.starts_with("https://")))
            .map(DockerTls::in_directory);
        Self { name: name.into(), address, tls }
    }
}

/// A Docker host that cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum DockerHostError {
    /// Two hosts share a name, so a rule could mean either.
    #[error("docker host {name}: this name is used twice")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// The address has a shape we do not understand.
    #[error("docker host {name}: address {address:?} {problem}")]
    Address {
        /// The host's name.
        name: String,
        /// As configured.
        address: String,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// A TLS file is missing, unreadable or not what it should be.
    #[error("docker host {name}: {file}: {problem}")]
    Tls {
        /// The host's name.
        name: String,
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The client could not be built.
    #[error("docker host {name}: cannot build the client: {problem}")]
    Client {
        /// The host's name.
        name: String,
        /// What the library said.
        problem: String,
    },
}

/// A checked address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A socket file.
    Unix(PathBuf),
    /// `host:port` without encryption.
    Plain(String),
    /// `host:port` with TLS and these files.
    Tls(String, DockerTls),
}

impl DockerHost {
    /// Checks the address and that it agrees with the TLS settings. Reads no file and connects nowhere.
    pub(super) fn checked_address(&self) -> Result<Address, DockerHostError> {
        let wrong = |problem| DockerHostError::Address {
            name: self.name.clone(),
            // Whatever stands before an @ may be a password.
            address: self.address.rsplit('@').next().unwrap_or_default().to_owned(),
            problem,
        };
        let (scheme, rest) = self
            .address
            .split_once("://")
            .ok_or_else(|| wrong("must begin with unix://, tcp://, http:// or https://"))?;
        match (scheme, &self.tls) {
            ("unix", Some(_)) => Err(wrong("is a socket file, which has no TLS; remove tls or use tcp://")),
            ("unix", None) if rest.starts_with('/') => Ok(Address::Unix(rest.into())),
            ("unix", None) => Err(wrong("must hold an absolute path, as in unix:///var/run/docker.sock")),
            ("http", Some(_)) => Err(wrong("says http although tls is configured; use tcp:// or https://")),
            ("https", None) => Err(wrong("needs tls {caFile, certFile, keyFile}")),
            ("tcp" | "http", None) => authority(rest, 2375).map(Address::Plain).map_err(wrong),
            ("tcp" | "https", Some(tls)) => {
                authority(rest, 2376).map(|at| Address::Tls(at, tls.clone())).map_err(wrong)
            }
            _ => Err(wrong("has an unknown scheme; use unix://, tcp://, http:// or https://")),
        }
    }
}

/// Reads `host[:port]`, adding the port Docker uses when none is given.
fn authority(rest: &str, default_port: u16) -> Result<String, &'static str> {
    const SHAPE: &str = "must be host:port, as in tcp://docker.example.com:2376";
    let uri: Uri = format!("http://{rest}").parse().map_err(|_| SHAPE)?;
    let authority = uri.authority().ok_or(SHAPE)?;
    if authority.as_str().contains('@') {
        return Err("must not hold a user or password");
    }
    if uri.path() != "/" || uri.query().is_some() || authority.host().is_empty() {
        return Err(SHAPE);
    }
    if authority.as_str() == authority.host() {
        return Ok(format!("{authority}:{default_port}"));
    }
    authority.port_u16().map(|_| authority.to_string()).ok_or(SHAPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(address: &str, tls: bool) -> DockerHost {
        DockerHost { name: "h".into(), address: address.into(), tls: tls.then(|| DockerTls::in_directory("/c")) }
    }

    #[test]
    fn addresses_that_work() {
        let tls = DockerTls::in_directory("/c");
        for (address, with_tls, expected) in [
            ("unix:///run/d.sock", false, Address::Unix("/run/d.sock".into())),
            ("tcp://engine:1234", false, Address::Plain("engine:1234".into())),
            ("http://engine/", false, Address::Plain("engine:2375".into())),
            ("tcp://[::1]", false, Address::Plain("[::1]:2375".into())),
            ("tcp://engine", true, Address::Tls("engine:2376".into(), tls.clone())),
            ("https://engine:1", true, Address::Tls("engine:1".into(), tls.clone())),
        ] {
            assert_eq!(host(address, with_tls).checked_address().unwrap(), expected, "{address}");
        }
    }

    #[test]
    fn addresses_that_do_not() {
        for (address, tls, hint) in [
            ("/run/d.sock", false, "must begin with"),
            ("unix://run/d.sock", false, "absolute path"),
            ("unix:///run/d.sock", true, "no TLS"),
            ("http://engine", true, "although tls"),
            ("https://engine", false, "caFile"),
            ("ssh://engine", false, "unknown scheme"),
            ("tcp://", false, "host:port"),
            ("tcp://engine:port", false, "host:port"),
            ("tcp://engine:2375/path", false, "host:port"),
        ] {
            let error = host(address, tls).checked_address().unwrap_err().to_string();
            assert!(error.contains(hint), "{address}: {error}");
        }
        let error = host("tcp://me:hunter2@engine:1", false).checked_address().unwrap_err().to_string();
        assert!(error.contains("user or password") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn docker_variables_mean_what_they_mean_to_docker() {
        let local = DockerHost::from_docker_variables("local", None, Some("/certs"), true);
        assert_eq!((local.address.as_str(), local.tls), (DockerHost::DEFAULT_ADDRESS, None));
        let plain = DockerHost::from_docker_variables("local", Some("tcp://e:1"), Some("/certs"), false);
        assert_eq!(plain.tls, None);
        let tls = DockerHost::from_docker_variables("local", Some("tcp://e:1"), Some("/certs"), true);
        assert_eq!(tls.tls, Some(DockerTls::in_directory("/certs")));
    }
}
