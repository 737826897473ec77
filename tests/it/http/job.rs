//! The real program with small runners: every preset from an alert to the end, and what happens when things go wrong.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{body, fire, rule, story};
use crate::support::crash::{Call, Caller, Fuse, Mortal, Orders, Side, child as life_of, obey};
use crate::support::daemon::{Home, PATIENCE, eventually};
use crate::support::runners::{Fate, Kind, Runner, Stage, TOKEN};
use crate::support::upstream::{Reply, Upstream};
use crate::support::wait;

const KINDS: [Kind; 4] = [Kind::Rundeck, Kind::Semaphore, Kind::Gitlab, Kind::Jenkins];
const TIMES: &str = "pollInterval: 30ms, timeouts: {request: 2s, lostAnswer: 1s}";

fn home(runner: &Runner, action: &str) -> Home {
    let home = Home::new(&runner.server(TIMES), &rule(action));
    home.secrets(&format!("TOKEN={TOKEN}\n"));
    home
}

/// The same story with every runner, side by side.
fn with_each(tell: impl Fn(&Runner) + Sync) {
    std::thread::scope(|scope| {
        for kind in KINDS {
            let tell = &tell;
            scope.spawn(move || {
                let runner = wait(Runner::start(kind));
                tell(&runner);
                assert!(runner.world().surprises.is_empty(), "{kind:?}: {:?}", runner.world().surprises);
            });
        }
    });
}

fn of<'s>(told: &'s [(String, String)], what: &str) -> &'s str {
    let found = told.iter().find(|(w, _)| w == what).map(|(_, reason)| reason.as_str());
    found.unwrap_or_else(|| panic!("no {what} in {told:#?}"))
}

#[test]
fn every_preset_starts_its_job_as_documented_follows_it_and_heals() {
    with_each(|runner| {
        let home = home(runner, runner.action());
        let daemon = home.start();
        let verifying = fire(&daemon, "web1", "verifying");
        let told = story(&verifying);
        let (kind, called, page) = match runner.kind {
            Kind::Rundeck => ("Rundeck job", "7c1f6e9a-ab", "http://rundeck.example/project/ops/execution/show/41"),
            Kind::Semaphore => ("Semaphore task", "3/5", "/project/3/history?t=41"),
            Kind::Gitlab => ("GitLab pipeline", "ops/heal", "https://gitlab.example/ops/heal/-/pipelines/41"),
            Kind::Jenkins => ("Jenkins job", "ops/restart ui", "http://jenkins.example/job/ops/job/restart%20ui/1/"),
        };
        let done = of(&told, "action done");
        let number = if runner.kind == Kind::Jenkins { 1 } else { 41 };
        assert!(done.starts_with(&format!("{kind} «{called}» {number} (")) && done.contains(page), "{done}");
        assert!(runner.kind == Kind::Gitlab || done.contains("; output ends: stopping ui | ui is up"), "{done}");
        let world = runner.world();
        assert_eq!(world.jobs.len(), 1);
        let given = &world.jobs[&41].given;
        let heal = verifying["id"].as_str().unwrap();
        let key = match runner.kind {
            Kind::Rundeck => {
                assert_eq!((&given["options"]["service"], &given["filter"]), (&json!("ui"), &json!("name: web1")));
                &given["options"]["key"]
            }
            Kind::Semaphore => {
                assert_eq!((&given["environment"], &given["limit"]), (&json!(r#"{"service":"ui"}"#), &json!("web1")));
                &given["message"]
            }
            Kind::Gitlab => {
                let variables = given["variables"].as_array().unwrap();
                assert!(variables.contains(&json!({"key": "SERVICE", "value": "ui"})), "{variables:?}");
                let key = variables.iter().find(|variable| variable["key"] == "AUTOHEAL_KEY");
                &key.unwrap()["value"]
            }
            Kind::Jenkins => {
                assert_eq!(given["SERVICE"], "ui");
                &given["KEY"]
            }
        };
        let key = key.as_str().unwrap().trim_start_matches("autoheal ");
        assert_eq!(key.len(), heal.len(), "{key}");
        assert!(of(&told, "looked").contains(key), "{told:#?}");
        drop(world);
        assert_eq!(daemon.post(body("resolved", "web1")), Some(202));
        daemon.wait_for_state("healed");
        let (log, _) = daemon.terminate_with_log();
        assert!(!log.contains(TOKEN));
        assert!(!String::from_utf8_lossy(&std::fs::read(home.store()).unwrap()).contains(TOKEN));
    });
}

#[test]
fn a_failed_job_is_told_with_its_page_and_the_end_of_its_output() {
    with_each(|runner| {
        runner.world().fate = Fate::Failed;
        let home = home(runner, runner.action());
        let daemon = home.start();
        let told = story(&fire(&daemon, "web1", "exhausted"));
        let failed = of(&told, "action failed");
        let output = match runner.kind {
            Kind::Gitlab => "output ends: deploy restart script_failure https://gitlab.example/ops/heal/-/jobs/9",
            _ => "output ends: stopping ui | ui is up",
        };
        assert!(failed.contains(" failed (") && failed.contains(output), "{failed}");
        assert_eq!(runner.world().jobs.len(), 1);
    });
}

#[test]
fn a_start_whose_answer_is_lost_is_found_by_its_key_and_adopted() {
    with_each(|runner| {
        runner.world().lose_starts = 1;
        let home = home(runner, runner.action());
        let daemon = home.start();
        let told = story(&fire(&daemon, "web1", "verifying"));
        assert!(of(&told, "action done").contains("ended well"), "{told:#?}");
        assert_eq!(runner.world().jobs.len(), 1);
    });
}

#[test]
fn a_job_that_takes_too_long_is_cancelled_and_followed_to_its_end() {
    with_each(|runner| {
        runner.world().fate = Fate::Never;
        let home = home(runner, &format!("timeout: 8s\n  {}", runner.action()));
        let daemon = home.start();
        let told = story(&fire(&daemon, "web1", "exhausted"));
        assert!(of(&told, "action failed").contains("was cancelled because it ran for 6s"), "{told:#?}");
        let world = runner.world();
        assert_eq!((world.jobs.len(), world.stage(41)), (1, Some(Stage::Canceled)));
    });
}

#[test]
fn a_job_that_never_leaves_the_queue_is_taken_out_of_it() {
    with_each(|runner| {
        runner.world().queued = Duration::from_mins(10);
        let home = Home::new(
            &runner.server(&TIMES.replace("lostAnswer", "queued: 500ms, lostAnswer")),
            &rule(runner.action()),
        );
        home.secrets(&format!("TOKEN={TOKEN}\n"));
        let daemon = home.start();
        let told = story(&fire(&daemon, "web1", "exhausted"));
        assert!(of(&told, "action failed").contains("was cancelled because it was still queued after"), "{told:#?}");
        // Jenkins says so of the queue before the build itself is over.
        eventually("it is taken out", || runner.world().stage(41) == Some(Stage::Canceled));
    });
}

#[test]
fn a_removed_job_has_no_known_outcome_and_the_alert_decides() {
    with_each(|runner| {
        runner.world().fate = Fate::Never;
        let home = home(runner, runner.action());
        let daemon = home.start();
        fire(&daemon, "web1", "acting");
        eventually("it is made", || !runner.world().jobs.is_empty());
        runner.world().jobs.clear();
        let told = story(&daemon.wait_for_state("verifying"));
        assert!(of(&told, "action done").contains("its outcome is not known; the alert will tell"), "{told:#?}");
        assert!(runner.world().jobs.is_empty(), "nothing is started again");
    });
}

#[test]
fn reads_that_fail_for_a_while_and_words_that_nobody_knows_are_followed_through() {
    with_each(|runner| {
        runner.world().fate = Fate::Odd;
        // Semaphore's template is looked at first.
        let home = home(runner, &runner.action().replace(", limit: '{{ $labels.instance }}'", ""));
        let daemon = home.start();
        runner.world().break_reads = 3;
        let told = story(&fire(&daemon, "web1", "verifying"));
        assert!(of(&told, "action done").contains("ended well"), "{told:#?}");
    });
}

#[test]
fn what_a_person_cancels_is_cancelled_there_too() {
    with_each(|runner| {
        runner.world().fate = Fate::Never;
        let home = home(runner, runner.action());
        let daemon = home.start();
        let heal = fire(&daemon, "web1", "acting");
        eventually("it runs", || runner.world().stage(41) == Some(Stage::Running));
        let path = format!("/api/v1/heals/{}/cancel", heal["id"].as_str().unwrap());
        let answer = daemon.request("POST", &path).json(&json!({"reason": "wrong host"})).send().unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        daemon.wait_for_state("cancelled");
        assert_eq!(runner.world().stage(41), Some(Stage::Canceled));
    });
}

#[test]
fn a_job_that_cannot_be_found_again_is_not_started_twice() {
    for kind in [Kind::Rundeck, Kind::Gitlab, Kind::Jenkins] {
        let runner = wait(Runner::start(kind));
        runner.world().lose_starts = 9;
        let action = runner.action().replace(", keyIn: key", "").replace(", keyIn: KEY", "");
        let action = action.replace("preset: gitlab", "preset: gitlab, keyIn: none");
        let home = home(&runner, &format!("attempts: 3\n  {action}"));
        let daemon = home.start();
        let told = story(&fire(&daemon, "web1", "suppressed"));
        let doubt = of(&told, "action doubtful");
        assert!(
            doubt.contains("whether a job was started is not known") && doubt.contains("not started again"),
            "{doubt}"
        );
        assert_eq!(runner.world().jobs.len(), 1);
    }
}

#[test]
fn a_limit_that_the_template_would_drop_starts_nothing() {
    let runner = wait(Runner::start(Kind::Semaphore));
    runner.world().takes_limit = false;
    let home = home(&runner, runner.action());
    let daemon = home.start();
    let told = story(&fire(&daemon, "web1", "exhausted"));
    assert!(of(&told, "action refused").contains("would drop the limit and run on every host"), "{told:#?}");
    assert!(runner.world().jobs.is_empty());
}

#[test]
fn a_crumb_is_shown_where_jenkins_wants_one() {
    let runner = wait(Runner::start(Kind::Jenkins));
    runner.world().needs_crumb = true;
    let home = home(&runner, runner.action());
    let daemon = home.start();
    fire(&daemon, "web1", "verifying");
    assert_eq!(runner.world().jobs.len(), 1);
}

#[test]
fn check_online_asks_for_every_job_and_starts_none() {
    with_each(|runner| {
        let other = runner.action().replace("7c1f6e9a-ab", "no").replace("template: 5", "template: 6");
        let other = other.replace("ops/heal", "ops/no").replace("ops/restart ui", "ops/no");
        let rules = format!(
            "{}{}",
            rule(runner.action()),
            rule(&other).replace("rules:\n", "").replace("name: ask", "name: other")
        );
        let home = Home::new(&runner.server(TIMES), &rules);
        home.secrets(&format!("TOKEN={TOKEN}\n"));
        let output = home.command(&["check", "--online"]).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("http server runner: runner (http://") && text.contains("rule ask, step 1: "), "{text}");
        assert!(text.contains("» is there\n") && text.contains("error: rule other, step 1: "), "{text}");
        let strange = |line: &String| !line.starts_with("GET /") || line.contains("/41");
        assert!(runner.world().jobs.is_empty() && !runner.world().surprises.iter().any(strange), "{text}");
        runner.world().surprises.clear();

        home.secrets("TOKEN=wrong-t0ken\n");
        let output = home.command(&["check", "--online"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("error: http server runner: ") && text.contains("does not let us in"), "{text}");
        assert!(!text.contains("wrong-t0ken"), "{text}");
    });
}

/// A runner of no preset: the number in a header, the state in a word, jobs found by key.
const GENERIC: &str = r#"httpJob:
    name: reindex
    start: {path: /jobs, json: {index: "{{ $labels.job }}", tag: "autoheal-{{ $job.key }}"}, status: 202}
    id: {header: Location}
    find: {path: /jobs, items: /jobs, id: /name}
    poll: {path: "/jobs/{{ $job.id }}", state: /phase, words: {Pending: queued, Active: running, Complete: ok, Broken: failed, Killed: canceled}, message: /detail}
    cancel: {method: DELETE, path: "/jobs/{{ $job.id }}"}
    output: {path: "/jobs/{{ $job.id }}/log"}
    page: "/ui/{{ $job.id }}""#;

fn generic() -> Upstream {
    let jobs = std::sync::Mutex::new(Vec::<Value>::new());
    wait(Upstream::start(move |asked| {
        let mut jobs = jobs.lock().unwrap();
        match asked.line().as_str() {
            "POST /base/jobs" => {
                jobs.push(asked.json());
                Reply::Say(202, vec![("location", format!("/jobs/j-{}?x=1", jobs.len()))], String::new())
            }
            "GET /base/jobs" => {
                let row = |(number, job): (usize, &Value)| json!({"name": format!("j-{}", number + 1), "spec": job});
                Reply::json(200, &json!({"jobs": jobs.iter().enumerate().map(row).collect::<Vec<_>>()}))
            }
            "GET /base/jobs/j-1" => Reply::json(200, &json!({"phase": "Complete", "detail": "7 documents"})),
            "GET /base/jobs/j-1/log" => Reply::text(200, "read 7\nwrote 7\n"),
            _ => Reply::text(404, ""),
        }
    }))
}

#[test]
fn a_runner_of_no_preset_is_described_request_by_request() {
    let upstream = generic();
    let home = super::home(&upstream, &rule(GENERIC));
    let daemon = home.start();
    let verifying = fire(&daemon, "web1", "verifying");
    let told = story(&verifying);
    let base = format!("{}/base", upstream.url());
    let done =
        format!("job «reindex» j-1 ({base}/ui/j-1) ended well (Complete); 7 documents; output ends: read 7 | wrote 7");
    assert!(of(&told, "action done").starts_with(&done), "{told:#?}");
    assert_eq!(of(&told, "started"), format!("started job j-1 ({base}/ui/j-1)"));
    assert_eq!(verifying["steps"][0]["action"], "httpJob");
    assert!(verifying["steps"][0]["rendered"].to_string().contains("autoheal-{{ $job.key }}"), "{verifying}");
}

/// Not a test: the life of a daemon with a fuse.
#[test]
fn child() {
    obey();
}

const CHILD: &str = "http::job::child";

/// From the alert to the verified heal, with a process that dies at one commit and another one that goes on; answers
/// whether the first one died.
fn tell(fuse: Fuse, kind: Kind, lost: bool) -> bool {
    let runner = wait(Runner::start(kind));
    runner.world().lose_starts = usize::from(lost);
    let (home, caller) = (home(&runner, runner.action()), Caller::new());
    let mut life = Mortal::start(life_of(&home, CHILD, &Orders { fuse: Some(fuse), later: 0 }), &home);
    let (began, mut died, mut chapter) = (Instant::now(), false, 0);
    while chapter < 2 {
        assert!(began.elapsed() < PATIENCE, "stuck in chapter {chapter} after {fuse:?} with {kind:?}:\n{}", life.log());
        if life.is_dead() {
            assert!(!died, "the heir died:\n{}", life.log());
            died = true;
            life = Mortal::start(home.command(&["serve"]), &home);
        }
        if let Some(address) = life.address() {
            let goes_on = match chapter {
                0 => caller.post(address, body("firing", "web1")) == Some(202),
                _ => caller.look(address, "/api/v1/status").is_some_and(|now| now["heals"]["verifying"] == 1),
            };
            chapter += i32::from(goes_on);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(runner.world().jobs.len(), 1, "after {fuse:?} with {kind:?}:\n{}", life.log());
    // The last commit can be seen from outside before the process has died of it.
    died || !life.ends_well()
}

#[test]
fn whatever_dies_at_whichever_commit_there_is_one_job() {
    std::thread::scope(|scope| {
        for (kind, lost) in [(Kind::Gitlab, false), (Kind::Jenkins, true)] {
            for side in [Side::Before, Side::After] {
                scope.spawn(move || {
                    let fuse = |number| Fuse { side, call: Call::Record, number };
                    let deaths = (1..100).take_while(|number| tell(fuse(*number), kind, lost)).count();
                    assert!(deaths >= 3, "only {deaths} crashes {side:?} with {kind:?}");
                });
            }
        }
    });
}
