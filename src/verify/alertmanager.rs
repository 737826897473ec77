//! Alertmanager's own view of its alerts: what it has, what it keeps silent about, and since when it is up.

use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client;
use super::{Authorization, Endpoint};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::alert::{Fingerprint, Labels};
use crate::domain::alertmanager::{AlertmanagerView, Standing};
use crate::tls::TlsError;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How much of an answer is read: some hundred thousand alerts.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Asks one Alertmanager through its API v2.
pub struct AlertmanagerAsker {
    client: Client,
    alerts: Url,
    status: Url,
    authorization: Authorization,
}

#[derive(Deserialize)]
struct ApiStatus {
    uptime: Timestamp,
}

#[derive(Deserialize)]
struct ApiAlert {
    labels: Labels,
    status: ApiStanding,
}

#[derive(Deserialize)]
struct ApiStanding {
    #[serde(default, rename = "silencedBy")]
    silences: Vec<String>,
    #[serde(default, rename = "inhibitedBy")]
    inhibitions: Vec<String>,
    #[serde(default, rename = "mutedBy")]
    mutes: Vec<String>,
}

impl AlertmanagerAsker {
    /// Builds the client; connects nowhere.
    ///
    /// # Errors
    /// A TLS file that cannot be used, or no authority to trust.
    pub fn new(endpoint: &Endpoint) -> Result<Self, TlsError> {
        let client = client::begin(&endpoint.tls, endpoint.address.scheme() == "http")?.timeout(LIMIT).build()?;
        let base = endpoint.address.path().trim_end_matches('/').to_owned();
        let at = |path: &str| {
            let mut url = endpoint.address.clone();
            url.set_path(&format!("{base}/api/v2/{path}"));
            url
        };
        Ok(Self { client, alerts: at("alerts"), status: at("status"), authorization: endpoint.authorization.clone() })
    }

    /// Asks for everything it has.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub async fn ask(&self, clock: &dyn Clock) -> Result<AlertmanagerView, String> {
        let asked_at = clock.now();
        let ApiStatus { uptime } = self.get(&self.status).await?;
        let alerts: Vec<ApiAlert> = self.get(&self.alerts).await?;
        // Its own fingerprints are computed as ours are; ours are what deliveries are known by.
        let alerts =
            alerts.into_iter().map(|alert| (Fingerprint::of(&alert.labels), alert.status.standing())).collect();
        Ok(AlertmanagerView { asked_at, up_since: uptime, alerts })
    }

    async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, String> {
        let place = format!("Alertmanager at {}", client::host_of(url.as_str()));
        let request = client::authorized(self.client.get(url.clone()), &self.authorization);
        let response =
            request.send().await.map_err(|error| format!("{place} cannot be reached: {}", client::said(error)))?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("{place} answers {status} to {}", url.path()));
        }
        let (body, whole) =
            client::body(response, MAX_BODY).await.map_err(|error| format!("{place}: {}", client::said(error)))?;
        if !whole {
            return Err(format!("the answer of {place} is longer than {} MiB", MAX_BODY >> 20));
        }
        serde_json::from_slice(&body).map_err(|_| format!("{place} does not answer as Alertmanager's API v2 does"))
    }
}

impl ApiStanding {
    fn standing(self) -> Standing {
        let ways = [("silenced", self.silences), ("inhibited", self.inhibitions), ("muted", self.mutes)];
        let told: Vec<_> = ways
            .into_iter()
            .filter(|(_, by)| !by.is_empty())
            .map(|(how, by)| format!("{how} by {}", by.join(", ")))
            .collect();
        if told.is_empty() { Standing::Active } else { Standing::Suppressed(told.join(" and ")) }
    }
}
