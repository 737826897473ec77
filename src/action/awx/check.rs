//! What can be known of a rule's job before any alert: whether its template is there, may be run, and takes all the rule sends.

use std::time::Duration;

use super::AwxAction;
use super::look::{Looking, folder, user};
use super::preflight;
use crate::domain::action::{AwxJob, Tree};
use crate::domain::decide::ActionOutcome;
use crate::domain::template::Template;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_mins(1);

impl AwxAction {
    /// Asks a server who we are there.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub async fn check_server(&self, name: &str) -> Result<String, String> {
        let server = self.servers.get(name).ok_or_else(|| format!("there is no AWX server {name}"))?;
        let until = server.client.now() + PATIENCE;
        let user = user(&server.client, &server.memory, until).await.map_err(|fault| fault.to_string())?;
        Ok(format!("{} answers, we are {user}", server.client.server().root))
    }

    /// Asks a server whether it would take what a rule's job sends; launches nothing.
    ///
    /// # Errors
    /// What is wrong, and what to change.
    pub async fn check_job(&self, job: &AwxJob<Template>) -> Result<String, String> {
        let server = self.servers.get(&job.server).ok_or_else(|| format!("there is no AWX server {}", job.server))?;
        let Some((wanted, named)) = before_alerts(job) else {
            return Ok(format!(
                "which template «{}» is, is named by alerts; it is asked about when one comes",
                job.template.source()
            ));
        };
        let until = server.client.now() + PATIENCE;
        let (client, memory) = (server.client.as_ref(), &server.memory);
        let looking = Looking { client, memory, job: &wanted, until };
        let asked = async {
            let (template, _, found) = looking.preflight().await?;
            let survey = looking.survey(template, &found).await?;
            // Everything at once: whoever changes a template wants to do it in one go.
            let (notes, mut wrong) = match preflight::check(&wanted, &found, &survey) {
                Ok(sending) => (sending.notes, Vec::new()),
                Err(wrong) => (Vec::new(), wrong),
            };
            match (Looking { client, memory, job: &named, until }).resolve().await {
                Err(ActionOutcome::Refused { error }) => wrong.push(error),
                resolved => drop(resolved?),
            }
            let path = format!("{}/{template}/", folder(wanted.workflow));
            let answer = client.get(&path, &[], "see whether we may run it", until).await?;
            if answer.body.pointer("/summary_fields/user_capabilities/start") == Some(&serde_json::Value::Bool(false)) {
                wrong.push("we may see it but not run it: give our user Execute on it".to_owned());
            }
            if wrong.is_empty() {
                Ok((template, notes))
            } else {
                Err(ActionOutcome::Refused { error: wrong.join("; ") })
            }
        };
        let (template, notes) = asked.await.map_err(|outcome| match outcome {
            ActionOutcome::Refused { error }
            | ActionOutcome::Failed { error }
            | ActionOutcome::Doubtful { error }
            | ActionOutcome::Unreachable { error } => format!("template «{}»: {error}", wanted.template),
            _ => format!("template «{}»: the server did not answer in time", wanted.template),
        })?;
        let takes = format!("template «{}» is number {template} and takes all the rule sends", wanted.template);
        Ok(std::iter::once(takes).chain(notes).collect::<Vec<_>>().join("; "))
    }
}

/// The job as far as the rule alone says it: once with everything that will be sent in some form, and once with only the names
/// that are known already. `None` when not even the template is, or the organization or project that tells it from others.
fn before_alerts(job: &AwxJob<Template>) -> Option<(AwxJob<String>, AwxJob<String>)> {
    let literal = |text: &Template| text.is_literal().then(|| text.source().to_owned());
    let known = |text: &Option<Template>| text.as_ref().and_then(literal);
    let present = |text: &Option<Template>| text.as_ref().map(|text| text.source().to_owned());
    let is_known = |text: &Option<Template>| text.as_ref().is_none_or(Template::is_literal);
    if !is_known(&job.organization) || !is_known(&job.project) {
        return None;
    }
    let sources = |texts: &[Template]| texts.iter().map(|text| text.source().to_owned()).collect::<Vec<_>>();
    let wanted = AwxJob {
        server: job.server.clone(),
        template: literal(&job.template)?,
        workflow: job.workflow,
        organization: known(&job.organization),
        project: known(&job.project),
        inventory: present(&job.inventory),
        limit: sources(&job.limit),
        extra_vars: job.extra_vars.keys().map(|name| (name.clone(), Tree::Text(String::new()))).collect(),
        job_tags: present(&job.job_tags),
        skip_tags: present(&job.skip_tags),
        credentials: sources(&job.credentials),
        labels: sources(&job.labels),
        job_type: job.job_type,
    };
    let named = AwxJob {
        inventory: known(&job.inventory),
        credentials: job.credentials.iter().filter_map(literal).collect(),
        labels: job.labels.iter().filter_map(literal).collect(),
        ..wanted.clone()
    };
    Some((wanted, named))
}
