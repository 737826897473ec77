//! A word to the one person who pressed a button, where nobody else sees it: Slack gives each of its calls an address for that
//! (`response_url`), good for half an hour.

use std::time::Duration;

use reqwest::{Client, Url};
use serde_json::json;

use crate::causes;
use crate::tls::{ClientTls, TlsError};

/// How long a connection may take to be made, and the whole of it. Slack waits for us meanwhile, and not for long.
const CONNECT_LIMIT: Duration = Duration::from_millis(800);
const LIMIT: Duration = Duration::from_secs(1);
/// Where Slack's own methods are, and where it takes such words.
const SLACK: [&str; 2] = ["slack.com", "slack-gov.com"];
const HOOKS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// Speaks to people of one Slack.
#[derive(Clone)]
pub struct Answerer {
    client: Client,
    /// Where all that goes to Slack goes instead.
    instead: Option<Url>,
}

impl Answerer {
    /// Builds the client; nothing is sent. `api` is where the receiver's methods are.
    ///
    /// # Errors
    /// A TLS file cannot be used, or the machine trusts no authority.
    pub fn new(api: &Url, tls: &ClientTls) -> Result<Self, TlsError> {
        let builder = tls.http_client(Vec::new(), api.scheme() == "http")?;
        let client = builder.connect_timeout(CONNECT_LIMIT).timeout(LIMIT).build()?;
        let is_slacks_own = api.host_str().is_some_and(|host| SLACK.contains(&host));
        Ok(Self { client, instead: (!is_slacks_own).then(|| api.clone()) })
    }

    /// Shows a text, already escaped, to the person whose call named this address.
    ///
    /// # Errors
    /// Why they do not see it. The address is not in it: whoever has it may speak there.
    pub async fn say(&self, response_url: &str, text: &str) -> Result<(), String> {
        let address = self.address(response_url).ok_or("its response_url is none of Slack's")?;
        let body = json!({"response_type": "ephemeral", "replace_original": false, "text": text});
        let answer = self.client.post(address).json(&body).send().await;
        let answer = answer.map_err(|error| causes::told(&error.without_url()))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("Slack answered {status}")) }
    }

    /// Where the word goes. An address that is not Slack's is not asked, whoever signed it.
    fn address(&self, response_url: &str) -> Option<Url> {
        let url = Url::parse(response_url).ok()?;
        let is_slacks = url.scheme() == "https" && url.host_str().is_some_and(|host| HOOKS.contains(&host));
        if !is_slacks {
            return None;
        }
        let Some(instead) = &self.instead else { return Some(url) };
        let mut address = instead.clone();
        let base = instead.path().trim_end_matches('/');
        address.set_path(&format!("{}{}", base.strip_suffix("/api").unwrap_or(base), url.path()));
        address.set_query(url.query());
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_to_slack_or_to_what_takes_its_place_and_nowhere_else() {
        // As `main` does; another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let given = "https://hooks.slack.com/actions/T0/1/x";
        for (api, response_url, expected) in [
            ("https://slack.com/api", given, Some(given)),
            ("https://slack-gov.com/api", "https://hooks.slack-gov.com/a", Some("https://hooks.slack-gov.com/a")),
            ("http://127.0.0.1:8080/api", given, Some("http://127.0.0.1:8080/actions/T0/1/x")),
            ("https://proxy.example.com/slack", given, Some("https://proxy.example.com/slack/actions/T0/1/x")),
            ("https://proxy.example.com/slack/api/", given, Some("https://proxy.example.com/slack/actions/T0/1/x")),
            ("https://slack.com/api", "http://hooks.slack.com/actions/T0/1/x", None),
            ("https://slack.com/api", "https://hooks.slack.com.evil.example/a", None),
            ("https://slack.com/api", "https://evil.example/hooks.slack.com", None),
            ("http://127.0.0.1:8080/api", "http://169.254.169.254/latest", None),
            ("https://slack.com/api", "", None),
        ] {
            let answerer = Answerer::new(&Url::parse(api).unwrap(), &ClientTls::default()).unwrap();
            let address = answerer.address(response_url);
            assert_eq!(address.as_ref().map(Url::as_str), expected, "{api} {response_url}");
        }
    }
}
