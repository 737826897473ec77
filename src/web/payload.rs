//! Alertmanager's webhook payload, version 4, read straight into the domain's words: one pass over the bytes, nothing
//! copied twice, every complaint with the index and the key it is about.
//!
//! Lenient where senders differ (unknown fields, missing or wrong fingerprints, unknown versions, duplicate keys: the
//! last one wins, as in Go), strict where a guess could heal the wrong thing (status, labels, shape). Times are cut to
//! whole milliseconds, which is what the store keeps, so that a repeat compares equal to what is remembered of it.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::fmt::temporal::Pieces;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::domain::Timestamp;
use crate::domain::alert::{Alert, AlertStatus, Delivery, Fingerprint, Labels};

/// The body is no webhook delivery of Alertmanager. Nothing of it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an Alertmanager webhook delivery: {complaint}; expected an object with an array `alerts` of objects with \
     status, labels and startsAt (see Alertmanager's webhook_config; custom `payload:` bodies are not supported)"
)]
pub struct PayloadError {
    /// What is wrong and where, shortened: it may quote the sender.
    pub complaint: String,
}

impl PayloadError {
    /// Alertmanager logs the answer, so a long value in a complaint must not come back to it.
    const LONGEST: usize = 240;

    fn new(error: &serde_json::Error) -> Self {
        let mut complaint = error.to_string();
        if complaint.len() > Self::LONGEST {
            complaint.truncate(complaint.floor_char_boundary(Self::LONGEST));
            complaint.push('…');
        }
        Self { complaint }
    }
}

/// Reads one delivery. `now` stands in for times the sender left out.
///
/// # Errors
/// Anything that is not version 4's shape; the error names the alert's index and the key.
pub fn parse(body: &[u8], now: Timestamp) -> Result<Delivery, PayloadError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    DeliverySeed { now }
        .deserialize(&mut deserializer)
        .and_then(|delivery| deserializer.end().map(|()| delivery))
        .map_err(|error| PayloadError::new(&error))
}

/// Puts the place before an inner complaint; the reader adds line and column itself.
fn at<E: serde::de::Error>(place: impl fmt::Display, error: impl fmt::Display) -> E {
    E::custom(format_args!("{place}: {error}"))
}

/// A text that may be missing or null.
type OptionalText<'de> = Option<Text<'de>>;

/// A text borrowed from the body where it has no escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

struct DeliverySeed {
    now: Timestamp,
}

impl<'de> DeserializeSeed<'de> for DeliverySeed {
    type Value = Delivery;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Delivery, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DeliverySeed {
    type Value = Delivery;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Delivery, A::Error> {
        let mut delivery = Delivery { external_url: String::new(), truncated_alerts: 0, alerts: Vec::new() };
        let mut has_alerts = false;
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "alerts" => {
                    delivery.alerts = map.next_value_seed(AlertsSeed { now: self.now })?;
                    has_alerts = true;
                }
                "externalURL" => {
                    let url: OptionalText<'_> = map.next_value().map_err(|error| at("externalURL", error))?;
                    delivery.external_url = url.map(|Text(url)| url.into_owned()).unwrap_or_default();
                }
                "truncatedAlerts" => {
                    let count: Option<u64> = map.next_value().map_err(|error| at("truncatedAlerts", error))?;
                    delivery.truncated_alerts = count.unwrap_or_default();
                }
                "version" => {
                    let version: OptionalText<'_> = map.next_value().map_err(|error| at("version", error))?;
                    if let Some(Text(version)) = version {
                        mention_unknown_version(&version);
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_alerts { Ok(delivery) } else { Err(A::Error::custom("`alerts` is missing")) }
    }
}

/// A version we do not know is taken as long as it parses; one line in the log tells of the first.
fn mention_unknown_version(version: &str) {
    static MENTIONED: AtomicBool = AtomicBool::new(false);
    if version != "4" && !MENTIONED.swap(true, Ordering::Relaxed) {
        let version: String = version.chars().take(20).collect();
        tracing::warn!(version, "a delivery says it is not webhook version 4; it is read as such (told once)");
    }
}

struct AlertsSeed {
    now: Timestamp,
}

impl<'de> DeserializeSeed<'de> for AlertsSeed {
    type Value = Vec<Alert>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Alert>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AlertsSeed {
    type Value = Vec<Alert>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array `alerts`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Alert>, A::Error> {
        let mut alerts = Vec::new();
        while let Some(alert) = seq
            .next_element_seed(AlertSeed { now: self.now })
            .map_err(|error| at(format_args!("alerts[{}]", alerts.len()), error))?
        {
            alerts.push(alert);
        }
        Ok(alerts)
    }
}

struct AlertSeed {
    now: Timestamp,
}

impl<'de> DeserializeSeed<'de> for AlertSeed {
    type Value = Alert;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Alert, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AlertSeed {
    type Value = Alert;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an alert object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Alert, A::Error> {
        let (mut status, mut labels, mut annotations) = (None, None, Labels::new());
        let (mut starts_at, mut ends_at, mut generator_url) = (None, None, String::new());
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "status" => status = Some(map.next_value().map_err(|error| at("status", error))?),
                "labels" => labels = Some(map.next_value_seed(TextMap { field: "labels", keeps_empty: false })?),
                "annotations" => {
                    annotations = map.next_value_seed(TextMap { field: "annotations", keeps_empty: true })?;
                }
                "startsAt" => starts_at = instant(&mut map, "startsAt")?,
                "endsAt" => ends_at = instant(&mut map, "endsAt")?,
                "generatorURL" => {
                    let url: OptionalText<'_> = map.next_value().map_err(|error| at("generatorURL", error))?;
                    generator_url = url.map(|Text(url)| url.into_owned()).unwrap_or_default();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let status: AlertStatus = status.ok_or_else(|| A::Error::custom("`status` is missing"))?;
        let labels: Labels = labels.ok_or_else(|| A::Error::custom("`labels` is missing"))?;
        Ok(Alert {
            fingerprint: Fingerprint::of(&labels),
            status,
            labels,
            annotations,
            starts_at: starts_at.unwrap_or(self.now),
            ends_at: match status {
                // Some senders announce when an alert will lapse; while it fires it has not ended.
                AlertStatus::Firing => None,
                AlertStatus::Resolved => Some(ends_at.unwrap_or(self.now)),
            },
            generator_url,
        })
    }
}

/// A time in RFC 3339; missing, null and Go's zero time are no time, and neither is one that cannot be counted with, such as
/// the last day of the year 9999: one such alert must not have its whole delivery refused.
fn instant<'de, A: MapAccess<'de>>(map: &mut A, field: &str) -> Result<Option<Timestamp>, A::Error> {
    let text: OptionalText<'_> = map.next_value().map_err(|error| at(field, error))?;
    let Some(Text(text)) = text else { return Ok(None) };
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return Ok(None);
    }
    let Ok(instant) = text.parse::<Timestamp>() else {
        let is_time = Pieces::parse(&*text).is_ok_and(|pieces| pieces.time().is_some() && pieces.offset().is_some());
        return if is_time { Ok(None) } else { Err(at(field, format_args!("{text:?} is no RFC 3339 time"))) };
    };
    let whole = Timestamp::from_millisecond(instant.as_millisecond());
    whole.map(Some).map_err(|error| at(field, error))
}

/// A map of texts: labels or annotations.
struct TextMap {
    field: &'static str,
    keeps_empty: bool,
}

impl<'de> DeserializeSeed<'de> for TextMap {
    type Value = Labels;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Labels, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextMap {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object `{}` of strings", self.field)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Labels, E> {
        if self.keeps_empty {
            return Ok(Labels::new());
        }
        Err(E::invalid_type(serde::de::Unexpected::Unit, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
        let mut texts = Labels::new();
        while let Some(Text(name)) = map.next_key()? {
            let Text(value) =
                map.next_value().map_err(|error| at(format_args!("{}.{}", self.field, name.escape_debug()), error))?;
            if value.is_empty() && !self.keeps_empty {
                // A label without a value is no label; with duplicate keys the last one says so.
                texts.remove(&*name);
            } else {
                texts.insert(name.into_owned(), value.into_owned());
            }
        }
        Ok(texts)
    }
}
