//! Alertmanager's own tool as the judge of what Alertmanager accepts, from Debian's package.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Output};

/// A whole Alertmanager configuration around some lines of it.
pub fn configuration(lines: &str) -> String {
    format!("route: {{receiver: nobody}}\nreceivers: [{{name: nobody}}]\n{lines}\n")
}

/// For each configuration whether Alertmanager accepts it.
pub fn accepts(configurations: &[String]) -> Vec<bool> {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("amtool");
    command.current_dir(directory.path()).arg("check-config");
    for (number, text) in configurations.iter().enumerate() {
        let name = format!("{number}.yml");
        fs::write(directory.path().join(&name), text).unwrap();
        command.arg(name);
    }
    let said = String::from_utf8(run(command).stdout).unwrap();
    let verdicts: Vec<bool> = said
        .lines()
        .filter_map(|line| line.strip_prefix("Checking '")?.split_once("'  "))
        .map(|(_, verdict)| verdict.starts_with("SUCCESS"))
        .collect();
    assert_eq!(verdicts.len(), configurations.len(), "{said}");
    verdicts
}

/// A configuration with a receiver `rN` for the Nth list of matchers, all of which are tried.
pub fn routes(matchers: &[String]) -> String {
    let mut routes = String::new();
    let mut receivers = String::new();
    for (number, matcher) in matchers.iter().enumerate() {
        let matcher = serde_json::to_string(matcher).unwrap();
        let _ = writeln!(routes, "  - {{receiver: r{number}, continue: true, matchers: [{matcher}]}}");
        let _ = writeln!(receivers, "- {{name: r{number}}}");
    }
    format!("route:\n  receiver: nobody\n  routes:\n{routes}receivers:\n- {{name: nobody}}\n{receivers}")
}

/// The receivers that Alertmanager would tell of an alert with these labels, each written as a matcher.
pub fn receivers(configuration: &str, labels: &[String]) -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alertmanager.yml");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("amtool");
    command.args(["config", "routes", "test"]).arg(format!("--config.file={}", file.display())).args(labels);
    let output = run(command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().split(',').map(str::to_owned).collect()
}

/// What Alertmanager makes of a template, about an alert of its own.
pub fn render(template: &str) -> String {
    let mut command = Command::new("amtool");
    command.args(["template", "render", "--template.glob=/dev/null"]).arg(format!("--template.text={template}"));
    let output = run(command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn run(mut command: Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `make test` installs what is missing"))
}
