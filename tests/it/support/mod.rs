//! What several test files share: real parts to start and stop, and payloads.

pub mod sighting;
pub mod engine;
