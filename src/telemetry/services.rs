//! Outside services that actions depend on: which of them answer. For the metric and for `/api/v1/status`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::domain::Timestamp;

/// Whether one service answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Whether it answers, as far as anybody has asked.
    pub up: bool,
    /// Since when.
    pub since: Timestamp,
    /// What was wrong when it was last asked; empty when it answers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// All of them by name, such as `awx/default`.
#[derive(Debug, Default)]
pub(super) struct Services(Mutex<BTreeMap<String, Service>>);

impl Services {
    /// Notes whether a service answers.
    pub(super) fn set(&self, name: &str, error: Option<&str>, now: Timestamp) {
        let service = Service { up: error.is_none(), since: now, error: error.unwrap_or_default().to_owned() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), service);
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<String, Service> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
