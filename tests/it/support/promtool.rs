//! Prometheus' own tool as the judge of what templates mean, from Debian's package.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

/// An alert's labels, as the series that makes it fire.
const SERIES: &str = r#"up{job="ui",instance="web-1.example.com:9100",odd="<no value> {{ }}",dom="a.b.c",n="12"}"#;
/// The same for us.
pub const LABELS: [(&str, &str); 6] = [
    ("__name__", "up"),
    ("job", "ui"),
    ("instance", "web-1.example.com:9100"),
    ("odd", "<no value> {{ }}"),
    ("dom", "a.b.c"),
    ("n", "12"),
];

fn run(directory: &TempDir, arguments: &[String]) -> String {
    let output = Command::new("promtool").args(arguments).current_dir(directory.path()).output();
    let output = output.unwrap_or_else(|error| panic!("promtool: {error}; `make test` installs what is missing"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn rules(templates: &[String]) -> String {
    let mut text = "groups:\n- name: g\n  rules:\n  - alert: X\n    expr: up == 0\n    annotations:\n".to_owned();
    for (number, template) in templates.iter().enumerate() {
        let quoted = serde_json::to_string(template).unwrap();
        let _ = writeln!(text, "      a{number}: {quoted}");
    }
    text
}

/// What Prometheus makes of each template: its text, or `None` for one that it refuses or that fails.
pub fn expand(templates: &[String]) -> Vec<Option<String>> {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..templates.len()).map(|number| format!("{number}.yml")).collect();
    for (name, template) in names.iter().zip(templates) {
        fs::write(directory.path().join(name), rules(std::slice::from_ref(template))).unwrap();
    }
    let checked = run(&directory, &[vec!["check".to_owned(), "rules".to_owned()], names.clone()].concat());
    let verdicts: Vec<&str> = checked.split("Checking ").skip(1).collect();
    assert_eq!(verdicts.len(), templates.len(), "{checked}");
    let good = |number: usize| verdicts[number].contains("SUCCESS");
    let loadable: Vec<String> =
        (0..templates.len()).filter(|number| good(*number)).map(|at| templates[at].clone()).collect();
    let mut expanded = expand_loadable(&directory, &loadable).into_iter();
    (0..templates.len()).map(|number| if good(number) { expanded.next().flatten() } else { None }).collect()
}

fn expand_loadable(directory: &TempDir, templates: &[String]) -> Vec<Option<String>> {
    fs::write(directory.path().join("rules.yml"), rules(templates)).unwrap();
    let series = serde_json::to_string(SERIES).unwrap();
    let test = format!(
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n- input_series: [{{series: {series}, values: '0 0'}}]\n  \
         alert_rule_test: [{{eval_time: 1m, alertname: X, exp_alerts: []}}]\n"
    );
    fs::write(directory.path().join("test.yml"), test).unwrap();
    let said = run(directory, &["test".to_owned(), "rules".to_owned(), "test.yml".to_owned()]);
    // An alert that nobody expected is shown with all its annotations.
    (0..templates.len())
        .map(|number| {
            let begin = said.find(&format!("a{number}=\"")).unwrap_or_else(|| panic!("a{number} in {said}"));
            let annotation = go_quoted(&said[begin + format!("a{number}=").len()..]);
            (!annotation.starts_with("<error expanding template")).then_some(annotation)
        })
        .collect()
}

/// The string at the start of a text, with Go's quotes and escapes.
fn go_quoted(text: &str) -> String {
    let mut value = String::new();
    let mut rest = text[1..].chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => return value,
            '\\' => match rest.next().unwrap() {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                'x' => value.push(hexadecimal(&mut rest, 2)),
                'u' => value.push(hexadecimal(&mut rest, 4)),
                c @ ('"' | '\\') => value.push(c),
                c => panic!("\\{c} in {text}"),
            },
            c => value.push(c),
        }
    }
    panic!("no end in {text}");
}

fn hexadecimal(rest: &mut std::str::Chars<'_>, digits: usize) -> char {
    let digits: String = rest.by_ref().take(digits).collect();
    char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
}

/// Panics unless `promtool check metrics` can read the page. What it would like to be named otherwise does not matter here:
/// two names are the ancestor's.
pub fn accepts_metrics(page: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metrics");
    std::fs::write(&file, page).unwrap();
    let read = std::fs::File::open(file).unwrap();
    let output = Command::new("promtool").args(["check", "metrics"]).stdin(read).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("error"), "{said}\n{page}");
}
