//! A dry run changes nothing anywhere, and says exactly what would have been done.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Home, alert, delivery, eventually};
use crate::support::engine::{Container, Engine, Recipe, unique};
use crate::support::office::Office;
use crate::support::wait;
use crate::support::watch::Watch;

/// A stopped container, the people, and a home whose rules would start the one and tell the others.
struct Scene {
    container: Container,
    watch: Watch,
    office: Office,
    config: String,
    rules: String,
}

impl Scene {
    fn set() -> Self {
        let engine = Engine::get();
        let scene = unique("scene");
        let container = wait(engine.run(Recipe::idle().not_started().label("scene", &scene)));
        let watch = wait(Watch::of(&engine, "scene", &scene));
        let office = Office::open();
        let config =
            format!("docker: {{hosts: [{{name: local, address: '{}'}}]}}\n{}", engine.address, office.receivers());
        let rules = r#"
rules:
- metadata: {name: restart}
  labels: {alertname: ^InstanceDown$}
  steps:
  - restartContainer: {name: "{{ $labels.container }}", stopTimeout: 3s}
    attempts: 2
- metadata: {name: tell}
  labels: {alertname: ^InstanceDown$}
- metadata: {name: other}
  labels: {alertname: ^SomethingElse$}
"#;
        Self { container, watch, office, config, rules: rules.to_owned() }
    }

    fn home(&self) -> Home {
        let home = Home::new(&self.config, &self.rules);
        home.secrets(&Office::secrets());
        home
    }

    fn body(&self) -> String {
        let labels = json!({"alertname": "InstanceDown", "container": self.container.name});
        delivery(&[alert("firing", &labels, Duration::from_mins(1))])
    }
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// `autoheal plan` with further arguments; standard input is the second one.
fn plan(home: &Home, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    home.write("input.json", input);
    let file = std::fs::File::open(home.path().join("input.json")).unwrap();
    let output = run(home.command(&[&["plan"], arguments].concat()).stdin(Stdio::from(file)));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_dry_run_is_silent_everywhere_and_plan_agrees_with_it() {
    let mut scene = Scene::set();
    let home = scene.home().flag("--dry-run");
    let before = wait(scene.container.life());
    let daemon = home.start();
    assert_eq!(daemon.json("/api/v1/status")["dryRun"], true);
    assert_eq!(daemon.post(scene.body()), Some(202));
    eventually("both heals have ended", || {
        daemon.heals().iter().filter(|heal| heal["state"] == "shadowed").count() == 2
    });
    let heals = daemon.heals();
    let of = |rule: &str| heals.iter().find(|heal| heal["rule"] == rule).unwrap();
    let heal = daemon.json(&format!("/api/v1/heals/{}", of("restart")["id"].as_str().unwrap()));
    let name = &scene.container.name;
    assert_eq!(
        heal["reason"],
        format!(
            "would restart container {name} on local; guards: allow (target free, 0 of 60 actions in the last hour, \
             0 of 10 actions running)"
        )
    );
    assert_eq!(of("tell")["reason"], "would tell on-call; guards: none asked");

    let (code, stdout, stderr) = plan(&home, &["-", "--output", "json"], &scene.body());
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let planned: Value = serde_json::from_str(&stdout).unwrap();
    let rules = planned["alerts"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.iter().map(|rule| &rule["verdict"]).collect::<Vec<_>>(), ["shadow", "shadow", "no-match"]);
    assert_eq!((&rules[0]["reason"], &rules[0]["target"]), (&heal["reason"], &heal["target"]));
    assert_eq!(rules[1]["reason"], of("tell")["reason"]);
    for key in ["action", "target", "rendered"] {
        assert_eq!(rules[0]["steps"][0][key], heal["steps"][0][key], "{key}");
    }
    assert_eq!(planned["alerts"][0]["fingerprint"], heal["alerts"][0]["fingerprint"]);
    let twin: Value = daemon.request("POST", "/api/v1/plan").body(scene.body()).send().unwrap().json().unwrap();
    assert_eq!(twin, planned, "the daemon's own rehearsal says the same");

    let log = daemon.log();
    for heal in &heals {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(heal["id"].as_str().unwrap())).collect();
        assert_eq!(lines.len(), 1, "one plain line: {lines:?}");
        assert!(lines[0].contains("msg=\"nothing was done\"") && lines[0].contains("reason=\"would "), "{lines:?}");
    }
    assert!(daemon.terminate().success());
    assert_eq!(before, wait(scene.container.life()));
    assert_eq!(wait(scene.watch.news()), [], "the engine did nothing with the container");
    assert!(!home.path().join("data").exists(), "no store was made");
    assert_eq!(scene.office.slack.requests(), 0);
    assert_eq!(scene.office.smtp.finish(), Vec::<Value>::new(), "nobody even connected");
}

#[test]
fn the_same_delivery_without_the_flag_acts() {
    let scene = Scene::set();
    let home = scene.home();
    let daemon = home.start();
    assert_eq!(daemon.post(scene.body()), Some(202));
    wait(scene.container.until_told("start"));
    assert_eq!(
        scene.office.smtp.expect("message")["plain"].as_str().map(|text| text.contains("InstanceDown")),
        Some(true)
    );
    assert!(home.store().exists());
    assert!(daemon.terminate().success());
}

#[test]
fn plan_reads_files_and_standard_input_and_its_exit_code_tells_how_it_went() {
    let mut scene = Scene::set();
    let home = scene.home();
    home.write("alert.json", &scene.body());
    let (code, text, _) = plan(&home, &["alert.json"], "");
    assert_eq!(code, Some(0));
    let name = &scene.container.name;
    let act = format!("act        restart: step 1 of 1, attempt 1 of 2: restart container {name} on local\n");
    for words in [
        &act,
        &format!("step 1: restartContainer docker:local/name/{name}, up to 2 times\n"),
        &format!(r#"{{"host":"local","max":1,"name":"{name}","stopTimeout":"3s"}}"#),
        "notify     tell: the rule has no action; it only notifies\n",
        "no-match   other: label alertname is \"InstanceDown\", which does not match",
    ] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    assert_eq!(plan(&home, &["-"], &scene.body()), (code, text, String::new()), "the same from standard input");

    let nameless = delivery(&[alert("firing", &json!({"alertname": "InstanceDown"}), Duration::ZERO)]);
    let (code, json, _) = plan(&home, &["-", "--output", "json"], &nameless);
    assert_eq!(code, Some(1), "a matching rule cannot be rendered");
    let planned: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(planned["alerts"][0]["rules"][0]["verdict"], "error");
    assert_eq!(planned["alerts"][0]["rules"][0]["steps"], json!([]));

    for (arguments, input, said) in [
        (["nowhere.json"], "", "nowhere.json cannot be read"),
        (["-"], "{", "-: "),
        (["-"], r#"{"alerts": [null]}"#, "-: "),
    ] {
        let (code, stdout, stderr) = plan(&home, &arguments, input);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{input}");
        assert!(stderr.contains(said) && stderr.lines().count() == 1, "{stderr}");
    }
    home.write("rules/rules.yml", "rules: [{metadata: {name: a}, color: red}]");
    let (code, stdout, stderr) = plan(&home, &["-"], &scene.body());
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("rules/rules.yml:1:") && stderr.contains('^'), "{stderr}");
    assert_eq!(wait(scene.watch.news()), [], "planning starts nothing");
}
