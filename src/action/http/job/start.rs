//! The start, once. Where its answer got lost the job is looked for by its key before anything else is done; where there is no way to
//! look, nobody starts it again.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::Runner;
use super::handle::Handle;
use super::read;
use crate::action::Resumption;
use crate::action::http::client::{Answer, Sending, said};
use crate::action::http::fault::Fault;
use crate::domain::action::http::Find;
use crate::domain::decide::ActionOutcome;
use crate::domain::duration;
use crate::domain::elapsed;

/// Pauses between two searches for a job whose start was not answered.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Entries of a list that are looked at; more jobs within minutes are told apart no more.
const SEARCHED: usize = 100;
/// Entries that are asked about one by one.
const ASKED: usize = 20;

/// What a search found.
enum Found {
    /// The job, or its place in the queue.
    One(Handle),
    /// More than one that could be it.
    Several(Vec<String>),
    /// There is none, and none can come any more.
    None,
    /// The server could not be asked to the end.
    Unknown(String),
}

impl Runner<'_> {
    /// Starts the job and answers the handle that leads to it.
    pub(super) async fn start(&self, mut handle: Handle) -> Result<(Value, String), ActionOutcome> {
        let doing = format!("start {}", self.name());
        let sending = Sending::of(&self.job.start, handle.facts(), &doing);
        let why = match self.change(&sending).await {
            Ok(answer) if self.job.start.accepts(answer.status) => match self.number(&answer, &mut handle) {
                Some(()) => return Ok(self.started(&handle)),
                None if self.job.id.is_none() => "the answer to a start names no job".to_owned(),
                None => format!("{doing} was answered {} without the job's number", said(&answer)),
            },
            Ok(answer) => match self.refused(&doing, &answer) {
                Some(outcome) => return Err(outcome),
                None => format!("{doing} was answered {}", said(&answer)),
            },
            Err(fault) if fault.never_arrived() => return Err(fault.not_tried()),
            Err(fault) => fault.to_string(),
        };
        if self.job.id.is_some() {
            tracing::warn!(why, key = handle.key, "a start was not answered; looking for its job before anything else");
        }
        match self.search(&handle).await {
            Found::One(found) => Ok(self.started(&found)),
            Found::None if self.job.id.is_none() => {
                Err(self.doubt(Found::Unknown("it appears in no list".into()), &why))
            }
            Found::None => Err(ActionOutcome::Unreachable {
                error: format!("{why}; no job came of it, so it can be started again"),
            }),
            other => Err(self.doubt(other, &why)),
        }
    }

    fn started(&self, handle: &Handle) -> (Value, String) {
        let what = match &handle.id {
            Some(id) => format!("started {} {id} ({})", self.job.kind, self.page(handle, None)),
            None => format!(
                "started {}, number {} in the queue of {}",
                self.name(),
                handle.queue.as_deref().unwrap_or_default(),
                self.client.place()
            ),
        };
        (handle.write(), what)
    }

    /// Takes the job's number from the answer to its start.
    fn number(&self, answer: &Answer, handle: &mut Handle) -> Option<()> {
        let number = read::picked(answer, self.job.id.as_ref()?)?;
        let place = if self.job.queue.is_some() { &mut handle.queue } else { &mut handle.id };
        *place = Some(number);
        Some(())
    }

    /// What a refusal means; `None` when it may not be one.
    fn refused(&self, doing: &str, answer: &Answer) -> Option<ActionOutcome> {
        let error = format!("could not {doing} on {}: {}", self.client.place(), said(answer));
        Some(match answer.status {
            409 => ActionOutcome::Unreachable { error: format!("{error}; it may be running already") },
            429 | 503 => {
                let pause = answer
                    .retry_after()
                    .map(|pause| format!("; it wants to be left alone for {}", duration::told(pause)));
                ActionOutcome::Unreachable { error: format!("{error}{}", pause.unwrap_or_default()) }
            }
            300..=399 => ActionOutcome::Refused {
                error: format!("{error}; redirects are not followed: is this the server's own address?"),
            },
            401 | 403 => ActionOutcome::Refused {
                error: format!(
                    "{error}; check the server's token, credentials or headers, and whether they may run it"
                ),
            },
            400..=499 if answer.status != 408 => ActionOutcome::Refused { error },
            // Whatever else it is, a job may have come of it.
            _ => return None,
        })
    }

    /// After a process died between preparing a start and recording it: was it started?
    pub(super) async fn resume(&self, handle: Handle) -> Result<Resumption, ActionOutcome> {
        match self.search(&handle).await {
            Found::One(found) => {
                let (handle, what) = self.started(&found);
                Ok(Resumption::Follow { handle, what: format!("found after another process stopped: {what}") })
            }
            Found::None => Ok(Resumption::Start),
            other => Err(self.doubt(other, "a process died while it started the job")),
        }
    }

    /// Looks for the job until one is found, or until none can appear any more.
    async fn search(&self, handle: &Handle) -> Found {
        if self.job.find.is_empty() {
            return Found::Unknown("there is no way to look for it (no `find` with a key)".to_owned());
        }
        let (began, until) = (self.client.now(), self.until());
        let patience = self.client.times().lost_answer;
        let mut pause = PAUSES.0.min(patience / 4);
        let mut others = BTreeSet::new();
        loop {
            let searched = self.candidates(handle, &mut others).await;
            let now = self.client.now();
            match searched {
                Ok(Found::None) if elapsed(began, now) >= patience => return Found::None,
                Ok(Found::None) => {}
                Ok(found) => return found,
                Err(why) if now >= until => return Found::Unknown(why),
                Err(_) => {}
            }
            if now >= until {
                return Found::Unknown("there was no time to wait for it to appear".to_owned());
            }
            tokio::time::sleep(pause.min(elapsed(now, until))).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// The jobs that carry the key. `others` are known not to.
    pub(super) async fn found_by_key(&self, handle: &Handle) -> Option<Handle> {
        match self.candidates(handle, &mut BTreeSet::new()).await {
            Ok(Found::One(found)) => Some(found),
            _ => None,
        }
    }

    async fn candidates(&self, handle: &Handle, others: &mut BTreeSet<String>) -> Result<Found, String> {
        let (mut jobs, mut queued) = (BTreeSet::new(), BTreeSet::new());
        for find in &self.job.find {
            let list = self.get(&find.location.with(handle.facts()), "look for a job of ours").await?;
            let mut asked = 0;
            for item in read::items(&list.json, &find.items).iter().take(SEARCHED) {
                let Some(id) = read::number_at(item, &find.id) else { continue };
                if !others.contains(&id) && self.is_ours(find, item, &id, handle, &mut asked).await? {
                    if find.queue { &mut queued } else { &mut jobs }.insert(id);
                } else if find.each.is_some() {
                    others.insert(id);
                }
            }
        }
        // One that has just left the queue may still be seen there.
        let (is_job, mut found) = if jobs.is_empty() { (false, queued) } else { (true, jobs) };
        Ok(match (found.pop_first(), found.is_empty()) {
            (None, _) => Found::None,
            (Some(one), true) if is_job => Found::One(Handle { id: Some(one), ..handle.clone() }),
            (Some(one), true) => Found::One(Handle { queue: Some(one), ..handle.clone() }),
            (Some(one), false) => Found::Several(std::iter::once(one).chain(found).collect()),
        })
    }

    async fn is_ours(
        &self,
        find: &Find<String>,
        item: &Value,
        id: &str,
        handle: &Handle,
        asked: &mut usize,
    ) -> Result<bool, String> {
        let Some(each) = &find.each else { return Ok(read::has_key(item, &handle.key)) };
        *asked += 1;
        if *asked > ASKED {
            return Ok(false);
        }
        let known = Handle { id: Some(id.to_owned()), ..handle.clone() };
        let answer = self.get(&each.with(known.facts()), "see whether a job is ours").await?;
        Ok(read::has_key(&answer.json, &handle.key))
    }

    /// A read that must succeed.
    async fn get(&self, path: &str, doing: &str) -> Result<Answer, String> {
        let until = self.assignment.deadline;
        let answer = self.client.send(&Sending::get(path.to_owned(), doing), until).await;
        let answer = answer.map_err(|fault: Fault| fault.to_string())?;
        if answer.is_success() {
            return Ok(answer);
        }
        Err(format!("could not {doing} on {}: {}", self.client.place(), said(&answer)))
    }

    fn doubt(&self, found: Found, because: &str) -> ActionOutcome {
        let what = match found {
            Found::Several(ids) => format!("{} jobs could be the one ({}); nobody guesses", ids.len(), ids.join(", ")),
            Found::Unknown(said) => format!("whether a job was started is not known: {said}"),
            Found::One(_) | Found::None => String::new(),
        };
        ActionOutcome::Doubtful {
            error: format!(
                "{because}; {what}; it is not started again: look for {} on {}",
                self.name(),
                self.client.place()
            ),
        }
    }
}
