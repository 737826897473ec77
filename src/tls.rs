//! TLS as a client: which authorities are trusted and which certificate is shown.

use std::path::PathBuf;

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
