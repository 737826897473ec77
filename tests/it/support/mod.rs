//! What several test files share: real parts to start and stop, and payloads.

pub mod amtool;
pub mod awx;
pub mod crash;
pub mod daemon;
pub mod engine;
pub mod fake_store;
pub mod fuse;
pub mod http;
pub mod message;
pub mod office;
pub mod pki;
pub mod prometheus;
pub mod promtool;
pub mod proxy;
pub mod runners;
pub mod service;
pub mod sighting;
pub mod site;
pub mod slack;
pub mod slack_api;
pub mod smtp;
pub mod upstream;
pub mod watch;

use std::sync::OnceLock;

use tokio::runtime::Runtime;

/// Installs the TLS provider, as `main` does.
pub fn install_tls() {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Runs a future to its end on a runtime all tests share. Tests against the real program are plain functions, because the
/// program is a process and its log a file; what they borrow from asynchronous libraries goes through here.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap()).block_on(future)
}
