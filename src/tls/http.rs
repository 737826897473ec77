//! How every HTTP client of the daemon begins, whatever it is for.

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity};
use rustls::pki_types::CertificateDer;

use super::{ClientTls, TlsError};

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);

impl ClientTls {
    /// Begins an HTTP client with these options; its user adds the time limits that suit it. `further` authorities are
    /// trusted besides those of `caFile`. `plain` says that it speaks no TLS, and so needs no authorities.
    ///
    /// # Errors
    /// A file cannot be read or does not hold what it should.
    pub fn http_client(&self, further: Vec<CertificateDer<'static>>, plain: bool) -> Result<ClientBuilder, TlsError> {
        let mut builder = Client::builder()
            // A redirect would turn a POST into a GET and take the credentials elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("autoheal/", env!("CARGO_PKG_VERSION")));
        let mut authorities = self.authorities()?.unwrap_or_default();
        authorities.extend(further);
        if !authorities.is_empty() {
            let trusted: Result<Vec<_>, _> = authorities.iter().map(|der| Certificate::from_der(der)).collect();
            builder = builder.tls_certs_only(trusted?);
        } else if plain {
            // Loading the system's authorities fails where there are none, and plain HTTP needs none.
            builder = builder.tls_certs_only([]);
        }
        if let Some(identity) = self.identity()? {
            let pem = [identity.pem.chain, b"\n".to_vec(), identity.pem.key].concat();
            builder = builder.identity(Identity::from_pem(&pem)?);
        }
        Ok(builder)
    }
}

impl From<reqwest::Error> for TlsError {
    /// What a client that cannot be built is about. The address is taken out, because it may be the credential.
    fn from(error: reqwest::Error) -> Self {
        Self::explain(&error.without_url())
    }
}
