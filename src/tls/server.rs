//! TLS as a server: the certificate shown, the clients let in, and files that are read again when they change.

mod clients;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

pub use self::clients::AllowedSan;
use crate::secret::Secret;
use crate::stamp::Stamp;

/// Text in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a file, read again when it changes.
    File(PathBuf),
    /// Written into the configuration.
    Inline(Secret),
}

/// What is asked of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// No certificate.
    #[default]
    None,
    /// A certificate, any or none will do.
    Request,
    /// A certificate, whoever signed it.
    RequireAny,
    /// Nothing, but a certificate that is shown must be one of ours.
    VerifyIfGiven,
    /// A certificate of ours.
    RequireAndVerify,
}

/// A protocol version; there is no support for older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Options of a TLS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate first, then what leads to its authority.
    pub cert: Source,
    /// Its key.
    pub key: Source,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Authorities of clients' certificates.
    pub client_ca: Option<Source>,
    /// When not empty, a client's certificate must carry one of these names.
    pub client_allowed_sans: Vec<AllowedSan>,
    /// The oldest version spoken.
    pub oldest: Version,
    /// The newest version spoken.
    pub newest: Version,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// A TLS option that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", named(.option, .source_file.as_ref()))]
pub struct ServerTlsError {
    /// The option: `cert`, `key` or `client_ca`.
    pub option: &'static str,
    source_file: Option<PathBuf>,
    /// What is wrong with it.
    pub reason: String,
}

fn named(option: &str, file: Option<&PathBuf>) -> String {
    file.map_or_else(|| option.to_owned(), |file| format!("{option}_file {}", file.display()))
}

/// A TLS server's options, built.
#[derive(Debug)]
pub struct Acceptor {
    settings: ServerTls,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// The files `config` was built from.
    stamps: Vec<Stamp>,
    /// The files that were last complained of.
    unusable: Vec<Stamp>,
}

impl Acceptor {
    /// Reads certificates and keys.
    ///
    /// # Errors
    /// The option that cannot be used.
    pub fn load(settings: ServerTls) -> Result<Self, ServerTlsError> {
        // Looked at before they are read: a change in between is then read once more, never missed.
        let stamps = settings.stamps();
        let config = Arc::new(settings.build()?);
        Ok(Self { settings, current: Mutex::new(Current { config, stamps, unusable: Vec::new() }) })
    }

    /// What the next handshake goes by. Looks at the files, and reads them when they are others than before; files that
    /// cannot be used are logged once and leave everything as it was. Blocks for as long as the file system does.
    pub fn current(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = self.settings.stamps();
        if stamps != current.stamps {
            // Tried at every handshake until it works: what is in the way may go without a change of the files.
            match self.settings.build() {
                // A new configuration also forgets the sessions that clients could have resumed under the old one.
                Ok(config) => {
                    (current.config, current.stamps) = (Arc::new(config), stamps);
                    tracing::info!("the TLS certificate files changed and were read again");
                }
                Err(error) if current.unusable != stamps => {
                    current.unusable = stamps;
                    tracing::error!(%error, "the TLS certificate files changed and cannot be used; the earlier ones stay");
                }
                Err(_told) => {}
            }
        }
        Arc::clone(&current.config)
    }

    /// Whether every client that gets in has shown a certificate of ours.
    #[must_use]
    pub fn verifies_clients(&self) -> bool {
        self.settings.client_auth == ClientAuth::RequireAndVerify
    }
}

impl ServerTls {
    fn stamps(&self) -> Vec<Stamp> {
        [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|source| match source {
                Source::File(path) => Some(Stamp::of(path)),
                Source::Inline(_) => None,
            })
            .collect()
    }

    fn build(&self) -> Result<ServerConfig, ServerTlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: &[&SupportedProtocolVersion] = match (self.oldest, self.newest) {
            (Version::Tls12, Version::Tls12) => &[&rustls::version::TLS12],
            (Version::Tls12, Version::Tls13) => &[&rustls::version::TLS13, &rustls::version::TLS12],
            _ => &[&rustls::version::TLS13],
        };
        let chain = certificates("cert", &self.cert)?;
        let refused = |reason: String| error("key", &self.key, reason);
        let key = PrivateKeyDer::from_pem_slice(&read("key", &self.key)?)
            .map_err(|_| refused("holds no private key in PEM form; an encrypted one is not supported".into()))?;
        let authorities = self.client_ca.as_ref().map(authorities).transpose()?;
        let clients = clients::verifier(self, authorities, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| refused(error.to_string()))?;
        let mut config =
            builder.with_client_cert_verifier(clients).with_single_cert(chain, key).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => refused("does not belong to the certificate".into()),
                rustls::Error::InvalidCertificate(_) => self::error("cert", &self.cert, error.to_string()),
                other => refused(other.to_string()),
            })?;
        if self.http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(config)
    }
}

fn error(option: &'static str, source: &Source, reason: String) -> ServerTlsError {
    let source_file = match source {
        Source::File(path) => Some(path.clone()),
        Source::Inline(_) => None,
    };
    ServerTlsError { option, source_file, reason }
}

fn read(option: &'static str, source: &Source) -> Result<Vec<u8>, ServerTlsError> {
    match source {
        Source::File(path) => {
            fs::read(path).map_err(|error| self::error(option, source, format!("cannot be read: {error}")))
        }
        Source::Inline(text) => Ok(text.expose().as_bytes().to_vec()),
    }
}

fn certificates(option: &'static str, source: &Source) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(option, source)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(error(option, source, "holds no certificate in PEM form".into())),
    }
}

fn authorities(source: &Source) -> Result<RootCertStore, ServerTlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("client_ca", source)? {
        store.add(certificate).map_err(|cause| {
            error("client_ca", source, format!("holds a certificate that cannot be an authority: {cause}"))
        })?;
    }
    Ok(store)
}
