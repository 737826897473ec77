//! Small job runners that answer as Rundeck, Semaphore UI, GitLab and Jenkins document it: jobs queue, run and end by time; answers
//! get lost, reads fail for a while, a cancel takes a moment, jobs are removed. What no documentation knows is noted as a surprise.

mod gitlab;
mod jenkins;
mod rundeck;
mod semaphore;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::upstream::{Asked, Reply, Upstream};

/// What every runner wants to see as a token or a password.
pub const TOKEN: &str = "canary-runner-t0ken";

/// How a job ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Ok,
    Failed,
    /// It says a word that nobody knows before it ends well.
    Odd,
    Never,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Queued,
    Odd,
    Running,
    Ok,
    Failed,
    Canceled,
}

/// A job that was made.
#[derive(Debug)]
pub struct Job {
    pub began: Instant,
    /// What it was given.
    pub given: Value,
    pub stopped: Option<Instant>,
}

/// What a runner knows.
pub struct World {
    pub jobs: BTreeMap<u64, Job>,
    pub fate: Fate,
    pub queued: Duration,
    pub run: Duration,
    /// So many starts from now on are carried out and not answered.
    pub lose_starts: usize,
    /// So many reads from now on are answered 502.
    pub break_reads: usize,
    /// Whether a change needs a crumb (Jenkins with a password).
    pub needs_crumb: bool,
    /// Whether the template lets a limit through (Semaphore).
    pub takes_limit: bool,
    /// Requests that the documentation does not know.
    pub surprises: Vec<String>,
}

impl World {
    fn new() -> Self {
        Self {
            jobs: BTreeMap::new(),
            fate: Fate::Ok,
            queued: Duration::from_millis(60),
            run: Duration::from_millis(60),
            lose_starts: 0,
            break_reads: 0,
            needs_crumb: false,
            takes_limit: true,
            surprises: Vec::new(),
        }
    }

    fn make(&mut self, given: Value) -> u64 {
        let id = self.jobs.len() as u64 + 41;
        self.jobs.insert(id, Job { began: Instant::now(), given, stopped: None });
        id
    }

    /// How far a job is; `None` for one that is not there.
    pub fn stage(&self, id: u64) -> Option<Stage> {
        let job = self.jobs.get(&id)?;
        let age = job.began.elapsed();
        if let Some(stopped) = job.stopped {
            let over = stopped.elapsed() >= Duration::from_millis(60);
            return Some(if over { Stage::Canceled } else { Stage::Running });
        }
        Some(match self.fate {
            _ if age < self.queued => Stage::Queued,
            Fate::Odd if age < self.queued + self.run => Stage::Odd,
            _ if age < self.queued + self.run => Stage::Running,
            Fate::Never => Stage::Running,
            Fate::Ok | Fate::Odd => Stage::Ok,
            Fate::Failed => Stage::Failed,
        })
    }

    fn stop(&mut self, id: u64) -> bool {
        let running = matches!(self.stage(id), Some(Stage::Queued | Stage::Odd | Stage::Running));
        if let Some(job) = self.jobs.get_mut(&id).filter(|_| running) {
            job.stopped.get_or_insert_with(Instant::now);
        }
        running
    }

    fn surprise(&mut self, asked: &Asked) -> Reply {
        self.surprises.push(asked.line());
        Reply::text(404, "no such page")
    }
}

/// Which runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rundeck,
    Semaphore,
    Gitlab,
    Jenkins,
}

/// A running runner; it ends with this value.
pub struct Runner {
    pub upstream: Upstream,
    world: Arc<Mutex<World>>,
    pub kind: Kind,
}

impl Runner {
    pub async fn start(kind: Kind) -> Self {
        let world = Arc::new(Mutex::new(World::new()));
        let shared = Arc::clone(&world);
        let upstream = Upstream::start(move |asked| answer(kind, &mut shared.lock().unwrap(), asked)).await;
        Self { upstream, world, kind }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The server's entry in a configuration.
    pub fn server(&self, times: &str) -> String {
        let auth = match self.kind {
            Kind::Rundeck => "headers: {X-Rundeck-Auth-Token: '${TOKEN}'}",
            Kind::Gitlab => "headers: {PRIVATE-TOKEN: '${TOKEN}'}",
            Kind::Semaphore => "token: '${TOKEN}'",
            Kind::Jenkins => "credentials: {username: bot, password: '${TOKEN}'}",
        };
        format!("http: {{servers: [{{name: runner, address: '{}', {auth}, {times}}}]}}\n", self.upstream.url())
    }

    /// A rule's action.
    pub fn action(&self) -> &'static str {
        match self.kind {
            Kind::Rundeck => {
                "httpJob: {preset: rundeck, job: 7c1f6e9a-ab, options: {service: '{{ $labels.job }}'}, filter: 'name: {{ $labels.instance }}', keyIn: key}"
            }
            Kind::Semaphore => {
                "httpJob: {preset: semaphore, project: 3, template: 5, environment: {service: '{{ $labels.job }}'}, limit: '{{ $labels.instance }}'}"
            }
            Kind::Gitlab => {
                "httpJob: {preset: gitlab, project: ops/heal, ref: main, variables: {SERVICE: '{{ $labels.job }}'}}"
            }
            Kind::Jenkins => {
                "httpJob: {preset: jenkins, job: ops/restart ui, parameters: {SERVICE: '{{ $labels.job }}'}, keyIn: KEY}"
            }
        }
    }
}

fn answer(kind: Kind, world: &mut World, asked: &Asked) -> Reply {
    let shown = match kind {
        Kind::Rundeck => asked.header("x-rundeck-auth-token") == TOKEN,
        Kind::Gitlab => asked.header("private-token") == TOKEN,
        Kind::Semaphore => asked.header("authorization") == format!("Bearer {TOKEN}"),
        // bot:canary-runner-t0ken
        Kind::Jenkins => asked.header("authorization") == "Basic Ym90OmNhbmFyeS1ydW5uZXItdDBrZW4=",
    };
    if !shown {
        return Reply::text(401, "unauthorized");
    }
    if asked.method == "GET" && world.break_reads > 0 {
        world.break_reads -= 1;
        return Reply::text(502, "<html>bad gateway</html>");
    }
    let before = world.jobs.len();
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let reply = match kind {
        Kind::Rundeck => rundeck::answer(world, asked, &parts, query),
        Kind::Semaphore => semaphore::answer(world, asked, &parts),
        Kind::Gitlab => gitlab::answer(world, asked, &parts, query),
        Kind::Jenkins => jenkins::answer(world, asked, &parts, query),
    };
    if world.jobs.len() > before && world.lose_starts > 0 {
        world.lose_starts -= 1;
        return Reply::Lose;
    }
    reply
}
