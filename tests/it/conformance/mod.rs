//! The languages we share with Prometheus and Alertmanager, judged by their own tools.

mod matchers;
mod regexes;
mod templates;

/// The rows of a table under `tests/data/conformance`, in which line breaks are drawn.
fn table(name: &str) -> Vec<String> {
    let path = format!("{}/tests/data/conformance/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.starts_with("# ")).map(|line| line.replace('\u{23ce}', "\n")).collect()
}
