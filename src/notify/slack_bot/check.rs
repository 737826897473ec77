//! What can be known of a bot and its channel without a message.

use serde::Deserialize;

use super::{Refused, SlackBotNotifier};

const FORM: &str = "application/x-www-form-urlencoded";

/// Who we are to Slack.
#[derive(Deserialize)]
struct Known {
    #[serde(default)]
    user: String,
    #[serde(default)]
    team: String,
}

impl SlackBotNotifier {
    /// Asks Slack who we are, what we may do, and, where we may ask that, whether there is such a channel.
    pub(super) async fn introduce(&self) -> Result<String, Refused> {
        let answer = self.exchange("auth.test", FORM, String::new()).await?;
        let Known { user, team } = serde_json::from_str(&answer.body).map_err(|_| self.not_slacks(&answer))?;
        let scopes = answer.headers.get("x-oauth-scopes").and_then(|scopes| scopes.to_str().ok());
        let has = |scope: &str| scopes.is_some_and(|scopes| scopes.split(',').any(|known| known.trim() == scope));
        if scopes.is_some() && !has("chat:write") {
            return Err(Refused::Word { word: "missing_scope".into(), needed: "chat:write".into(), after: None });
        }
        if self.channel.starts_with('#') && has("channels:read") && has("groups:read") {
            self.look_up().await?;
        }
        Ok(self.http.show(&format!("Slack answers, we are {user} of {team} and may write")))
    }
}
