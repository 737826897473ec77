//! How long it takes from posting an alert to the restart call reaching a real Docker Engine, and from process start to ready.
//!
//! A proxy between autoheal and the engine notes when a restart call passes; it changes nothing.
//! Usage: `restart_latency PATH-TO-AUTOHEAL`, with the engine's address in `AUTOHEAL_TEST_DOCKER`.
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring program is its own main: it reads its clock and environment itself"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

const CONTAINERS: usize = 40;
const READY_ROUNDS: usize = 20;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // The clients speak only to loopback and unix sockets here, but the TLS stack wants to be told its provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let program = PathBuf::from(std::env::args().nth(1).ok_or("usage: restart_latency PATH-TO-AUTOHEAL")?);
    let engine = std::env::var("AUTOHEAL_TEST_DOCKER")
        .map_err(|_| "AUTOHEAL_TEST_DOCKER is not set: run through scripts/with-engine.sh")?;
    let engine = engine.strip_prefix("unix://").ok_or("AUTOHEAL_TEST_DOCKER is not a unix:// address")?.to_owned();
    let home = tempfile::tempdir()?;
    let (calls, mut restarts) = mpsc::unbounded_channel();
    spawn_proxy(&home.path().join("proxy.sock"), engine.clone(), calls)?;
    write_config(home.path())?;

    let docker = Docker::connect_with_unix(&engine, 10, bollard::API_DEFAULT_VERSION)?;
    let names: Vec<String> =
        (0..CONTAINERS).map(|index| format!("autoheal-bench-{}-{index}", std::process::id())).collect();
    for name in &names {
        start_container(&docker, name).await?;
    }
    let measured = measure(&program, home.path(), &names, &mut restarts).await;
    for name in &names {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        docker.remove_container(name, Some(options)).await?;
    }
    let mut latencies = measured?;
    latencies.sort();
    println!(
        "POST to restart call: p50 {:.2} ms, p95 {:.2} ms, {} restarts",
        milliseconds(latencies[latencies.len() / 2]),
        milliseconds(latencies[latencies.len() * 95 / 100]),
        latencies.len()
    );
    let mut starts = Vec::new();
    for _ in 0..READY_ROUNDS {
        std::fs::remove_dir_all(home.path().join("data"))?;
        let (_daemon, _, took) = start(&program, home.path()).await?;
        starts.push(took);
    }
    starts.sort();
    println!(
        "start to ready: p50 {:.1} ms, {} starts with an empty store",
        milliseconds(starts[starts.len() / 2]),
        starts.len()
    );
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn write_config(home: &Path) -> Result<(), Failure> {
    std::fs::create_dir(home.join("rules"))?;
    std::fs::write(
        home.join("rules/bench.yml"),
        "rules:\n- metadata: {name: bench}\n  labels: {alertname: ^BenchDown$}\n  \
         restartContainer: {name: \"{{ $labels.instance }}\", stopTimeout: 1s}\n",
    )?;
    let config = format!(
        "ruleFiles: [rules/]\nstore: sqlite:{0}/data/autoheal.db\nlimits: {{concurrent: 100, perHour: 100000}}\n\
         docker: {{hosts: [{{name: local, address: \"unix://{0}/proxy.sock\"}}]}}\n",
        home.display()
    );
    std::fs::write(home.join("autoheal.yml"), config)?;
    Ok(())
}

async fn start_container(docker: &Docker, name: &str) -> Result<(), Failure> {
    let body = ContainerCreateBody {
        image: Some("autoheal-test/busybox:latest".to_owned()),
        cmd: Some(["/bin/busybox", "sleep", "86400"].map(str::to_owned).to_vec()),
        network_disabled: Some(true),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    docker.create_container(Some(options), body).await?;
    docker.start_container(name, None).await?;
    Ok(())
}

/// Copies bytes both ways and reports the moment a restart call begins to pass.
fn spawn_proxy(path: &Path, engine: String, calls: mpsc::UnboundedSender<Instant>) -> Result<(), Failure> {
    let listener = UnixListener::bind(path)?;
    let engine: Arc<str> = engine.into();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (engine, calls) = (Arc::clone(&engine), calls.clone());
            tokio::spawn(async move { pass(client, &engine, &calls).await });
        }
    });
    Ok(())
}

async fn pass(client: UnixStream, engine: &str, calls: &mpsc::UnboundedSender<Instant>) -> std::io::Result<()> {
    let (mut from_engine, mut to_engine) = UnixStream::connect(engine).await?.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let answers = async move { tokio::io::copy(&mut from_engine, &mut to_client).await };
    let requests = async move {
        let mut buffer = vec![0; 65_536];
        loop {
            let length = from_client.read(&mut buffer).await?;
            if length == 0 {
                return Ok(0);
            }
            let head = String::from_utf8_lossy(&buffer[..length.min(300)]);
            if head.starts_with("POST ") && head.lines().next().is_some_and(|line| line.contains("/restart")) {
                let _ = calls.send(Instant::now());
            }
            to_engine.write_all(&buffer[..length]).await?;
        }
    };
    tokio::try_join!(answers, requests).map(|_| ())
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

async fn start(program: &Path, home: &Path) -> Result<(Daemon, String, Duration), Failure> {
    let log = home.join("log");
    let file = std::fs::File::create(&log)?;
    let began = Instant::now();
    let daemon = Command::new(program)
        .current_dir(home)
        .args(["--config-file", "autoheal.yml", "--listen-address", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()?;
    let daemon = Daemon(daemon);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut address = String::new();
    while began.elapsed() < Duration::from_secs(10) {
        if address.is_empty() {
            let text = std::fs::read_to_string(&log)?;
            let line = text.lines().find(|line| line.contains("msg=listening")).unwrap_or_default();
            let word = line.split_whitespace().find_map(|word| word.strip_prefix("address="));
            word.unwrap_or_default().trim_matches('"').clone_into(&mut address);
        } else if client
            .get(format!("http://{address}/-/ready"))
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
        {
            return Ok((daemon, address, began.elapsed()));
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    Err(format!("not ready within 10 s:\n{}", std::fs::read_to_string(&log)?).into())
}

async fn measure(
    program: &Path,
    home: &Path,
    names: &[String],
    restarts: &mut mpsc::UnboundedReceiver<Instant>,
) -> Result<Vec<Duration>, Failure> {
    let (_daemon, address, _) = start(program, home).await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut latencies = Vec::new();
    for name in names {
        let labels = HashMap::from([("alertname", "BenchDown"), ("instance", name.as_str())]);
        let body = serde_json::json!({"version": "4", "externalURL": "", "alerts": [{
            "status": "firing", "labels": labels, "annotations": {}, "startsAt": jiff::Timestamp::now().to_string(),
            "endsAt": "0001-01-01T00:00:00Z", "generatorURL": ""}]});
        let posted = Instant::now();
        let answer = client.post(format!("http://{address}/alerts")).json(&body).send().await?;
        if answer.status() != 202 {
            return Err(format!("answered {}: {}", answer.status(), answer.text().await?).into());
        }
        let called = tokio::time::timeout(Duration::from_secs(20), restarts.recv()).await?.ok_or("the proxy ended")?;
        latencies.push(called.saturating_duration_since(posted));
        // The next alert comes when the engine is done with this one; what is measured is ours, not its queue.
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    Ok(latencies)
}
