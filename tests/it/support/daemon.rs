//! The real program, started as a user would start it, in a folder of its own.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use autoheal::clock::{Clock, SystemClock};
use serde_json::Value;

/// How long anything the daemon does in a test may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with configuration, rules, secrets and store, and how to start the daemon in it.
pub struct Home {
    directory: tempfile::TempDir,
    flags: Vec<String>,
    token: Option<String>,
}

impl Home {
    /// A folder with this configuration and one rule file.
    pub fn new(config: &str, rules: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Self { directory, flags: Vec::new(), token: None };
        home.write("autoheal.yml", config);
        fs::create_dir(home.path().join("rules")).unwrap();
        home.write("rules/rules.yml", rules);
        home.secrets("");
        home
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Replaces the secrets file.
    pub fn secrets(&self, text: &str) {
        let path = self.path().join("secrets");
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    }

    /// A further flag for every start.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// The bearer token with which this test calls the daemon.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn store(&self) -> PathBuf {
        self.path().join("data/autoheal.db")
    }

    /// The program with this folder's files, not yet started.
    pub fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_autoheal"));
        command
            .args(verb)
            .current_dir(self.path())
            .env_clear()
            .args(["--config-file", "autoheal.yml", "--secrets-file", "secrets", "--listen-address", "127.0.0.1:0"])
            .args(&self.flags)
            .stdin(Stdio::null());
        command
    }

    /// Takes over a daemon that was started in this folder with flags of its own; `log` is the file it writes to.
    pub fn adopt(&self, child: Child, address: SocketAddr, log: &str) -> Daemon {
        Daemon { child, address, log: self.path().join(log), token: self.token.clone() }
    }

    /// Starts the daemon and waits until it is ready.
    pub fn start(&self) -> Daemon {
        let daemon = self.launch();
        // Where TLS (400 to plain text) or a password (401) is asked for, readiness cannot be seen from here.
        eventually("the daemon is ready", || matches!(daemon.status("/-/ready"), Some(200 | 400 | 401)));
        daemon
    }

    /// Starts the daemon and waits until it listens.
    pub fn launch(&self) -> Daemon {
        let log = self.path().join(format!("log-{}", fs::read_dir(self.path()).unwrap().count()));
        let file = fs::File::create(&log).unwrap();
        let child =
            self.command(&["serve"]).stdout(file.try_clone().unwrap()).stderr(file).spawn().expect("the daemon starts");
        let token = self.token.clone();
        let mut daemon = Daemon { child, address: ([127, 0, 0, 1], 0).into(), log, token };
        daemon.address = daemon.wait_for_address();
        daemon
    }
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
    token: Option<String>,
}

impl Daemon {
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Calls it with another token from now on.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_for_address(&mut self) -> SocketAddr {
        let began = Instant::now();
        loop {
            let log = self.log();
            if let Some(address) = address_in(&log) {
                return address;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}:\n{log}");
            }
            assert!(began.elapsed() < PATIENCE, "the daemon does not listen:\n{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request as a user with this daemon's token would send it.
    pub fn request(&self, method: &str, path: &str) -> reqwest::blocking::RequestBuilder {
        let request = client().request(method.parse().unwrap(), self.url(path));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The status of a GET; `None` when nobody answers.
    pub fn status(&self, path: &str) -> Option<u16> {
        self.request("GET", path).send().ok().map(|answer| answer.status().as_u16())
    }

    pub fn text(&self, path: &str) -> String {
        self.request("GET", path).send().unwrap().text().unwrap()
    }

    pub fn json(&self, path: &str) -> Value {
        self.request("GET", path).send().unwrap().json().unwrap()
    }

    /// Posts a webhook body; answers the status, or `None` when the connection broke.
    pub fn post(&self, body: impl Into<reqwest::blocking::Body>) -> Option<u16> {
        let request = self.request("POST", "/alerts").header("content-type", "application/json");
        request.body(body).send().ok().map(|answer| answer.status().as_u16())
    }

    /// All heals, newest first.
    pub fn heals(&self) -> Vec<Value> {
        self.json("/api/v1/heals?limit=500")["heals"].as_array().unwrap().clone()
    }

    /// Waits until some heal is in a state; answers it whole.
    pub fn wait_for_state(&self, state: &str) -> Value {
        let mut found = None;
        eventually(&format!("a heal is {state}"), || {
            found = self.heals().into_iter().find(|heal| heal["state"] == state);
            found.is_some()
        });
        let id = found.unwrap()["id"].as_str().unwrap().to_owned();
        self.json(&format!("/api/v1/heals/{id}"))
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, then waits for the end.
    pub fn terminate(self) -> ExitStatus {
        self.terminate_with_log().1
    }

    /// SIGTERM, then waits for the end; answers with the whole log.
    pub fn terminate_with_log(mut self) -> (String, ExitStatus) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (self.log(), status);
            }
            assert!(began.elapsed() < PATIENCE, "the daemon does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Its folder may be gone already, and a second panic would hide the first.
            eprintln!("--- daemon log ---\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// Where a daemon listens, by its log.
pub fn address_in(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("msg=listening"))?;
    line.split_whitespace().find_map(|word| word.strip_prefix("address="))?.trim_matches('"').parse().ok()
}

/// One client for all tests: making one reads every certificate authority of the machine.
pub fn client() -> &'static reqwest::blocking::Client {
    static CLIENT: OnceLock<reqwest::blocking::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        super::install_tls();
        reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
    })
}

/// Waits for a condition, looking often; panics when it never comes.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A webhook body with one alert.
pub fn alert(status: &str, labels: &Value, age: Duration) -> Value {
    let now = SystemClock.now();
    let starts_at = now - age;
    let ends_at = if status == "resolved" { now.to_string() } else { "0001-01-01T00:00:00Z".to_owned() };
    serde_json::json!({
        "status": status, "labels": labels, "annotations": {"summary": "a test"},
        "startsAt": starts_at.to_string(), "endsAt": ends_at, "generatorURL": "http://prometheus.example/graph",
    })
}

/// A webhook body around alerts.
pub fn delivery(alerts: &[Value]) -> String {
    serde_json::json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "autoheal",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager.example", "alerts": alerts,
    })
    .to_string()
}
