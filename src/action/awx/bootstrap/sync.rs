//! A project: its repository, and the synchronisation without which AWX knows none of its playbooks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::site::{Eyes, Found, Wish};
use super::wanted::{Project, Source};
use super::{Building, Had};
use crate::domain::{duration, elapsed};

/// Between two looks; a server that is set to be looked at more often is.
const PAUSE: Duration = Duration::from_secs(2);

impl Building<'_> {
    pub(super) async fn project(
        &mut self,
        project: &Project,
        credentials: &BTreeMap<&str, Had>,
    ) -> Result<Found, String> {
        let mut wish = self.wish("project", &project.name, "projects", "Project Admin");
        wish.query.push(("organization__name", &self.wanted.organization));
        let Some(Source { url, branch, credential, update_on_launch }) = &project.source else {
            wish.ask_for = format!("for the role Use on project {}", project.name);
            return self.reference(&wish).await;
        };
        let credential = match credential {
            None => None,
            Some(name) => match credentials.get(name.as_str()) {
                Some(Some(found)) => found.number(),
                _ => return Err(format!("project {} needs credential {name}, which failed above", project.name)),
            },
        };
        wish.fields = super::object(json!({
            "scm_type": "git", "scm_url": url, "scm_branch": branch, "credential": credential,
            "scm_update_on_launch": update_on_launch,
        }));
        let before = self.site.tally;
        let (found, row) = self.site.ensure(&wish).await?;
        // A new project, and one whose repository changes, is synchronised without being asked to.
        let has_begun = self.site.tally.unchanged == before.unchanged;
        self.synchronise(project, &wish, found, row.as_ref(), has_begun).await?;
        Ok(found)
    }

    async fn synchronise(
        &mut self,
        project: &Project,
        wish: &Wish<'_>,
        found: Found,
        row: Option<&Value>,
        has_begun: bool,
    ) -> Result<(), String> {
        if !has_begun && row.is_some_and(|row| is_good(row["status"].as_str())) {
            return Ok(());
        }
        let what = format!("project {}", project.name);
        let (Found::Number(number), Some(hand)) = (found, &self.site.hand) else {
            self.site.say(&format!("{what}: would be synchronised"));
            return Ok(());
        };
        let path = format!("projects/{number}/");
        let (client, doing) = (self.site.eyes.0, format!("synchronise {what}"));
        let until = client.now() + project.sync_timeout;
        let pause = PAUSE.min(client.times().longest_poll);
        let mut was_asked = has_begun;
        loop {
            let answer = self.site.eyes.get(&path, &[], &doing).await;
            let body = answer.map_err(|fault| self.site.explain(&fault, &wish.ask_for))?.body;
            let status = body["status"].as_str();
            let is_over = !matches!(status, Some("new" | "pending" | "waiting" | "running"));
            if is_good(status) {
                let revision = body["scm_revision"].as_str().unwrap_or_default();
                let revision: String = revision.chars().take(12).collect();
                self.site.say(&format!("{what}: synchronised, at revision {revision}"));
                return Ok(());
            }
            if is_over && !was_asked {
                let asked = hand.post(&format!("{path}update/"), &json!({}), &doing).await;
                asked.map_err(|fault| self.site.explain(&fault, &wish.ask_for))?;
                was_asked = true;
            } else if is_over && status != Some("never updated") {
                let why = why_not(&self.site.eyes, &body).await;
                return Err(format!(
                    "{what} could not be synchronised: {}{why}; check scmUrl, scmBranch and the credential, then run this again",
                    status.unwrap_or("no status"),
                ));
            }
            if elapsed(client.now(), until).is_zero() {
                return Err(format!(
                    "{what} is not synchronised after {} (it is {}); what is done stays done, run this again later, or give it a longer syncTimeout",
                    duration::format(project.sync_timeout),
                    status.unwrap_or("without status"),
                ));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn is_good(status: Option<&str>) -> bool {
    matches!(status, Some("successful" | "ok"))
}

/// Where people find out more.
async fn why_not(eyes: &Eyes<'_>, project: &Value) -> String {
    let Some(update) = project.pointer("/summary_fields/last_update/id").and_then(Value::as_u64) else {
        return String::new();
    };
    let answer = eyes.get(&format!("project_updates/{update}/"), &[], "read why it failed").await;
    let explanation = answer.ok().and_then(|answer| answer.body["job_explanation"].as_str().map(str::to_owned));
    let explanation = explanation.filter(|text| !text.is_empty()).map(|text| format!(": {text}")).unwrap_or_default();
    format!(" (project update {update}{explanation})")
}
