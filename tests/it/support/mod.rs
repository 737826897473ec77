//! What several test files share: real parts to start and stop, and payloads.

pub mod fake_store;
pub mod http;
