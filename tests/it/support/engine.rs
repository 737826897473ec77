//! A real Docker Engine to test with, containers that go when their test goes, and engines that misbehave.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use autoheal::action::container::DockerHost;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EventMessage, HealthConfig, HostConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptions, EventsOptions, InspectContainerOptions, KillContainerOptions, RemoveContainerOptions,
    StartContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::TryStreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

const IMAGE: &str = "autoheal-test/busybox:latest";

/// The engine of this test run.
pub struct Engine {
    /// For arranging and checking.
    pub docker: Docker,
    /// `unix:///…`.
    pub address: String,
}

impl Engine {
    /// The engine that `make test` starts.
    #[expect(clippy::disallowed_methods, reason = "a test is told by its environment where its engine is")]
    pub fn get() -> Self {
        let address = std::env::var("AUTOHEAL_TEST_DOCKER").expect(
            "AUTOHEAL_TEST_DOCKER is not set: these tests need a Docker Engine of their own; run `make test`, which \
             starts one",
        );
        let docker = Docker::connect_with_unix(&address, 60, API_DEFAULT_VERSION).expect("AUTOHEAL_TEST_DOCKER");
        Self { docker, address }
    }

    /// This engine under a name.
    pub fn host(&self, name: &str) -> DockerHost {
        DockerHost { name: name.into(), address: self.address.clone(), tls: None }
    }

    /// Creates a container and, unless the recipe says otherwise, starts it.
    pub async fn run(&self, recipe: Recipe) -> Container {
        let name = recipe.name.unwrap_or_else(|| unique("it"));
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            cmd: Some(vec!["/bin/sh".into(), "-c".into(), recipe.script]),
            entrypoint: recipe.entrypoint,
            labels: Some(recipe.labels),
            // Nothing to wait for when a test is not about stopping.
            stop_signal: Some(if recipe.stubborn { "SIGTERM" } else { "SIGKILL" }.into()),
            healthcheck: recipe.health.map(|test| HealthConfig {
                test: Some(vec!["CMD-SHELL".into(), test]),
                interval: Some(i64::try_from(recipe.health_interval.as_nanos()).unwrap()),
                retries: Some(1),
                ..HealthConfig::default()
            }),
            host_config: Some(HostConfig {
                network_mode: Some("host".into()),
                restart_policy: recipe
                    .restart
                    .then_some(RestartPolicy { name: Some(RestartPolicyNameEnum::ALWAYS), maximum_retry_count: None }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptions { name: Some(name.clone()), ..CreateContainerOptions::default() };
        let id = self.docker.create_container(Some(options), body).await.unwrap().id;
        let container = Container { docker: self.docker.clone(), id, name };
        if recipe.start {
            container.start().await;
        }
        container
    }
}

/// A name that no other test uses.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::now_v7().simple())
}

/// What container to make.
pub struct Recipe {
    name: Option<String>,
    script: String,
    labels: HashMap<String, String>,
    health: Option<String>,
    health_interval: Duration,
    restart: bool,
    stubborn: bool,
    start: bool,
    entrypoint: Option<Vec<String>>,
}

impl Recipe {
    /// One that runs a shell script.
    pub fn script(script: &str) -> Self {
        Self {
            name: None,
            script: script.into(),
            labels: HashMap::new(),
            health: None,
            health_interval: Duration::from_secs(1),
            restart: false,
            stubborn: false,
            start: true,
            entrypoint: None,
        }
    }

    /// One that does nothing, for long.
    pub fn idle() -> Self {
        Self::script("exec sleep 3600")
    }

    /// A web service that Prometheus can scrape at `/metrics.txt`.
    pub fn web(port: u16) -> Self {
        Self::script(&format!("echo 'service_info 1' >/www/metrics.txt; exec httpd -f -h /www -p 127.0.0.1:{port}"))
    }

    /// One that ignores SIGTERM, so that stopping it takes the whole stop time-out.
    pub fn stubborn() -> Self {
        Self { stubborn: true, ..Self::script("trap '' TERM; while true; do sleep 1; done") }
    }

    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    pub fn compose(self, project: &str, service: &str) -> Self {
        self.label("com.docker.compose.project", project).label("com.docker.compose.service", service)
    }

    pub fn health(mut self, test: &str, interval: Duration) -> Self {
        self.health = Some(test.into());
        self.health_interval = interval;
        self
    }

    pub fn always_restarting(mut self) -> Self {
        self.restart = true;
        self
    }

    /// One whose program does not exist; the engine creates it and cannot start it.
    pub fn broken_entrypoint(mut self) -> Self {
        self.entrypoint = Some(vec!["/no-such-program".into()]);
        self.not_started()
    }

    pub fn not_started(mut self) -> Self {
        self.start = false;
        self
    }
}

/// A container; removed when dropped.
pub struct Container {
    docker: Docker,
    pub id: String,
    pub name: String,
}

impl Container {
    pub async fn start(&self) {
        self.docker.start_container(&self.id, None::<StartContainerOptions>).await.unwrap();
    }

    pub async fn inspect(&self) -> ContainerInspectResponse {
        self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await.unwrap()
    }

    /// Its process and when it started: what a restart changes.
    pub async fn life(&self) -> (i64, String) {
        let state = self.inspect().await.state.unwrap();
        (state.pid.unwrap(), state.started_at.unwrap())
    }

    /// Looks until a condition holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&ContainerInspectResponse) -> bool) {
        let wait = async {
            while !holds(&self.inspect().await) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), wait).await.unwrap_or_else(|_| panic!("{what} did not come"));
    }

    /// What the engine did with it so far: the actions of its events. The engine keeps its last 256 events, of all containers.
    pub async fn story(&self) -> Vec<String> {
        self.story_since(0.0).await
    }

    /// The same from a time on, in seconds since 1970.
    pub async fn story_since(&self, since: f64) -> Vec<String> {
        let options = EventsOptions {
            since: Some(format!("{since:.3}")),
            until: Some(format!("{:.3}", now_seconds())),
            filters: Some(HashMap::from([("container".into(), vec![self.id.clone()])])),
        };
        let events: Vec<EventMessage> = self.docker.events(Some(options)).try_collect().await.unwrap();
        events.into_iter().filter_map(|event| event.action).collect()
    }

    /// How often one action is in its story.
    pub async fn times(&self, action: &str) -> usize {
        self.story().await.iter().filter(|told| *told == action).count()
    }

    /// Waits until an action is in its story.
    pub async fn until_told(&self, action: &str) {
        let wait = async {
            while self.times(action).await == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| panic!("no {action} event"));
    }

    /// What a command prints that is run in it.
    pub async fn output(&self, command: &[&str]) -> String {
        let options = CreateExecOptions {
            cmd: Some(command.iter().map(|text| (*text).to_owned()).collect()),
            attach_stdout: Some(true),
            ..CreateExecOptions::default()
        };
        let exec = self.docker.create_exec(&self.id, options).await.unwrap().id;
        let StartExecResults::Attached { output, .. } = self.docker.start_exec(&exec, None).await.unwrap() else {
            panic!("not attached")
        };
        let parts: Vec<_> = output.try_collect().await.unwrap();
        parts.iter().map(ToString::to_string).collect()
    }

    /// `docker pause`.
    pub async fn pause(&self) {
        self.docker.pause_container(&self.id).await.unwrap();
    }

    /// `docker kill`.
    pub async fn kill(&self) {
        self.docker.kill_container(&self.id, None::<KillContainerOptions>).await.unwrap();
    }

    /// Removes it now.
    pub async fn remove(&self) {
        remove(&self.docker, &self.id).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
pub fn now_seconds() -> f64 {
    use autoheal::clock::Clock;
    autoheal::clock::SystemClock.now().as_millisecond() as f64 / 1_000.0
}

async fn remove(docker: &Docker, id: &str) {
    let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
    // It may be gone already, which is as good.
    let _ = docker.remove_container(id, Some(options)).await;
}

impl Drop for Container {
    fn drop(&mut self) {
        let (docker, id) = (self.docker.clone(), self.id.clone());
        // A destructor cannot wait on the runtime it runs on, so it gets one of its own.
        let removal = std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(remove(&docker, &id));
            }
        });
        let _ = removal.join();
    }
}

/// Something that sits on a socket file and is no good engine.
pub struct BadEngine {
    /// `unix:///…`.
    pub address: String,
    _directory: tempfile::TempDir,
    _serving: JoinSet<()>,
}

impl BadEngine {
    /// Takes connections and answers each with these bytes, then keeps silent.
    pub fn that_says(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        let (directory, path) = Self::path();
        let listener = UnixListener::bind(&path).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                kept.push(stream);
            }
        });
        Self { address: format!("unix://{}", path.display()), _directory: directory, _serving: serving }
    }

    /// Answers every request with a status and a body.
    pub fn that_answers(status: &str, body: &str) -> Self {
        Self::that_says(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// Takes connections and never answers.
    pub fn that_hangs() -> Self {
        Self::that_says("")
    }

    /// Passes everything on to the engine, but the answers to requests that change something get lost.
    pub fn that_loses_answers(engine: &Engine) -> Self {
        let (directory, path) = Self::path();
        let listener = UnixListener::bind(&path).unwrap();
        let socket = engine.address.trim_start_matches("unix://").to_owned();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut engine = UnixStream::connect(&socket).await.unwrap();
                open.spawn(async move {
                    let mut request = vec![0; 4096];
                    let length = stream.read(&mut request).await.unwrap_or(0);
                    engine.write_all(&request[..length]).await.unwrap();
                    if request.starts_with(b"POST") {
                        drop(stream);
                        let _ = engine.read(&mut request).await;
                    } else {
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut engine).await;
                    }
                });
            }
        });
        Self { address: format!("unix://{}", path.display()), _directory: directory, _serving: serving }
    }

    /// A socket file nobody listens on any more.
    pub fn that_is_gone() -> Self {
        let (directory, path) = Self::path();
        drop(UnixListener::bind(&path).unwrap());
        Self { address: format!("unix://{}", path.display()), _directory: directory, _serving: JoinSet::new() }
    }

    /// Under a name.
    pub fn host(&self, name: &str) -> DockerHost {
        DockerHost { name: name.into(), address: self.address.clone(), tls: None }
    }

    fn path() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sock");
        (directory, path)
    }
}
