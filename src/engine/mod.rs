//! The engine: what happens after a delivery has been accepted.

pub mod deliver;
