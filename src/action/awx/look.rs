//! Before a launch: find the one template, see what it takes, resolve names, and see that no run of ours is still at it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::client::{Answer, Client};
use super::fault::{Fault, Kind};
use super::handle::Handle;
use super::model::{self, Job, Preflight, Question};
use super::preflight::{self, Marker, Resolved, Sending};
use crate::action::words::bounded;
use crate::action::{Assignment, Look};
use crate::domain::action::AwxJob;
use crate::domain::decide::ActionOutcome;
use crate::domain::{Timestamp, elapsed};

/// Templates and names that were found keep their numbers for a moment, which spares a burst of launches most of its questions.
/// Not for longer: who names things anew in AWX, or adds a second one of a name, is to be noticed.
#[derive(Default)]
pub(super) struct Memory {
    /// Held while something is looked up, so that many launches at once ask once.
    asking: tokio::sync::Mutex<()>,
    user: Mutex<Option<String>>,
    numbers: Mutex<BTreeMap<String, (u64, Timestamp)>>,
}

/// Numbers kept; rules name far fewer.
const REMEMBERED: usize = 1000;
/// For how long they are.
const MOMENT: Duration = Duration::from_mins(1);

impl Memory {
    fn get(&self, key: &str, now: Timestamp) -> Option<u64> {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.get(key).filter(|(_, found_at)| elapsed(*found_at, now) < MOMENT).map(|(number, _)| *number)
    }

    fn put(&self, key: String, number: u64, now: Timestamp) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if numbers.len() >= REMEMBERED {
            numbers.clear();
        }
        numbers.insert(key, (number, now));
    }

    /// Our name on the server, once it was asked.
    pub(super) fn known_user(&self) -> Option<String> {
        self.user.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets every number, because one turned out to be gone or to be another one's.
    pub(super) fn forget(&self) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Runs on one page, which is as many as the server gives, and pages read.
const PAGE: usize = 200;
const MAX_PAGES: usize = 25;

/// The folder of a kind of template.
pub(super) const fn folder(is_workflow: bool) -> &'static str {
    if is_workflow { "workflow_job_templates" } else { "job_templates" }
}

/// Our own name on the server, by which runs of ours are told from others.
pub(super) async fn user(client: &Client, memory: &Memory, until: Timestamp) -> Result<String, Fault> {
    if let Some(user) = memory.known_user() {
        return Ok(user);
    }
    let _asking = memory.asking.lock().await;
    if let Some(user) = memory.known_user() {
        return Ok(user);
    }
    let doing = "see who we are";
    let answer = client.get("me/", &[], doing, until).await?;
    let user = model::rows(&answer.body).first().and_then(|row| row.get("username")?.as_str().map(str::to_owned));
    let user = user.ok_or_else(|| client.fault(doing, Kind::Garbled("it names no user".to_owned())))?;
    *memory.user.lock().unwrap_or_else(PoisonError::into_inner) = Some(user.clone());
    Ok(user)
}

/// A look at one server on behalf of one launch.
pub(super) struct Looking<'l> {
    pub client: &'l Client,
    pub memory: &'l Memory,
    pub job: &'l AwxJob<String>,
    pub until: Timestamp,
}

impl Looking<'_> {
    /// Everything that must be known before a launch; changes nothing.
    pub(super) async fn look(&self, assignment: &Assignment) -> Result<Look, ActionOutcome> {
        let (template, answer, found) = self.preflight().await?;
        let survey = self.survey(template, &found).await?;
        let sending = preflight::check(self.job, &found, &survey).map_err(|wrong| self.refuse(template, &wrong))?;
        let resolved = self.resolve().await?;
        self.see_that_none_runs(template).await?;
        let newest = if sending.marker == Marker::None { Some(self.newest(template).await?) } else { None };
        let types = survey.into_iter().filter(|question| self.job.extra_vars.contains_key(&question.variable));
        let handle = Handle {
            template,
            key: assignment.attempt.to_string(),
            marker: sending.marker,
            since: answer.date.unwrap_or_else(|| self.client.now()),
            newest,
            resolved,
            survey: types.map(|question| (question.variable, question.kind)).collect(),
            job: None,
        };
        Ok(Look::Ready { handle: handle.write(), found: self.found(template, &sending) })
    }

    fn found(&self, template: u64, sending: &Sending) -> String {
        let found = format!("{} is number {template} and takes all the rule asks for", self.name());
        std::iter::once(found).chain(sending.notes.iter().cloned()).collect::<Vec<_>>().join("; ")
    }

    fn template_name(&self) -> String {
        let kind = if self.job.workflow { "workflow template" } else { "template" };
        let place = match (&self.job.organization, &self.job.project) {
            (Some(organization), _) => format!(" of organization {organization}"),
            (None, Some(project)) => format!(" of project {project}"),
            (None, None) => String::new(),
        };
        format!("{kind} «{}»{place}", self.job.template)
    }

    /// The template and its server; a fault names the server by itself.
    fn name(&self) -> String {
        self.at_server(&self.template_name())
    }

    fn at_server(&self, thing: &str) -> String {
        format!("{thing} on AWX {}", self.client.server().name)
    }

    fn refuse(&self, template: u64, wrong: &[String]) -> ActionOutcome {
        ActionOutcome::Refused {
            error: format!("{} (number {template}) was not launched: {}", self.name(), wrong.join("; ")),
        }
    }

    /// The number of the one template the rule means. A name alone may mean several, and a list shows only what we may see.
    async fn template(&self) -> Result<u64, ActionOutcome> {
        let mut query = vec![("name", self.job.template.as_str())];
        if let Some(organization) = &self.job.organization {
            query.push(("organization__name", organization));
        }
        // A workflow belongs to no project.
        if let Some(project) = self.job.project.as_ref().filter(|_| !self.job.workflow) {
            query.push(("project__name", project));
        }
        self.number_of(folder(self.job.workflow), &query, &self.template_name()).await
    }

    async fn number_of(&self, list: &str, query: &[(&str, &str)], name: &str) -> Result<u64, ActionOutcome> {
        let key = format!("{list}?{query:?}");
        let known = || self.memory.get(&key, self.client.now());
        if let Some(number) = known() {
            return Ok(number);
        }
        let _asking = self.memory.asking.lock().await;
        if let Some(number) = known() {
            return Ok(number);
        }
        let answer = self.client.get(&format!("{list}/"), query, &format!("look up {name}"), self.until).await?;
        let numbers: Vec<u64> = model::rows(&answer.body).iter().filter_map(|row| row.get("id")?.as_u64()).collect();
        let name = self.at_server(name);
        match numbers.as_slice() {
            [number] => {
                self.memory.put(key, *number, self.client.now());
                Ok(*number)
            }
            [] => {
                let right = match list {
                    "inventories" | "credentials" => "give the user Use on it",
                    "labels" => "make the user a member of its organization",
                    _ => "give the user Execute on it",
                };
                let error = format!("there is no {name}, or our user may not see it: check the name, and {right}");
                Err(ActionOutcome::Refused { error })
            }
            several => Err(ActionOutcome::Refused {
                error: format!(
                    "there are {} of the name {name} (numbers {}): say in the rule which `organization` is meant",
                    several.len(),
                    several.iter().take(5).map(u64::to_string).collect::<Vec<_>>().join(", ")
                ),
            }),
        }
    }

    /// The template's number and what it takes. Asked at every launch, because that is changed by a click; a template that was
    /// removed or renamed since it was found is looked up anew.
    pub(super) async fn preflight(&self) -> Result<(u64, Answer, Preflight), ActionOutcome> {
        let doing = format!("see what {} takes", self.template_name());
        let mut gone = String::new();
        for _ in 0..2 {
            let template = self.template().await?;
            let path = format!("{}/{template}/launch/", folder(self.job.workflow));
            let answer = match self.client.get(&path, &[], &doing, self.until).await {
                Err(fault) if fault.status() == Some(404) => {
                    self.memory.forget();
                    gone = fault.to_string();
                    continue;
                }
                answer => answer?,
            };
            let garbled = || self.client.fault(&doing, Kind::Garbled("it does not say what is needed to start".into()));
            let found = Preflight::of(&answer.body).ok_or_else(garbled)?;
            match found.name() {
                Some(name) if name != self.job.template => {
                    self.memory.forget();
                    gone = format!("{}: number {template} is now called «{}»", self.name(), bounded(name));
                }
                _ => return Ok((template, answer, found)),
            }
        }
        Err(ActionOutcome::Unreachable { error: gone })
    }

    pub(super) async fn survey(&self, template: u64, found: &Preflight) -> Result<Vec<Question>, ActionOutcome> {
        if !preflight::needs_survey(self.job, found) {
            return Ok(Vec::new());
        }
        let path = format!("{}/{template}/survey_spec/", folder(self.job.workflow));
        let answer =
            self.client.get(&path, &[], &format!("read the survey of {}", self.template_name()), self.until).await?;
        Ok(model::questions(&answer.body))
    }

    pub(super) async fn resolve(&self) -> Result<Resolved, ActionOutcome> {
        let mut resolved = Resolved::default();
        if let Some(name) = &self.job.inventory {
            resolved.inventory = Some(self.thing("inventories", "inventory", name).await?);
        }
        for name in &self.job.credentials {
            resolved.credentials.push(self.thing("credentials", "credential", name).await?);
        }
        for name in &self.job.labels {
            resolved.labels.push(self.thing("labels", "label", name).await?);
        }
        Ok(resolved)
    }

    async fn thing(&self, list: &str, kind: &str, name: &str) -> Result<u64, ActionOutcome> {
        let mut query = vec![("name", name)];
        if let Some(organization) = &self.job.organization {
            query.push(("organization__name", organization));
        }
        self.number_of(list, &query, &format!("{kind} «{name}»")).await
    }

    /// An earlier attempt may have run out of time while its job goes on; a second one would work against it.
    async fn see_that_none_runs(&self, template: u64) -> Result<(), ActionOutcome> {
        let doing = format!("see whether {} still runs for us", self.template_name());
        let user = user(self.client, self.memory, self.until).await?;
        let (template, limit) = (template.to_string(), self.job.limit.join(","));
        let mut query = vec![
            ("created_by__username", user.as_str()),
            ("unified_job_template", &template),
            ("status__in", "new,pending,waiting,running"),
        ];
        // Not `limit` alone, which the server passes over. A workflow's list does not filter by it.
        if !limit.is_empty() && !self.job.workflow {
            query.push(("limit__exact", &limit));
        }
        let runs = runs(self.client, self.job.workflow, &query, None, &doing, self.until).await?;
        match runs.into_iter().find(|run| is_same_target(self.job, run)) {
            None => Ok(()),
            Some(run) => Err(ActionOutcome::Unreachable {
                error: format!(
                    "job {} of ours still runs it on the same target ({}); waiting for it to end",
                    run.id,
                    self.client.server().root.page(run.is_workflow, run.id)
                ),
            }),
        }
    }

    /// The newest run of ours of this template: what comes after it came after we looked.
    async fn newest(&self, template: u64) -> Result<u64, ActionOutcome> {
        let user = user(self.client, self.memory, self.until).await?;
        let template = template.to_string();
        let query = [
            ("created_by__username", user.as_str()),
            ("unified_job_template", &template),
            ("order_by", "-id"),
            ("page_size", "1"),
        ];
        let list = if self.job.workflow { "workflow_jobs/" } else { "jobs/" };
        let answer = self.client.get(list, &query, "find the newest run of ours", self.until).await?;
        Ok(model::rows(&answer.body).first().and_then(|row| row.get("id")?.as_u64()).unwrap_or(0))
    }
}

/// All runs a query finds, after a number if one is given. Read page by page behind the last number seen, because pages that are
/// counted shift while runs are added, and a run that is overlooked would be launched again.
pub(super) async fn runs(
    client: &Client,
    is_workflow: bool,
    query: &[(&str, &str)],
    mut after: Option<u64>,
    doing: &str,
    until: Timestamp,
) -> Result<Vec<Job>, Fault> {
    let list = if is_workflow { "workflow_jobs/" } else { "jobs/" };
    let mut found = Vec::new();
    for _ in 0..MAX_PAGES {
        let behind = after.map(|id| id.to_string());
        let mut query = query.to_vec();
        query.extend([("order_by", "id"), ("page_size", "200")]);
        query.extend(behind.as_deref().map(|id| ("id__gt", id)));
        let answer = client.get(list, &query, doing, until).await?;
        let rows = model::rows(&answer.body);
        found.extend(rows.iter().filter_map(Job::of));
        after = found.last().map(|job: &Job| job.id);
        if rows.len() < PAGE {
            return Ok(found);
        }
    }
    Err(client.fault(doing, Kind::Garbled(format!("there are more than {} runs", PAGE * MAX_PAGES))))
}

/// Whether a run touches what a rule's job would: the same hosts with the same variables of the rule.
fn is_same_target(job: &AwxJob<String>, run: &Job) -> bool {
    let same_hosts = job.limit.is_empty() || run.limit.is_empty() || run.limit == job.limit.join(",");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let same_variables = job.variables().iter().all(|(name, value)| {
        run.extra_vars.get(name).is_none_or(|other| other == "$encrypted$" || text(other) == text(value))
    });
    same_hosts && same_variables
}
