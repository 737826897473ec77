//! A full disk, peers that hang or send too much, nonsense, and two daemons for one store.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::crash::{Caller, Mortal};
use crate::support::daemon::{Home, alert, delivery, eventually};
use crate::support::engine::{Container, Engine, Recipe};
use crate::support::http;

const RULES: &str = "
rules:
- metadata: {name: restart-service}
  labels: {alertname: InstanceDown}
  steps: [{restartContainer: {name: '{{ $labels.container }}'}}]
";

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A folder whose daemon heals containers of the test engine.
fn home(engine: &Engine) -> Home {
    let docker = format!("docker: {{hosts: [{{name: local, address: '{}'}}]}}", engine.address);
    Home::new(&format!("{docker}\nlimits: {{concurrent: 10, perHour: 10000}}\n"), RULES)
}

/// A folder whose daemon has nothing to heal with, for tests that never come that far.
fn home_without_engine() -> Home {
    Home::new("docker: {hosts: [{name: local, address: 'unix:///nowhere.sock'}]}\n", RULES)
}

fn serve(home: &Home) -> Mortal {
    let mut life = Mortal::start(home.command(&["serve"]), home);
    eventually("the daemon is ready", || {
        assert!(!life.is_dead(), "{}", life.log());
        life.address().is_some_and(|address| Caller::new().look(address, "/api/v1/status").is_some())
    });
    life
}

fn down(container: &str) -> String {
    delivery(&[alert("firing", &json!({"alertname": "InstanceDown", "container": container}), Duration::ZERO)])
}

/// A file system of its own, so small that it can be filled.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Self {
        fs::create_dir(&path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&path).output().unwrap();
        let complaint = String::from_utf8_lossy(&mounted.stderr);
        assert!(mounted.status.success(), "mounting a small disk needs root, as `make test` does: {complaint}");
        Self(path)
    }

    /// Takes all the space there is, to the last byte.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).unwrap();
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_and_space_heals() {
    let (runtime, engine) = (runtime(), Engine::get());
    let patients: Vec<Container> = (0..3).map(|_| runtime.block_on(engine.run(Recipe::idle().not_started()))).collect();
    let starts = |index: usize| runtime.block_on(patients[index].times("start"));
    let home = home(&engine).flag("--store").flag("sqlite:disk/autoheal.db");
    let disk = SmallDisk::mount(home.path().join("disk"));
    let mut life = serve(&home);
    let (caller, address) = (Caller::new(), life.address().unwrap());
    let count = |state: &str| caller.look(address, "/api/v1/status").map(|now| now["heals"][state].clone());

    assert_eq!(caller.post(address, down(&patients[0].name)), Some(202));
    // In the middle of an attempt: the deed is done, its outcome is not yet on record.
    eventually("the first is started", || starts(0) == 1);
    let ballast = disk.fill();
    // The log file may have room left in its last page; what fits there is committed and counts.
    let mut accepted = Vec::new();
    let refusal = loop {
        let name = format!("nobody-{}", accepted.len());
        let answer = runtime.block_on(http::post(address, "/alerts", down(&name)));
        if answer.status != 202 {
            break answer;
        }
        accepted.push(name);
        assert!(accepted.len() < 1000, "the disk is never full");
    };
    println!("{} deliveries still found room on the full disk", accepted.len());
    assert_eq!(refusal.status, 503, "{refusal:?}");
    assert!(refusal.header("retry-after").is_some(), "{refusal:?}");
    assert_eq!(caller.post(address, down(&patients[1].name)), Some(503));
    assert_eq!(caller.post(address, down(&patients[2].name)), Some(503));
    // Reading goes on, and shows that nothing of the refused is there.
    let heals = caller.look(address, "/api/v1/heals?limit=500").unwrap();
    assert_eq!(heals["heals"].as_array().unwrap().len(), accepted.len() + 1);

    fs::remove_file(ballast).unwrap();
    eventually("it accepts again", || caller.post(address, down(&patients[1].name)) == Some(202));
    eventually("both are healed but for the resolve", || count("verifying") == Some(json!(2)));
    assert!(!life.is_dead());
    assert_eq!((starts(0), starts(1), starts(2)), (1, 1, 0), "once, and never what was refused");
    life.stop();
}

#[test]
fn a_peer_that_hangs_in_its_body_hinders_nobody() {
    let home = home_without_engine();
    let mut life = serve(&home);
    let address = life.address().unwrap();
    let body = down("nobody");
    let head = format!("POST /alerts HTTP/1.1\r\nHost: autoheal.test\r\nContent-Length: {}\r\n\r\n", body.len());
    let hanging: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut peer = TcpStream::connect(address).unwrap();
            peer.write_all(head.as_bytes()).unwrap();
            peer.write_all(&body.as_bytes()[..body.len() / 2]).unwrap();
            peer
        })
        .collect();
    let caller = Caller::new();
    assert_eq!(caller.post(address, body), Some(202));
    // One gives up; the others are still there when the daemon is told to stop, and do not keep it.
    hanging[0].shutdown(Shutdown::Both).unwrap();
    let heals = caller.look(address, "/api/v1/heals").unwrap();
    assert_eq!(heals["heals"].as_array().unwrap().len(), 1, "half a body asks for nothing");
    let began = Instant::now();
    life.stop();
    assert!(began.elapsed() < Duration::from_secs(20), "stopping took {:?}", began.elapsed());
}

#[test]
fn two_hundred_megabytes_are_refused_in_bounded_memory() {
    const LENGTH: usize = 200 << 20;
    let home = home_without_engine();
    let mut life = serve(&home);
    let address = life.address().unwrap();
    let runtime = runtime();
    // A body may say its length at once, or only by coming to an end.
    for framing in [format!("Content-Length: {LENGTH}"), "Transfer-Encoding: chunked".to_owned()] {
        let is_chunked = framing.starts_with("Transfer");
        let answer = runtime.block_on(async {
            let mut connection = http::Connection::open(address).await;
            let head = format!("POST /alerts HTTP/1.1\r\nHost: autoheal.test\r\n{framing}\r\n\r\n");
            assert!(connection.send(head).await);
            let piece = vec![b' '; 1 << 20];
            for _ in 0..LENGTH / piece.len() {
                let (open, close) = if is_chunked { ("100000\r\n", "\r\n") } else { ("", "") };
                // A server that has answered need not read on.
                if !(connection.send(open).await && connection.send(&piece).await && connection.send(close).await) {
                    break;
                }
            }
            connection.answer().await
        });
        assert_eq!(answer.status, 413, "{framing}: {answer:?}");
    }
    let peak = memory(life.pid(), "VmHWM:");
    println!("at most {peak} KiB in memory");
    assert!(peak < 150 << 10, "the daemon took {peak} KiB");
    assert_eq!(Caller::new().post(address, down("nobody")), Some(202));
    life.stop();
}

/// A line of a process' status in `/proc`, in KiB.
fn memory(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    value.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_null_among_alerts_is_400_and_nothing_of_the_delivery_counts() {
    let home = home_without_engine();
    let mut life = serve(&home);
    let (caller, address) = (Caller::new(), life.address().unwrap());
    let good = alert("firing", &json!({"alertname": "InstanceDown", "container": "nobody"}), Duration::ZERO);
    for alerts in [vec![good.clone(), json!(null)], vec![json!(null), good]] {
        assert_eq!(caller.post(address, delivery(&alerts)), Some(400));
    }
    let heals = caller.look(address, "/api/v1/heals").unwrap();
    assert_eq!(heals["heals"], json!([]));
    life.stop();
}

#[test]
fn of_two_daemons_on_one_store_exactly_one_serves() {
    let home = home_without_engine();
    let mut lives = [Mortal::start(home.command(&["serve"]), &home), Mortal::start(home.command(&["serve"]), &home)];
    eventually("one of them ends", || lives.iter_mut().any(Mortal::is_dead));
    let [first, second] = &mut lives;
    let (winner, loser) = if first.is_dead() { (second, first) } else { (first, second) };
    assert!(loser.log().contains("is in use by another autoheal process"), "{}", loser.log());
    assert_eq!(loser.exit_code(), Some(1));
    eventually("the other one accepts", || {
        assert!(!winner.is_dead(), "{}", winner.log());
        winner.address().is_some_and(|address| Caller::new().post(address, down("nobody")) == Some(202))
    });
    winner.stop();
}
