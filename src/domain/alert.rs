//! Alerts as Alertmanager sends them, after the door has parsed them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Label or annotation names and values. Names may be any UTF-8 text (Alertmanager 0.27 and newer).
pub type Labels = BTreeMap<String, String>;

/// The annotation that says of an alert that it counts as resolved only because nobody said that it fires any more.
pub const BY_TIMEOUT: &str = "autoheal_resolved";

/// The identity of an alert: 64-bit FNV-1a over its sorted labels, as Alertmanager computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    const OFFSET: u64 = 14_695_981_039_346_656_037;
    const PRIME: u64 = 1_099_511_628_211;
    const SEPARATOR: u8 = 0xFF;

    /// Computes the fingerprint of a label set: for each label in byte order of its name the name, 0xFF, the value, 0xFF.
    #[must_use]
    pub fn of(labels: &Labels) -> Self {
        let mut hash = Self::OFFSET;
        let mut feed = |byte: u8| {
            hash ^= u64::from(byte);
            hash = hash.wrapping_mul(Self::PRIME);
        };
        for (name, value) in labels {
            name.bytes().for_each(&mut feed);
            feed(Self::SEPARATOR);
            value.bytes().for_each(&mut feed);
            feed(Self::SEPARATOR);
        }
        Self(hash)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text was not 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 16 hexadecimal digits, not {0:?}")]
pub struct FingerprintError(pub String);

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u64::from_str_radix(text, 16) {
            Ok(value) if is_hex => Ok(Self(value)),
            _ => Err(FingerprintError(text.to_owned())),
        }
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether one alert fires. Alertmanager's top-level status of a group is never consulted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// The condition holds.
    Firing,
    /// The condition no longer holds.
    Resolved,
}

impl AlertStatus {
    /// The word Alertmanager uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One alert of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Identity; computed from the labels, whatever the sender wrote.
    pub fingerprint: Fingerprint,
    /// This alert's own status.
    pub status: AlertStatus,
    /// Labels without empty values.
    pub labels: Labels,
    /// Annotations; empty values are kept.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub annotations: Labels,
    /// When it began to fire. Not an identity: it may change between firing and resolved.
    pub starts_at: Timestamp,
    /// When it stopped; `None` while it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Link to the expression that fired; may be empty.
    #[serde(default, rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    pub generator_url: String,
}

impl Alert {
    /// The `alertname` label, or empty text.
    #[must_use]
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }

    /// Takes in that it resolved, as told.
    pub fn resolve(&mut self, told: &Self, now: Timestamp) {
        self.status = AlertStatus::Resolved;
        self.ends_at = told.ends_at.or(Some(now));
        // Whoever reads the heal must see that nobody said it is well.
        if let Some(how) = told.annotations.get(BY_TIMEOUT) {
            self.annotations.insert(BY_TIMEOUT.to_owned(), how.clone());
        }
    }
}

/// One parsed webhook delivery: what Alertmanager says of a group of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Alertmanager's own address, for links in messages; may be empty.
    pub external_url: String,
    /// How many alerts Alertmanager left out (`max_alerts`). Nothing may be inferred of the group when it is not 0.
    pub truncated_alerts: u64,
    /// The alerts, in the order they were sent.
    pub alerts: Vec<Alert>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_equals_the_one_alertmanager_sent() {
        let labels = Labels::from([
            ("alertname".into(), "InstanceDown".into()),
            ("instance".into(), "web-1:9100".into()),
            ("job".into(), "node".into()),
            ("severity".into(), "critical".into()),
            ("test".into(), "firing".into()),
        ]);
        assert_eq!(Fingerprint::of(&labels).to_string(), "f2b2bc83eeb9cc40");
    }

    #[test]
    fn an_alert_takes_in_when_and_how_it_resolved() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let labels = Labels::from([("alertname".into(), "InstanceDown".into())]);
        let alert = |annotations: &[(&str, &str)], ends_at: Option<i64>| Alert {
            fingerprint: Fingerprint::of(&labels),
            status: AlertStatus::Firing,
            labels: labels.clone(),
            annotations: annotations.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            starts_at: at(0),
            ends_at: ends_at.map(at),
            generator_url: String::new(),
        };
        for (told, ends_at, by_timeout) in [
            (alert(&[("summary", "changed")], Some(50)), 50, None),
            (alert(&[], None), 60, None),
            (alert(&[(BY_TIMEOUT, "nobody said so")], Some(50)), 50, Some("nobody said so")),
        ] {
            let mut known = alert(&[("summary", "ui is down")], None);
            known.resolve(&told, at(60));
            assert_eq!((known.status.as_str(), known.ends_at), ("resolved", Some(at(ends_at))));
            assert_eq!(known.annotations.get(BY_TIMEOUT).map(String::as_str), by_timeout);
            assert_eq!(known.annotations["summary"], "ui is down");
        }
        assert_eq!((alert(&[], None).name(), AlertStatus::Firing.as_str()), ("InstanceDown", "firing"));
        assert_eq!(Alert { labels: Labels::new(), ..alert(&[], None) }.name(), "");
    }

    #[test]
    fn a_fingerprint_survives_its_text_form_and_refuses_anything_else() {
        let fingerprint = Fingerprint::of(&Labels::new());
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        for bad in ["", "f2b2", "+2b2bc83eeb9cc40", "g2b2bc83eeb9cc40", "f2b2bc83eeb9cc401"] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad:?}");
        }
    }
}
