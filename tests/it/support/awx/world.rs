//! What the small AWX knows, and how its jobs go on by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hyper::{Method, Uri};
use serde_json::{Map, Value, json};

/// Who may log in.
#[derive(Debug, Clone)]
pub struct User {
    pub id: u64,
    pub name: &'static str,
    pub password: &'static str,
    pub is_superuser: bool,
    /// Tokens with their scope.
    pub tokens: Vec<(&'static str, &'static str)>,
}

/// Something with a name that belongs to an organization.
#[derive(Debug, Clone)]
pub struct Thing {
    pub id: u64,
    pub name: String,
    pub organization: u64,
    /// Who may use it besides the administrator.
    pub users: BTreeSet<u64>,
}

/// What a run of a template comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Play {
    /// Every host it is limited to is changed.
    Good,
    /// This host fails with this message.
    Fails { host: &'static str, message: &'static str },
    /// AWX cannot run it.
    Broken,
    /// The play is for hosts there are none of.
    NoHosts,
    /// Its output is longer than the server likes to show.
    Chatty,
    /// Nobody ever says that its output is complete, because its worker was lost.
    NeverTold,
    /// One of a workflow's nodes fails, on a path that deals with it.
    NodeFails,
}

/// A job template or a workflow template.
#[derive(Debug, Clone)]
pub struct Template {
    pub id: u64,
    pub name: String,
    pub is_workflow: bool,
    pub organization: u64,
    pub project: Option<u64>,
    pub inventory: Option<u64>,
    pub playbook: String,
    /// What it prompts for: the middle of `ask_…_on_launch`.
    pub prompts: BTreeSet<String>,
    pub survey: Vec<Value>,
    pub limit: String,
    pub variables: Map<String, Value>,
    pub passwords: Vec<String>,
    /// Templates missing from a workflow.
    pub missing_nodes: Vec<u64>,
    pub allow_simultaneous: bool,
    /// Who may run it, and who may see it, besides the administrator.
    pub runners: BTreeSet<u64>,
    pub readers: BTreeSet<u64>,
    pub play: Play,
    /// How long it runs when the pace says nothing else.
    pub runs_for: Option<Duration>,
    /// Somebody turns this prompt off whenever it was asked about, and on again after the launch.
    pub fickle: Option<&'static str>,
    /// The project's last update failed.
    pub has_no_revision: bool,
}

/// One run.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "two of them are called so by AWX")]
pub struct Job {
    pub id: u64,
    pub template: u64,
    pub is_workflow: bool,
    pub creator: u64,
    pub limit: String,
    pub extra_vars: Map<String, Value>,
    pub job_tags: String,
    pub skip_tags: String,
    pub job_type: String,
    pub verbosity: u64,
    pub inventory: Option<u64>,
    pub credentials: Vec<u64>,
    pub labels: Vec<u64>,
    pub status: &'static str,
    pub explanation: String,
    pub created: Instant,
    pub created_at: jiff::Timestamp,
    pub started: Option<Instant>,
    pub ended: Option<Instant>,
    pub cancel_asked: Option<Instant>,
    /// Whether its output and events have been stored.
    pub events_stored: bool,
}

impl Job {
    pub fn is_final(&self) -> bool {
        self.ended.is_some()
    }
}

/// How fast things go here.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Before any answer.
    pub answer: Duration,
    /// From accepted to running.
    pub queue: Duration,
    /// From running to ended.
    pub run: Duration,
    /// From ended to output stored.
    pub events: Duration,
    /// From a cancel to its effect on a running job.
    pub cancel: Duration,
    /// Jobs stay as they are unless told otherwise.
    pub is_still: bool,
    /// The part that runs jobs is down: launches are accepted and stay pending.
    pub task_service_down: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            answer: Duration::ZERO,
            queue: Duration::from_millis(30),
            run: Duration::from_millis(80),
            events: Duration::from_millis(60),
            cancel: Duration::from_millis(80),
            is_still: false,
            task_service_down: false,
        }
    }
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Never answered, nothing done.
    Hang,
    /// Done, and then the connection breaks.
    LoseAnswer,
    /// Done, and never answered.
    LateHang,
    /// Answered with this status, nothing done.
    Refuse(u16),
    /// A gateway wants to be left alone for so many seconds.
    SlowDown(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Every request hangs.
    pub hangs: bool,
    /// Every request is answered with this status.
    pub refuses: Option<u16>,
    /// The next launches, in this order.
    pub launches: Vec<Fault>,
    /// The next cancels.
    pub cancels: Vec<Fault>,
    /// The next requests of any other kind.
    pub others: Vec<Fault>,
}

/// What a request asks for, as far as faults are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    Launch,
    Cancel,
    Other,
}

impl Faults {
    pub fn next(&mut self, asks: Asks) -> Fault {
        let queue = match asks {
            Asks::Launch => &mut self.launches,
            Asks::Cancel => &mut self.cancels,
            Asks::Other => &mut self.others,
        };
        if self.hangs {
            Fault::Hang
        } else if let Some(status) = self.refuses {
            Fault::Refuse(status)
        } else if queue.is_empty() {
            Fault::None
        } else {
            queue.remove(0)
        }
    }
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub query: String,
}

pub struct World {
    pub users: Vec<User>,
    pub organizations: Vec<Thing>,
    pub projects: Vec<Thing>,
    pub inventories: Vec<Thing>,
    pub credentials: Vec<Thing>,
    pub labels: Vec<Thing>,
    pub templates: Vec<Template>,
    pub jobs: BTreeMap<u64, Job>,
    pub pace: Pace,
    pub faults: Faults,
    pub calls: Vec<Call>,
    pub next_job: u64,
    /// What builders know.
    pub grounds: super::build::Grounds,
}

impl World {
    pub fn template(&self, id: u64) -> Option<&Template> {
        self.templates.iter().find(|template| template.id == id)
    }

    /// The template of this name that is the oldest.
    pub fn named(&mut self, name: &str) -> &mut Template {
        self.templates.iter_mut().find(|template| template.name == name).expect("a template of that name")
    }

    pub fn user(&self, id: u64) -> &User {
        self.users.iter().find(|user| user.id == id).expect("a user")
    }

    pub fn note(&mut self, method: &Method, uri: &Uri) {
        let query = uri.query().unwrap_or_default().to_owned();
        self.calls.push(Call { method: method.to_string(), path: uri.path().to_owned(), query });
    }

    /// Launches that were asked for, whether or not anything came of them.
    pub fn launches(&self) -> usize {
        self.posts("/launch/")
    }

    /// Cancels that were asked for.
    pub fn cancels(&self) -> usize {
        self.posts("/cancel/")
    }

    fn posts(&self, end: &str) -> usize {
        self.calls.iter().filter(|call| call.method == "POST" && call.path.ends_with(end)).count()
    }

    /// Lets every job be where time has brought it.
    pub fn tick(&mut self) {
        if self.pace.is_still {
            return;
        }
        let now = Instant::now();
        let is_over = |job: &Job| job.is_final() && job.events_stored;
        let ids: Vec<u64> = self.jobs.values().filter(|job| !is_over(job)).map(|job| job.id).collect();
        for id in ids {
            self.tick_job(id, now);
        }
    }

    fn tick_job(&mut self, id: u64, now: Instant) {
        let pace = self.pace;
        let job = self.jobs[&id].clone();
        let Some(template) = self.template(job.template).cloned() else { return };
        let passed = |since: Instant, wait: Duration| now.duration_since(since) >= wait;
        if job.status == "waiting" {
            self.run(id);
        } else if job.status == "pending" {
            // What it waits for is told only much later, if at all.
            let is_open = |other: &Job| other.template == job.template && other.id < id && !other.is_final();
            let is_blocked = !template.allow_simultaneous && self.jobs.values().any(is_open);
            if !is_blocked && !pace.task_service_down && passed(job.created, pace.queue) {
                // A node has been chosen; it runs from the next look on.
                self.job(id).status = "waiting";
            }
        } else if job.status == "running" {
            if job.cancel_asked.is_some_and(|asked| passed(asked, pace.cancel)) {
                self.end(id, "canceled");
            } else {
                let wished = job.extra_vars.get("secs").and_then(Value::as_f64).map(Duration::from_secs_f64);
                let runs_for = wished.or(template.runs_for).unwrap_or(pace.run);
                if job.started.is_some_and(|started| passed(started, runs_for)) {
                    self.finish(id);
                }
            }
        } else if job.ended.is_some_and(|ended| passed(ended, pace.events)) && template.play != Play::NeverTold {
            self.job(id).events_stored = true;
        }
    }

    pub fn job(&mut self, id: u64) -> &mut Job {
        self.jobs.get_mut(&id).expect("a job")
    }

    /// Begins to run it.
    pub fn run(&mut self, id: u64) {
        let job = self.job(id);
        job.explanation = String::new();
        job.status = "running";
        job.started = Some(Instant::now());
    }

    /// Ends it as its template's play comes out.
    pub fn finish(&mut self, id: u64) {
        let template = self.jobs[&id].template;
        let (play, limit) =
            (self.template(template).map(|template| template.play.clone()), self.jobs[&id].limit.clone());
        let misses = !limit.is_empty() && Self::hosts(&limit).is_empty();
        let status = match play {
            Some(Play::Broken) => "error",
            Some(Play::Fails { host, .. }) if Self::hosts(&limit).iter().any(|found| found == host) => "failed",
            // Ansible ends badly when the limit itself matches nothing.
            _ if misses => "failed",
            _ => "successful",
        };
        self.end(id, status);
    }

    pub fn end(&mut self, id: u64, status: &'static str) {
        let job = self.job(id);
        job.status = status;
        job.explanation = String::new();
        job.started.get_or_insert(job.created);
        job.ended = Some(Instant::now());
        // Nothing more comes from a run that was stopped.
        job.events_stored = status == "canceled";
    }

    /// The hosts of the fleet that a limit selects. Further hosts are named host-1, host-2 and so on.
    pub fn hosts(limit: &str) -> Vec<String> {
        let fleet = ["db1", "web1", "web2"];
        if limit.trim().is_empty() || limit == "all" {
            return fleet.map(str::to_owned).to_vec();
        }
        let known = |name: &str| fleet.contains(&name) || name.starts_with("host-");
        limit.split(',').filter(|name| known(name)).map(str::to_owned).collect()
    }

    /// What became of each host: name, ok, changed, failures, unreachable.
    pub fn summaries(&self, job: &Job) -> Vec<Value> {
        let Some(template) = self.template(job.template) else { return Vec::new() };
        if !job.events_stored
            || matches!(job.status, "error" | "canceled")
            || template.play == Play::NoHosts
            || job.is_workflow
        {
            return Vec::new();
        }
        let row = |(index, host): (usize, String)| {
            let fails = matches!(template.play, Play::Fails { host: failing, .. } if failing == host);
            let changes = matches!(template.play, Play::Good | Play::Chatty);
            json!({
                "id": job.id * 10 + index as u64, "type": "job_host_summary", "job": job.id, "host_name": host,
                "ok": if fails { 0 } else { 2 }, "changed": u8::from(changes), "dark": 0, "failures": u8::from(fails),
                "processed": 1, "skipped": 0, "failed": fails, "ignored": 0, "rescued": 0,
            })
        };
        Self::hosts(&job.limit).into_iter().enumerate().map(row).collect()
    }

    /// The failures among a job's events.
    pub fn failures(&self, job: &Job) -> Vec<Value> {
        let Some(Template { play: Play::Fails { host, message }, .. }) = self.template(job.template) else {
            return Vec::new();
        };
        if !job.events_stored || job.status != "failed" {
            return Vec::new();
        }
        vec![json!({
            "id": job.id * 100, "type": "job_event", "job": job.id, "event": "runner_on_failed", "counter": 9,
            "event_display": "Host Failed", "failed": true, "changed": false, "host_name": host,
            "task": format!("fails on {host}"), "play": "all", "playbook": "fail.yml", "role": "",
            "event_data": {"task": format!("fails on {host}"), "host": host, "res": {"msg": message, "changed": false}},
        })]
    }

    /// The output.
    pub fn stdout(&self, job: &Job) -> String {
        let Some(template) = self.template(job.template) else { return String::new() };
        if !job.events_stored || job.status == "error" || job.started.is_none() {
            return String::new();
        }
        if Self::hosts(&job.limit).is_empty() {
            let limit = &job.limit;
            return format!(
                "[WARNING]: Could not match supplied host pattern, ignoring: {limit}\nERROR! Specified hosts and/or --limit does not match any hosts\n"
            );
        }
        let mut lines = vec![String::new(), "PLAY [all] ****".to_owned(), String::new()];
        if let Play::Fails { host, message } = &template.play {
            lines.push(format!("fatal: [{host}]: FAILED! => {{\"changed\": false, \"msg\": \"{message}\"}}"));
        }
        if template.play == Play::Chatty {
            lines.extend(std::iter::repeat_n("    \"msg\": \"x\"".repeat(8), 10_000));
        }
        lines.push("PLAY RECAP ****".to_owned());
        lines.extend(
            Self::hosts(&job.limit).iter().map(|host| format!("{host} : ok=2 changed=1 unreachable=0 failed=0")),
        );
        lines.join("\n") + "\n"
    }
}
