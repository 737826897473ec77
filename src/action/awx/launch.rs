//! The launch, once. There is no way to launch «if not launched yet», so an answer that got lost means: look for the run before
//! anything else is done.

use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::fault::{Fault, Kind};
use super::handle::Handle;
use super::look::{Memory, folder, runs, user};
use super::model::Job;
use super::preflight::{self, KEY, Marker, Resolved, tag};
use crate::action::{Assignment, Resumption};
use crate::domain::action::{AwxJob, JobType};
use crate::domain::decide::ActionOutcome;
use crate::domain::{Timestamp, elapsed};

/// Pauses between two searches for a run whose launch was not answered.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How far the clocks that wrote `created` may be apart.
const SKEW: Duration = Duration::from_mins(10);

/// What a search found.
enum Found {
    /// The run.
    One(Job),
    /// More than one that could be it.
    Several(Vec<u64>),
    /// There is none, and none can come any more.
    None,
    /// The server could not be asked to the end.
    Unknown(String),
}

/// A launch on its way.
pub(super) struct Launching<'l> {
    pub client: &'l Client,
    pub memory: &'l Memory,
    pub job: &'l AwxJob<String>,
    pub assignment: &'l Assignment,
}

impl Launching<'_> {
    /// A moment before the attempt's end, so that what is known can still be said.
    fn until(&self) -> Timestamp {
        self.assignment.deadline - last_words(self.assignment)
    }

    fn name(&self) -> String {
        format!("template «{}»", self.job.template)
    }

    /// Launches and answers the handle that leads to the run.
    pub(super) async fn launch(&self, mut handle: Handle) -> Result<(Value, String), ActionOutcome> {
        let alert = self.assignment.alert.as_deref();
        let body = preflight::body(self.job, &handle.resolved, &handle.questions(), handle.marker, &handle.key, alert);
        let path = format!("{}/{}/launch/", folder(self.job.workflow), handle.template);
        let doing = format!("launch {}", self.name());
        let job = match self.client.launch(&path, &body, &doing, self.until()).await {
            Ok(answer) => match launched(&answer.body) {
                Some((job, ignored)) if ignored.is_empty() => {
                    let request = answer.request.as_deref().unwrap_or_default();
                    tracing::info!(job, template = self.job.template, key = handle.key, request, "launched an AWX job");
                    job
                }
                Some((job, ignored)) => {
                    return Err(self.undo(job, &format!("AWX ignored {}", ignored.join(", "))).await);
                }
                None => {
                    let said = format!("HTTP {} without a job", answer.status);
                    self.find_lost(&handle, &self.client.fault(&doing, Kind::Garbled(said))).await?
                }
            },
            Err(fault) if fault.never_arrived() => return Err(fault.into()),
            Err(fault) => match refused(&fault) {
                Some(outcome) => {
                    // A number it names may be gone by now.
                    self.memory.forget();
                    return Err(outcome);
                }
                None => self.find_lost(&handle, &fault).await?,
            },
        };
        handle.job = Some(job);
        Ok((handle.write(), format!("launched AWX job {job} ({})", self.page(job))))
    }

    fn page(&self, job: u64) -> String {
        self.client.server().root.page(self.job.workflow, job)
    }

    /// After a process died between preparing a launch and recording it: was it launched?
    pub(super) async fn resume(&self, mut handle: Handle) -> Result<Resumption, ActionOutcome> {
        match self.search(&handle).await {
            Found::One(run) => {
                let job = self.adopt(&run, &handle).await?;
                handle.job = Some(job);
                let what =
                    format!("AWX job {job} had been launched before this process took over ({})", self.page(job));
                Ok(Resumption::Follow { handle: handle.write(), what })
            }
            Found::None => Ok(Resumption::Start),
            other => Err(self.doubt(other, "a process died while it launched")),
        }
    }

    /// Finds the run of a launch that was not answered.
    async fn find_lost(&self, handle: &Handle, fault: &Fault) -> Result<u64, ActionOutcome> {
        tracing::warn!(error = %fault, key = handle.key, "a launch was not answered; looking for its job before anything else");
        match self.search(handle).await {
            Found::One(run) => self.adopt(&run, handle).await,
            Found::None => Err(ActionOutcome::Unreachable {
                error: format!("{fault}; no job came of it, so it can be launched again"),
            }),
            other => Err(self.doubt(other, &fault.to_string())),
        }
    }

    /// Looks for the run until one is found, or until none can appear any more.
    async fn search(&self, handle: &Handle) -> Found {
        let (began, until) = (self.client.now(), self.until());
        let mut pause = PAUSES.0.min(self.client.times().lost_answer / 4);
        loop {
            let searched = self.candidates(handle).await;
            let now = self.client.now();
            let waited = elapsed(began, now) >= self.client.times().lost_answer;
            match searched {
                Ok(runs) => match runs.as_slice() {
                    [_] => return runs.into_iter().next().map_or(Found::None, Found::One),
                    [] if waited => return Found::None,
                    [] => {}
                    _ => return Found::Several(runs.iter().map(|run| run.id).collect()),
                },
                Err(fault) if now >= until => return Found::Unknown(fault.to_string()),
                Err(_) => {}
            }
            if now >= until {
                return Found::Unknown("there was no time to wait for it to appear".to_owned());
            }
            tokio::time::sleep(pause.min(elapsed(now, until))).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Runs that may be this launch: ours, of this template, since we looked, with our key. Variables cannot be searched for, so
    /// they are compared here.
    async fn candidates(&self, handle: &Handle) -> Result<Vec<Job>, Fault> {
        let until = self.assignment.deadline;
        let user = user(self.client, self.memory, until).await?;
        let (template, since) = (handle.template.to_string(), (handle.since - SKEW).to_string());
        let mut query = vec![("created_by__username", user.as_str()), ("unified_job_template", &template)];
        if handle.newest.is_none() {
            query.push(("created__gt", &since));
        }
        let limit = self.job.limit.join(",");
        // A key finds a run even if AWX dropped its limit.
        if !limit.is_empty() && !self.job.workflow && handle.marker == Marker::None {
            query.push(("limit__exact", &limit));
        }
        let doing = format!("look for a run of {}", self.name());
        let runs = runs(self.client, self.job.workflow, &query, handle.newest, &doing, until).await?;
        let is_ours = |run: &Job| match handle.marker {
            Marker::Variables => run.extra_vars.get(KEY).and_then(Value::as_str) == Some(&handle.key),
            Marker::SkipTags => run.skip_tags.split(',').any(|part| part.trim() == tag(&handle.key)),
            Marker::None => limit.is_empty() || run.limit == limit,
        };
        Ok(runs.into_iter().filter(is_ours).collect())
    }

    /// Takes a run that was found as the one that was asked for, if it is what was asked for: what AWX said it ignored was in
    /// the answer nobody got.
    async fn adopt(&self, run: &Job, handle: &Handle) -> Result<u64, ActionOutcome> {
        match difference(self.job, &handle.resolved, run) {
            Some(difference) => Err(self.undo(run.id, &difference).await),
            None => Ok(run.id),
        }
    }

    /// Cancels a run that is not what the rule asks for, and calls a human.
    async fn undo(&self, job: u64, why: &str) -> ActionOutcome {
        let page = self.page(job);
        let cancelled = cancel(self.client, self.job.workflow, job, self.assignment.deadline).await;
        let then = match cancelled {
            Ok(()) => "it was told to stop at once".to_owned(),
            Err(fault) => format!("and it could not be stopped ({fault}): stop it by hand"),
        };
        ActionOutcome::Doubtful {
            error: format!("AWX job {job} ({page}) is not what the rule asks for: {why}; {then}; look what it did"),
        }
    }

    fn doubt(&self, found: Found, because: &str) -> ActionOutcome {
        let what = match found {
            Found::Several(ids) => format!(
                "{} jobs could be the one ({}); nobody guesses",
                ids.len(),
                ids.iter().take(5).map(u64::to_string).collect::<Vec<_>>().join(", ")
            ),
            Found::Unknown(said) => format!("whether a job was made could not be found out: {said}"),
            Found::One(_) | Found::None => String::new(),
        };
        ActionOutcome::Doubtful {
            error: format!(
                "{because}; {what}; look into the jobs of {} on AWX {}",
                self.name(),
                self.client.server().name
            ),
        }
    }
}

/// What of a run is not what the rule asks for. A workflow's own record does not show all of it; what it does not prompt for is
/// refused there, never dropped.
fn difference(job: &AwxJob<String>, resolved: &Resolved, run: &Job) -> Option<String> {
    if let Some(name) = job.extra_vars.keys().find(|name| !run.extra_vars.contains_key(*name)) {
        return Some(format!("it did not get the variable {name}"));
    }
    if run.is_workflow {
        return None;
    }
    let limit = job.limit.join(",");
    let texts = [
        ("limit is", Some(limit.as_str()).filter(|limit| !limit.is_empty()), &run.limit),
        ("job tags are", job.job_tags.as_deref(), &run.choices.tags),
        ("job type is", job.job_type.map(JobType::as_str), &run.choices.kind),
    ];
    for (what, wanted, got) in texts {
        if let Some(wanted) = wanted.filter(|wanted| wanted != got) {
            return Some(format!("its {what} {got:?} instead of {wanted:?}"));
        }
    }
    // Our own tag may stand among them.
    if let Some(tags) = job.skip_tags.as_ref().filter(|tags| !run.skip_tags.starts_with(tags.as_str())) {
        return Some(format!("it leaves out the tags {:?} instead of {tags:?}", run.skip_tags));
    }
    if resolved.inventory.is_some() && resolved.inventory != run.choices.inventory {
        return Some("it runs on another inventory".to_owned());
    }
    let lacks = |wanted: &[u64], got: &Option<Vec<u64>>| {
        got.as_ref().is_some_and(|got| wanted.iter().any(|wanted| !got.contains(wanted)))
    };
    [
        ("credentials", &resolved.credentials, &run.choices.credentials),
        ("labels", &resolved.labels, &run.choices.labels),
    ]
    .into_iter()
    .find(|(_, wanted, got)| lacks(wanted, got))
    .map(|(what, ..)| format!("it did not get the {what}"))
}

/// A part of the attempt's time kept to say how it went.
pub(super) fn last_words(assignment: &Assignment) -> Duration {
    (elapsed(assignment.began_at, assignment.deadline) / 10).min(Duration::from_secs(5))
}

/// The number of a launched run, and what AWX dropped of what was asked for; `None` when the answer names no run.
fn launched(body: &Value) -> Option<(u64, Vec<String>)> {
    let id = ["job", "workflow_job", "id"].iter().find_map(|field| body.get(field)?.as_u64())?;
    let ignored = body.get("ignored_fields").and_then(Value::as_object);
    let name = |(field, value): (&String, &Value)| match value {
        Value::Object(parts) if field == "extra_vars" => {
            format!("the variables {}", parts.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
        _ => field.clone(),
    };
    Some((id, ignored.into_iter().flatten().map(name).collect()))
}

/// What a refusal means; `None` when it may not be one.
fn refused(fault: &Fault) -> Option<ActionOutcome> {
    let error = fault.to_string();
    match &fault.kind {
        // The project's last update failed; the next one may succeed.
        Kind::Status { status: 400, said, .. } if said.starts_with("playbook:") => {
            Some(ActionOutcome::Failed { error })
        }
        Kind::Status { status: 400 | 403 | 405 | 409 | 415 | 422, .. } => Some(ActionOutcome::Refused { error }),
        Kind::Status { status: 404, .. } => Some(ActionOutcome::Failed { error }),
        Kind::Status { status, .. } if *status < 500 && *status != 408 => Some(ActionOutcome::Failed { error }),
        _ => None,
    }
}

/// Asks for a run to be stopped. One that has ended already is fine.
pub(super) async fn cancel(client: &Client, is_workflow: bool, job: u64, until: Timestamp) -> Result<(), Fault> {
    let list = if is_workflow { "workflow_jobs" } else { "jobs" };
    let doing = format!("cancel job {job}");
    let mut tries = 3;
    loop {
        tries -= 1;
        let answer = client.ask(&format!("{list}/{job}/cancel/"), &doing, until).await;
        match answer {
            Ok(_) => return Ok(()),
            Err(fault) if fault.status() == Some(405) => return Ok(()),
            Err(fault) if fault.status() == Some(403) => {
                let path = format!("{list}/{job}/");
                let seen = client.get(&path, &[], &doing, until).await?;
                let is_over = Job::of(&seen.body).is_some_and(|job| job.state.is_final());
                return if is_over { Ok(()) } else { Err(fault) };
            }
            Err(fault) if fault.may_pass() && tries > 0 => tokio::time::sleep(Duration::from_millis(500)).await,
            Err(fault) => return Err(fault),
        }
    }
}
