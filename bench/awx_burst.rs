//! How long after a burst of alerts the last AWX job is launched. AWX is the small one of the tests, in this process; it answers
//! as the recordings of a real one do, so what is measured is autoheal's part and not AWX's.
//!
//! Usage: `awx_burst PATH-TO-AUTOHEAL [ALERTS] [MILLISECONDS BEFORE EACH OF AWX'S ANSWERS]`
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measuring program is its own main: it reads its clock itself, and its server stops where it stands"
)]

#[expect(dead_code, unused_imports, reason = "tests need more of it")]
#[path = "../tests/it/support/awx/mod.rs"]
mod awx;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::awx::{AwxServer, TOKEN};

type Failure = Box<dyn std::error::Error>;

const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // Nothing here speaks TLS, but the stack wants to be told its provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut words = std::env::args().skip(1);
    let program = PathBuf::from(words.next().ok_or("usage: awx_burst PATH-TO-AUTOHEAL [ALERTS] [MILLISECONDS]")?);
    let count: usize = words.next().map_or(Ok(300), |word| word.parse())?;
    let answer = Duration::from_millis(words.next().map_or(Ok(0), |word| word.parse())?);
    // Where the target directory is: /tmp is often in memory, where a commit costs nothing.
    let home = tempfile::tempdir_in(program.parent().ok_or("a program has a directory")?)?;
    let server = AwxServer::start().await;
    server.world().pace.answer = answer;
    write_config(home.path(), &server.url())?;
    let (_daemon, address) = start(&program, home.path()).await?;

    let alerts: Vec<_> = (0..count).map(|number| alert(&format!("host-{number}:9100"))).collect();
    let body = json!({"version": "4", "externalURL": "", "alerts": alerts});
    let client = reqwest::Client::builder().no_proxy().build()?;
    let posted = Instant::now();
    let answer = client.post(format!("http://{address}/alerts")).json(&body).send().await?;
    if answer.status() != 202 {
        return Err(format!("answered {}: {}", answer.status(), answer.text().await?).into());
    }
    let accepted = posted.elapsed();
    while server.world().jobs.len() < count || server.world().jobs.values().any(|job| !job.is_final()) {
        if posted.elapsed() > PATIENCE {
            return Err(format!("{} of {count} jobs after {PATIENCE:?}", server.world().jobs.len()).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let world = server.world();
    let launched = |pick: fn(Duration, Duration) -> Duration| {
        let times = world.jobs.values().map(|job| job.created.saturating_duration_since(posted));
        times.reduce(pick).unwrap_or_default().as_millis()
    };
    let hosts: std::collections::BTreeSet<_> = world.jobs.values().map(|job| &job.limit).collect();
    if (hosts.len(), world.launches()) != (count, count) {
        return Err(format!("{} launches for {} of {count} hosts", world.launches(), hosts.len()).into());
    }
    println!(
        "{count} alerts: accepted after {} ms, first launch after {} ms, last launch after {} ms, {} requests to AWX",
        accepted.as_millis(),
        launched(Duration::min),
        launched(Duration::max),
        world.calls.len()
    );
    Ok(())
}

fn alert(instance: &str) -> serde_json::Value {
    json!({
        "status": "firing", "labels": {"alertname": "BenchDown", "instance": instance}, "annotations": {},
        "startsAt": jiff::Timestamp::now().to_string(), "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
    })
}

fn write_config(home: &Path, awx: &str) -> Result<(), Failure> {
    std::fs::create_dir(home.join("rules"))?;
    std::fs::write(
        home.join("rules/bench.yml"),
        "rules:\n- metadata: {name: bench}\n  labels: {alertname: ^BenchDown$}\n  \
         awxJob: {template: Restart anywhere, limit: \"{{ $labels.instance | stripPort }}\"}\n",
    )?;
    let config = format!(
        "ruleFiles: [rules/]\nstore: sqlite:{}/data/autoheal.db\nlimits: {{concurrent: 1000, perHour: 100000}}\n\
         awx: {{address: '{awx}', token: '{TOKEN}'}}\n",
        home.display()
    );
    std::fs::write(home.join("autoheal.yml"), config)?;
    Ok(())
}

/// The program under measure; it ends with this value, also when a measurement fails.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn start(program: &Path, home: &Path) -> Result<(Daemon, String), Failure> {
    let log = home.join("log");
    let daemon = Command::new(program)
        .current_dir(home)
        .args(["--config-file", "autoheal.yml", "--listen-address", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log)?)
        .spawn()?;
    let daemon = Daemon(daemon);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        let text = std::fs::read_to_string(&log)?;
        let line = text.lines().find(|line| line.contains("msg=listening")).unwrap_or_default();
        let word = line.split_whitespace().find_map(|word| word.strip_prefix("address=")).unwrap_or_default();
        let address = word.trim_matches('"').to_owned();
        let ready = client.get(format!("http://{address}/-/ready")).send().await;
        if ready.is_ok_and(|answer| answer.status() == 200) {
            return Ok((daemon, address));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(format!("not ready within 10 s:\n{}", std::fs::read_to_string(&log)?).into())
}
