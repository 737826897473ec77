//! TLS as a client: which authorities are trusted and which certificate is shown; and, in [`server`], as a server.

mod http;
pub mod server;

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::causes;

/// Options every TLS client takes. Empty means the system's authorities and no client certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Authorities to trust instead of the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// Client certificate (PEM).
    pub cert_file: Option<PathBuf>,
    /// Its key (PEM).
    pub key_file: Option<PathBuf>,
}

/// A TLS option cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{option} {path:?} cannot be read: {error}")]
    Unreadable {
        /// The option's key.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{option} {path:?} holds no {expected} in PEM form")]
    Empty {
        /// The option's key.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Only one half of a client certificate is configured.
    #[error("tls.certFile and tls.keyFile belong together; only {given} is set")]
    Half {
        /// The option that is set.
        given: &'static str,
    },
    /// The machine trusts nobody.
    #[error(
        "this machine has no certificate authorities to trust: install ca-certificates, point SSL_CERT_FILE at a bundle, or set tls.caFile"
    )]
    NoAuthorities,
    /// The TLS library refused.
    #[error("TLS cannot be set up: {0}")]
    Refused(String),
}

/// A client certificate with its chain, and its key.
#[derive(Debug)]
pub struct ClientIdentity {
    /// The certificate first, then what leads to its authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
    /// Both as they stand in the files, for libraries that parse PEM themselves.
    pub pem: Pem,
}

/// A client certificate as text.
pub struct Pem {
    /// The certificate's file.
    pub chain: Vec<u8>,
    /// The key's file.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl ClientTls {
    /// The authorities to trust instead of the system's, if any are configured.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn authorities(&self) -> Result<Option<Vec<CertificateDer<'static>>>, TlsError> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        certificates("tls.caFile", path, &read("tls.caFile", path)?).map(Some)
    }

    /// The client certificate to show, if one is configured.
    ///
    /// # Errors
    /// A file cannot be read or does not hold what it should, or only one of the two is configured.
    pub fn identity(&self) -> Result<Option<ClientIdentity>, TlsError> {
        const CERT: &str = "tls.certFile";
        const KEY: &str = "tls.keyFile";
        let (cert, key) = match (&self.cert_file, &self.key_file) {
            (None, None) => return Ok(None),
            (Some(cert), Some(key)) => (cert, key),
            (Some(_), None) => return Err(TlsError::Half { given: CERT }),
            (None, Some(_)) => return Err(TlsError::Half { given: KEY }),
        };
        let pem = Pem { chain: read(CERT, cert)?, key: read(KEY, key)? };
        let chain = certificates(CERT, cert, &pem.chain)?;
        let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| TlsError::Empty {
            option: KEY,
            path: key.clone(),
            expected: "private key",
        })?;
        Ok(Some(ClientIdentity { chain, key, pem }))
    }
}

impl TlsError {
    /// Explains what a TLS library said when a client was built. Without configured authorities it is nearly always
    /// that the machine has none.
    #[must_use]
    pub fn explain(error: &(dyn std::error::Error + 'static)) -> Self {
        let said = causes::told(error);
        if said.contains("No CA certificates") { Self::NoAuthorities } else { Self::Refused(said) }
    }
}

/// Authorities written into the configuration (PEM).
///
/// # Errors
/// The text holds no certificate.
pub fn inline_authorities(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates("tls.caCerts", Path::new("(inline)"), pem.as_bytes())
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Unreadable { option, path: path.to_owned(), error })
}

fn certificates(option: &'static str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let empty = || TlsError::Empty { option, path: path.to_owned(), expected: "certificate" };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| empty())?;
    if found.is_empty() { Err(empty()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn files_become_authorities_and_an_identity() {
        let dir = tempfile::tempdir().unwrap();
        let signed = rcgen::generate_simple_self_signed(["a.example.com".to_owned()]).unwrap();
        let tls = ClientTls {
            ca_file: Some(file(&dir, "ca.pem", &signed.cert.pem().repeat(2))),
            cert_file: Some(file(&dir, "cert.pem", &signed.cert.pem())),
            key_file: Some(file(&dir, "key.pem", &signed.signing_key.serialize_pem())),
        };
        assert_eq!(tls.authorities().unwrap().unwrap().len(), 2);
        let identity = tls.identity().unwrap().unwrap();
        assert_eq!(identity.chain, vec![signed.cert.der().clone()]);
        assert!(!format!("{:?}", identity.pem).contains("PRIVATE"));
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_option_and_file() {
        let dir = tempfile::tempdir().unwrap();
        let missing = ClientTls { ca_file: Some("/nowhere/ca.pem".into()), ..ClientTls::default() };
        let said = missing.authorities().unwrap_err().to_string();
        assert!(said.starts_with("tls.caFile \"/nowhere/ca.pem\" cannot be read"), "{said}");

        let empty = ClientTls { ca_file: Some(file(&dir, "ca.pem", "no certificate")), ..ClientTls::default() };
        assert!(empty.authorities().unwrap_err().to_string().ends_with("holds no certificate in PEM form"));

        let half = ClientTls { cert_file: Some(file(&dir, "cert.pem", "")), ..ClientTls::default() };
        assert!(half.identity().unwrap_err().to_string().ends_with("only tls.certFile is set"));
    }
}
