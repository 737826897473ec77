//! What several test files share: real parts to start and stop, and payloads.

pub mod daemon;
pub mod engine;
pub mod fake_store;
pub mod http;
pub mod message;
pub mod pki;
pub mod prometheus;
pub mod sighting;
pub mod slack;
pub mod smtp;

/// Installs the TLS provider, as `main` does.
pub fn install_tls() {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
