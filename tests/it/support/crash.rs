//! Daemons that die: a store that kills its own process at a chosen commit, the process it lives in, and somebody who
//! talks to both as Alertmanager does, which is undeterred by answers that never come.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use autoheal::app::{self, Origin, Start};
use autoheal::clock::{Clock, SystemClock};
use autoheal::config::{Config, LoadOptions, StoreLocation};
use autoheal::domain::Timestamp;
use autoheal::store::Store;
use autoheal::store::sqlite::SqliteStore;
use autoheal::telemetry::{LogFormat, LogLevel, init_logs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::daemon::{Home, PATIENCE, address_in, eventually};
use super::fuse::FusedStore;

/// Tells the child what to do; the test it runs does nothing without.
const ORDERS: &str = "AUTOHEAL_TEST_ORDERS";
/// The child's last words, in its working directory.
const LAST_WORDS: &str = "last-words";

/// On which side of a commit a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    Before,
    After,
}

/// The store's methods that commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Call {
    Ingest,
    AdvanceDue,
    Record,
    Instruct,
    ClaimMessages,
    MessageResult,
}

/// At which commit a process dies: the first, second, … of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fuse {
    pub side: Side,
    pub call: Call,
    pub number: u32,
}

/// What a child is to do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Orders {
    /// Where it dies; it lives without.
    pub fuse: Option<Fuse>,
    /// How far its clock is ahead, in seconds: it was started so much later.
    pub later: u64,
}

/// What a child leaves behind when its fuse has burned down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWords {
    /// Messages that were claimed and not settled, so that they may have been sent already.
    pub under_way: u32,
}

impl LastWords {
    /// Writes them down. Whatever a killed process wrote is safe with the kernel.
    pub fn write(&self) {
        fs::write(LAST_WORDS, serde_json::to_vec(self).unwrap()).unwrap();
    }

    /// Of the child that last died in this folder.
    pub fn read(home: &Home) -> Self {
        let text = fs::read(home.path().join(LAST_WORDS)).expect("the child died by its fuse");
        serde_json::from_slice(&text).unwrap()
    }
}

/// The machine's clock, read by somebody who comes later.
struct LaterClock(Duration);

impl Clock for LaterClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }
}

/// The child's whole life, in a process of its own: the daemon as `serve` runs it, on a store with a fuse.
#[expect(clippy::disallowed_methods, reason = "a child is told by its environment what to do")]
pub fn obey() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let Orders { fuse, later } = serde_json::from_str(&orders).unwrap();
    super::install_tls();
    let clock: Arc<dyn Clock> = Arc::new(LaterClock(Duration::from_secs(later)));
    init_logs(LogLevel::Debug, LogFormat::Logfmt, Arc::clone(&clock));
    let options = LoadOptions {
        config_files: vec!["autoheal.yml".into()],
        secrets_file: Some("secrets".into()),
        listen_address: Some("127.0.0.1:0".to_owned()),
        working_dir: std::env::current_dir().unwrap(),
        ..LoadOptions::default()
    };
    let (config, _warnings) = Config::load(&options).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let open = move |location: &StoreLocation, options| {
        let StoreLocation::Sqlite(path) = location else { panic!("crashes need a file") };
        Ok(Arc::new(FusedStore::new(SqliteStore::open(path, options)?, fuse)) as Arc<dyn Store>)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (stop, mut told) = (CancellationToken::new(), signal(SignalKind::terminate()).unwrap());
        let start = Start { config, origin: Origin { options, ..Origin::default() }, dry_run: false };
        let daemon = app::run_on(start, clock, stop.clone(), open);
        let obedience = async {
            told.recv().await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = daemon => ended.unwrap(),
            () = obedience => {}
        }
    });
}

/// The command that runs [`obey`]: this very test program, asked for the one test that calls it.
pub fn child(home: &Home, test: &str, orders: &Orders) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .current_dir(home.path())
        .env_clear()
        .env(ORDERS, serde_json::to_string(orders).unwrap())
        .stdin(Stdio::null());
    command
}

/// A process that may die at any moment.
pub struct Mortal {
    child: Child,
    log: PathBuf,
    address: Option<SocketAddr>,
}

impl Mortal {
    /// Starts it; its output goes to a file of its own.
    pub fn start(mut command: Command, home: &Home) -> Self {
        let log = home.path().join(format!("life-{}", fs::read_dir(home.path()).unwrap().count()));
        let file = File::create(&log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, log, address: None }
    }

    /// Where it listens, once it does.
    pub fn address(&mut self) -> Option<SocketAddr> {
        self.address = self.address.or_else(|| address_in(&self.log()));
        self.address
    }

    pub fn is_dead(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it ended with; `None` while it lives or when a signal ended it.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().and_then(|status| status.code())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, whether or not it lives.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM, then waits for an orderly end.
    pub fn stop(&mut self) {
        assert!(self.ends_well(), "{}", self.log());
    }

    /// SIGTERM, then waits for the end; answers whether it was an orderly one. It may be dying already.
    pub fn ends_well(&mut self) -> bool {
        let _ = Command::new("kill").args(["-TERM", &self.pid().to_string()]).stderr(Stdio::null()).status();
        eventually("the daemon stops", || self.is_dead());
        self.exit_code() == Some(0)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of process {} ---\n{}", self.pid(), self.log());
        }
    }
}

/// Calls a daemon that may not be there.
#[derive(Clone)]
pub struct Caller(reqwest::blocking::Client);

impl Caller {
    pub fn new() -> Self {
        super::install_tls();
        // Connections are not kept: the next call may be to another life on another port.
        let client = reqwest::blocking::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE);
        Self(client.build().unwrap())
    }

    /// The answer to a delivery; `None` when none came.
    pub fn post(&self, address: SocketAddr, body: String) -> Option<u16> {
        let request = self.0.post(format!("http://{address}/alerts")).header("content-type", "application/json");
        request.body(body).send().ok().map(|answer| answer.status().as_u16())
    }

    /// The answer to a person's order; `None` when none came.
    pub fn order(&self, address: SocketAddr, path: &str) -> Option<u16> {
        self.0.post(format!("http://{address}{path}")).send().ok().map(|answer| answer.status().as_u16())
    }

    /// What the API says; `None` when it says nothing good.
    pub fn look(&self, address: SocketAddr, path: &str) -> Option<Value> {
        let answer = self.0.get(format!("http://{address}{path}")).send().ok()?;
        if answer.status().is_success() { answer.json().ok() } else { None }
    }
}

/// The store of a daemon that is dead, opened to look into it.
pub async fn post_mortem(path: &Path) -> SqliteStore {
    let path = path.to_owned();
    let open = move || SqliteStore::open(&path, autoheal::store::sqlite::Options::default());
    tokio::task::spawn_blocking(open).await.unwrap().unwrap()
}
