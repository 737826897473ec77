//! Outside services that actions depend on, and receivers: which of them answer. For the metric and for `/api/v1/status`.

use std::collections::{BTreeMap, BTreeSet};
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
        let mut services = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = services.get(name).filter(|before| before.up == error.is_none()).map(|before| before.since);
        let (up, error) = (error.is_none(), error.unwrap_or_default().to_owned());
        services.insert(name.to_owned(), Service { up, since: before.unwrap_or(now), error });
    }

    /// Forgets all but these; answers which were forgotten.
    pub(super) fn keep(&self, names: &BTreeSet<String>) -> Vec<String> {
        let mut services = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        services.extract_if(.., |name, _| !names.contains(name)).map(|(name, _)| name).collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<String, Service> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
