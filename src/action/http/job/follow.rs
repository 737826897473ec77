//! A started job to its end: within its limits, cancelled beyond them, and then what came of it.

use std::time::Duration;

use super::Runner;
use super::handle::Handle;
use super::read::{self, State};
use crate::action::Stop;
use crate::action::http::client::{Answer, Sending, said};
use crate::action::http::last_words;
use crate::action::words;
use crate::domain::action::http::Word;
use crate::domain::decide::ActionOutcome;
use crate::domain::{Timestamp, duration, elapsed};

/// The first pause between two looks at a job; each one is half as long again as the one before.
const FIRST: Duration = Duration::from_secs(2);
/// The part of an attempt's time that is kept for stopping a job that takes too long, and at most.
const STOPPING: (u32, Duration) = (5, Duration::from_mins(1));
/// Looks in a row that must find nothing before a job counts as removed.
const GONE: u32 = 3;

/// What one look saw.
enum Seen {
    /// It waits, and perhaps why.
    Queued(Option<String>),
    /// It is there in this state.
    There(State, Box<Answer>),
    /// The server does not have it.
    Missing,
    /// The server could not be asked, or said nothing of a state.
    Trouble(String),
}

/// What is remembered of the looks so far.
#[derive(Default)]
struct Memory {
    has_run: bool,
    missing: u32,
    /// Why it was stopped.
    stopped: Option<String>,
    /// What nobody understood last, or why it waits.
    note: Option<String>,
}

impl Runner<'_> {
    /// Follows the job to its end and says what came of it.
    pub(super) async fn follow(&self, mut handle: Handle) -> ActionOutcome {
        let began = self.client.now();
        let deadline = self.assignment.deadline;
        let stopping = (elapsed(began, deadline) / STOPPING.0).min(STOPPING.1);
        let (queue_end, end) = ((began + self.client.times().queued).min(deadline - stopping), deadline - stopping);
        let mut memory = Memory::default();
        let mut pause = FIRST.min(self.client.times().longest_poll);
        loop {
            let until = match (&memory.stopped, memory.has_run) {
                (Some(_), _) => deadline - last_words(self.assignment),
                (None, true) => end,
                (None, false) => queue_end,
            };
            let now = self.client.now();
            if now >= until {
                if memory.stopped.is_some() || self.job.cancel.is_none() {
                    return self.never_ended(&handle, &memory, began);
                }
                memory.stopped = Some(self.stop(&mut handle, &memory, began).await);
                pause = FIRST.min(self.client.times().longest_poll);
                continue;
            }
            tokio::time::sleep(self.jittered(pause).min(elapsed(now, until))).await;
            pause = (pause * 3 / 2).min(self.client.times().longest_poll);
            match self.look_at(&mut handle).await {
                Seen::There(State { said, word: Some(word) }, answer) if word.is_final() => {
                    return self.ended(&handle, word, &said, &answer, memory.stopped).await;
                }
                Seen::Missing if memory.missing + 1 >= GONE => return self.gone(&handle),
                seen => memory.note(seen),
            }
        }
    }

    /// Jobs started together drift apart a little.
    fn jittered(&self, pause: Duration) -> Duration {
        let seed = self.assignment.attempt.0.as_bytes().iter().fold(0_u32, |sum, byte| sum + u32::from(*byte));
        pause * (90 + seed % 21) / 100
    }

    async fn look_at(&self, handle: &mut Handle) -> Seen {
        let until = self.assignment.deadline;
        if handle.id.is_none()
            && let Some(queue) = &self.job.queue
        {
            let path = queue.location.with(handle.facts());
            let answer = match self.client.send(&Sending::get(path, "look into the queue"), until).await {
                Ok(answer) => answer,
                Err(fault) => return Seen::Trouble(fault.to_string()),
            };
            if answer.status == 404 {
                // It left the queue long ago; the job itself carries the key.
                match self.found_by_key(handle).await.and_then(|found| found.id) {
                    Some(id) => handle.id = Some(id),
                    None => return Seen::Missing,
                }
            } else if !answer.is_success() {
                return Seen::Trouble(said(&answer));
            } else if read::is_true(&answer.json, queue.canceled.as_ref()) {
                let state = State { said: "taken out of the queue".to_owned(), word: Some(Word::Canceled) };
                return Seen::There(state, Box::new(answer));
            } else {
                match read::number_at(&answer.json, &queue.id) {
                    Some(id) => handle.id = Some(id),
                    None => return Seen::Queued(read::message(&answer.json, queue.message.as_ref())),
                }
            }
        }
        let path = self.job.poll.location.with(handle.facts());
        match self.client.send(&Sending::get(path, "look at the job"), until).await {
            Err(fault) => Seen::Trouble(fault.to_string()),
            Ok(answer) if answer.status == 404 => Seen::Missing,
            Ok(answer) if !answer.is_success() => Seen::Trouble(said(&answer)),
            Ok(answer) => match read::state(&answer.json, &self.job.poll) {
                Some(state) => Seen::There(state, Box::new(answer)),
                None => Seen::Trouble("its answer tells no state".to_owned()),
            },
        }
    }

    /// Cancels the job; answers why, with what came of that.
    async fn stop(&self, handle: &mut Handle, memory: &Memory, began: Timestamp) -> String {
        let waited = whole_seconds(elapsed(began, self.client.now()));
        let note = memory.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        let why = if memory.has_run {
            format!("it ran for {waited}{note}")
        } else {
            format!("it was still queued after {waited}{note}")
        };
        tracing::info!(job = handle.id, why, "cancelling a job");
        match self.ask_to_stop(handle).await {
            Stop::Failed { error } => format!("{why}, and it could not be cancelled: {error}"),
            Stop::Asked | Stop::Impossible => why,
        }
    }

    /// Asks for the job to be stopped. One that has ended already is fine.
    pub(super) async fn ask_to_stop(&self, handle: &mut Handle) -> Stop {
        if handle.id.is_none() && self.job.queue.is_some() {
            // It may have left the queue meanwhile.
            self.look_at(handle).await;
        }
        let cancel = if handle.id.is_some() { &self.job.cancel } else { &self.job.cancel_queued };
        let Some(cancel) = cancel else { return Stop::Impossible };
        let doing = format!("cancel {}", self.name());
        match self.change(&Sending::of(cancel, handle.facts(), &doing)).await {
            Err(fault) => Stop::Failed { error: fault.to_string() },
            Ok(answer) if cancel.accepts(answer.status) || (300..400).contains(&answer.status) => Stop::Asked,
            // Whatever it says no to, the next look shows whether the job has ended.
            Ok(answer) if matches!(answer.status, 404 | 405 | 409 | 410 | 422) => Stop::Asked,
            Ok(answer) => Stop::Failed { error: format!("{doing} was answered {}", said(&answer)) },
        }
    }

    /// Removed from the server: whether it worked, only the alert can tell.
    fn gone(&self, handle: &Handle) -> ActionOutcome {
        ActionOutcome::Done {
            what: format!(
                "{} is not to be found any more ({}), so its outcome is not known; the alert will tell",
                self.called(handle),
                self.page(handle, None)
            ),
        }
    }

    fn never_ended(&self, handle: &Handle, memory: &Memory, began: Timestamp) -> ActionOutcome {
        let story = format!("{} ({})", self.called(handle), self.page(handle, None));
        let note = memory.note.as_ref().map(|note| format!("; last seen: {note}")).unwrap_or_default();
        let waited = whole_seconds(elapsed(began, self.client.now()));
        let error = memory.stopped.as_ref().map_or_else(
            || format!("{story} has not ended after {waited} and cannot be cancelled (no `cancel`){note}"),
            |why| format!("{story} was cancelled because {why}, but has not ended since{note}"),
        );
        // It may still be at work; another one must not join it.
        ActionOutcome::Doubtful { error: format!("{error}; nothing more is done: look there") }
    }

    async fn ended(
        &self,
        handle: &Handle,
        word: Word,
        said: &str,
        answer: &Answer,
        stopped: Option<String>,
    ) -> ActionOutcome {
        let page = self.page(handle, Some(answer));
        let mut found = read::message(&answer.json, self.job.poll.message.as_ref())
            .filter(|message| message != said)
            .map(|message| format!("; {message}"))
            .unwrap_or_default();
        if let Some(tail) = self.tail(handle).await {
            found = format!("{found}; output ends: {tail}");
        }
        let story = format!("{} ({page})", self.called(handle));
        match (word, stopped) {
            (Word::Canceled, Some(why)) => {
                ActionOutcome::Failed { error: format!("{story} was cancelled because {why}{found}") }
            }
            // Whoever stopped it had a reason; starting it again would work against them.
            (Word::Canceled, None) => ActionOutcome::Doubtful {
                error: format!("{story} was cancelled by somebody ({said}){found}; nothing more is done"),
            },
            (Word::Ok, _) => ActionOutcome::Done { what: format!("{story} ended well ({said}){found}") },
            _ => ActionOutcome::Failed { error: format!("{story} failed ({said}){found}") },
        }
    }

    /// The end of what it wrote; `None` when there is nothing, or it cannot be had.
    async fn tail(&self, handle: &Handle) -> Option<String> {
        let output = self.job.output.as_ref().filter(|_| handle.id.is_some())?;
        let path = output.location.with(handle.facts());
        let sending = Sending::get(path, "read the output");
        let until = self.assignment.deadline - last_words(self.assignment);
        let answer = self.client.send(&sending, until).await.ok()?;
        if !answer.is_success() {
            return None;
        }
        if !answer.is_whole {
            return Some("longer than is read; see its page".to_owned());
        }
        Some(words::tail(&read::output(&answer, output))).filter(|tail| !tail.is_empty())
    }
}

impl Memory {
    fn note(&mut self, seen: Seen) {
        self.missing = if matches!(seen, Seen::Missing) { self.missing + 1 } else { 0 };
        self.note = match seen {
            Seen::There(State { word: Some(Word::Running), .. }, _) => {
                self.has_run = true;
                None
            }
            Seen::There(State { word: Some(_), .. }, _) => None,
            Seen::There(State { said, word: None }, _) => {
                // It is somewhere; not to be cancelled as if it had never left the queue.
                self.has_run = true;
                Some(format!("its state «{said}» is none of the words the rule knows"))
            }
            Seen::Queued(why) => why,
            Seen::Missing => Some("the server does not have it".to_owned()),
            Seen::Trouble(why) => {
                tracing::debug!(why, "a job could not be looked at; asking again");
                Some(why)
            }
        };
    }
}

fn whole_seconds(time: Duration) -> String {
    duration::format(Duration::from_secs(time.as_secs()))
}
