//! `httpJob`: a job on any runner that speaks HTTP, started once and followed to its end.
//!
//! `start` starts it, and looks for one whose start was not answered; `follow` follows it, stops what takes too long, and says what
//! came of it; `read` takes answers apart; `handle` is what the store keeps.

mod follow;
mod handle;
mod read;
mod start;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use self::handle::Handle;
use super::client::{Answer, Client, Sending, said};
use super::fault::Fault;
use super::{Servers, last_words};
use crate::action::{Action, Assignment, Look, Progress, Resumption, Stop};
use crate::domain::Timestamp;
use crate::domain::action::Action as Kind;
use crate::domain::action::http::HttpJob;
use crate::domain::decide::ActionOutcome;
use crate::domain::template::Template;

/// How long one question of `check --online` may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// One job on its server.
struct Runner<'r> {
    client: &'r Client,
    job: &'r HttpJob<String>,
    assignment: &'r Assignment,
}

impl Runner<'_> {
    /// A moment before the attempt's end, so that what is known can still be said.
    fn until(&self) -> Timestamp {
        self.assignment.deadline - last_words(self.assignment)
    }

    /// What will be started.
    fn name(&self) -> String {
        format!("{} «{}»", self.job.kind, self.job.name)
    }

    /// What has been started.
    fn called(&self, handle: &Handle) -> String {
        match &handle.id {
            Some(id) => format!("{} {id}", self.name()),
            None => self.name(),
        }
    }

    /// Where people look at the job.
    fn page(&self, handle: &Handle, answer: Option<&Answer>) -> String {
        let told = answer.and_then(|answer| read::page(&answer.json, self.job.poll.page.as_ref()));
        told.unwrap_or_else(|| match (&self.job.page, &self.job.queue, &handle.id) {
            (Some(page), _, Some(_)) => self.client.address(&page.with(handle.facts())),
            (None, _, Some(_)) => self.client.address(&self.job.poll.location.with(handle.facts())),
            (_, Some(queue), None) => self.client.address(&queue.location.with(handle.facts())),
            (_, None, None) => self.client.place(),
        })
    }

    /// Asks whether anything speaks against a start.
    async fn require(&self) -> Result<(), ActionOutcome> {
        let Some(require) = &self.job.require else { return Ok(()) };
        let doing = format!("see whether {} takes what the rule asks for", self.name());
        let sending = Sending::get(require.location.path_and_query(), &doing);
        let answer = self.client.send(&sending, self.until()).await.map_err(Fault::not_asked)?;
        let said = || format!("could not {doing} on {}: {}", self.client.place(), said(&answer));
        match answer.status {
            200..=299 if answer.json.pointer(&require.pointer) == Some(&Value::Bool(false)) => {
                Err(ActionOutcome::Refused { error: format!("{}: {}", self.name(), require.why) })
            }
            200..=299 => Ok(()),
            429 | 500..=599 => Err(ActionOutcome::Unreachable { error: said() }),
            _ => Err(ActionOutcome::Refused { error: said() }),
        }
    }

    /// Sends what changes something, with a crumb where the server refuses for want of one, which it says before anything is
    /// done.
    async fn change(&self, sending: &Sending) -> Result<Answer, Fault> {
        let until = self.until();
        let answer = self.client.send(sending, until).await?;
        let Some(path) = &self.job.crumb else { return Ok(answer) };
        if answer.status != 403 || !answer.text.to_ascii_lowercase().contains("crumb") {
            return Ok(answer);
        }
        let given = self.client.send(&Sending::get(path.clone(), "get a crumb"), until).await?;
        let text = |pointer: &str| given.json.pointer(pointer).and_then(Value::as_str);
        let Some((field, crumb)) = text("/crumbRequestField").zip(text("/crumb")) else { return Ok(answer) };
        // A crumb is good for the session it was given in.
        let cookies =
            given.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let mut again = sending.clone().header(field, crumb);
        if !cookies.is_empty() {
            again = again.header("cookie", &cookies);
        }
        self.client.send(&again, until).await
    }
}

/// `httpJob`.
pub struct JobAction {
    servers: Arc<Servers>,
}

impl JobAction {
    /// On these servers.
    #[must_use]
    pub const fn new(servers: Arc<Servers>) -> Self {
        Self { servers }
    }

    fn parts<'a>(&self, assignment: &'a Assignment) -> Result<(Arc<Client>, &'a HttpJob<String>), ActionOutcome> {
        let Kind::HttpJob(job) = &assignment.action else {
            return Err(ActionOutcome::Failed { error: "this action is no httpJob".to_owned() });
        };
        Ok((self.servers.named(&job.server)?, job))
    }
}

#[async_trait]
impl Action for JobAction {
    async fn look(&self, assignment: &Assignment) -> Look {
        match self.parts(assignment) {
            Err(outcome) => Look::Over(outcome),
            Ok((client, job)) => {
                let runner = Runner { client: &client, job, assignment };
                if let Err(outcome) = runner.require().await {
                    return Look::Over(outcome);
                }
                let handle = Handle { key: assignment.attempt.to_string(), ..Handle::default() };
                let found =
                    format!("{} is to be started on {}, with key {}", runner.name(), client.place(), handle.key);
                Look::Ready { handle: handle.write(), found }
            }
        }
    }

    async fn start(&self, assignment: &Assignment, handle: &Value) -> Result<(Value, String), ActionOutcome> {
        let (client, job) = self.parts(assignment)?;
        Runner { client: &client, job, assignment }.start(Handle::read(handle)?).await
    }

    async fn resume(&self, assignment: &Assignment, handle: &Value) -> Result<Resumption, ActionOutcome> {
        let (client, job) = self.parts(assignment)?;
        Runner { client: &client, job, assignment }.resume(Handle::read(handle)?).await
    }

    async fn poll(&self, assignment: &Assignment, handle: &Value) -> Progress {
        let followed = async {
            let (client, job) = self.parts(assignment)?;
            Ok::<_, ActionOutcome>(Runner { client: &client, job, assignment }.follow(Handle::read(handle)?).await)
        };
        Progress::Over(followed.await.unwrap_or_else(|outcome| outcome))
    }

    async fn cancel(&self, assignment: &Assignment, handle: &Value) -> Stop {
        let asked = async {
            let (client, job) = self.parts(assignment)?;
            let mut handle = Handle::read(handle)?;
            Ok::<_, ActionOutcome>(Runner { client: &client, job, assignment }.ask_to_stop(&mut handle).await)
        };
        asked.await.unwrap_or(Stop::Impossible)
    }
}

impl Servers {
    /// Asks a server whether a rule's job is there and may be used; starts nothing.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub async fn check_job(&self, job: &HttpJob<Template>) -> Result<String, String> {
        let client = self.configured.get(&job.server);
        let client = client.ok_or_else(|| format!("there is no HTTP server {}", job.server))?;
        let name = format!("{} «{}»", job.kind, job.name.source());
        let Some(check) = &job.check else { return Ok(format!("{name} has no `check`; its server is asked alone")) };
        if check.texts().any(|text| !text.is_literal()) {
            return Ok(format!("{name} is named by alerts; it is asked about when one comes"));
        }
        let path = check.as_written();
        let asked = client.send(&Sending::get(path, "see whether the job is there"), client.now() + PATIENCE).await;
        let answer = asked.map_err(|fault| fault.to_string())?;
        match answer.status {
            200..=299 => Ok(format!("{name} is there")),
            404 => Err(format!("{name} is not there, or we may not see it ({})", said(&answer))),
            401 | 403 => Err(format!("we may not use {name}: {}; check token and permissions", said(&answer))),
            _ => Err(format!("{name}: {}", said(&answer))),
        }
    }
}
