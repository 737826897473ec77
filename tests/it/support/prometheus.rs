//! Real Prometheus and Alertmanager from Debian's packages, as child processes on free ports.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use autoheal::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use super::daemon::{client, eventually};

/// A process that ends with its owner.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}; `make test` installs what is missing")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port nobody listens on at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether a GET succeeds.
pub fn answers(url: &str) -> bool {
    client().get(url).send().is_ok_and(|answer| answer.status().is_success())
}

/// A running Alertmanager that sends everything to one webhook.
pub struct Alertmanager {
    _process: Process,
    /// Where it listens.
    pub port: u16,
}

impl Alertmanager {
    pub fn start(directory: &Path, webhook: &str) -> Self {
        Self::start_at(free_port(), directory, webhook)
    }

    /// One that tells nobody; it is only asked.
    pub fn silent(directory: &Path) -> Self {
        Self::start(directory, "http://127.0.0.1:1/")
    }

    /// At a port that was chosen before.
    pub fn start_at(port: u16, directory: &Path, webhook: &str) -> Self {
        let config = directory.join("alertmanager.yml");
        let text = format!(
            "route: {{receiver: autoheal, group_by: [alertname, job], group_wait: 200ms, group_interval: 1s, repeat_interval: 1h}}\n\
             receivers: [{{name: autoheal, webhook_configs: [{{url: '{webhook}'}}]}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let process = Process::start(
            Command::new("prometheus-alertmanager")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.path={}", directory.join("alertmanager").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--cluster.listen-address="),
            &directory.join("alertmanager.log"),
        );
        eventually("Alertmanager is ready", || answers(&format!("http://127.0.0.1:{port}/-/ready")));
        Self { _process: process, port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Tells it of an alert as Prometheus does: it fires for another hour.
    pub fn fires(&self, labels: &Value) {
        self.push(labels, "2099-01-01T00:00:00Z");
    }

    /// Tells it that an alert has ended.
    pub fn resolves(&self, labels: &Value) {
        self.push(labels, &SystemClock.now().to_string());
    }

    fn push(&self, labels: &Value, ends_at: &str) {
        let alerts = json!([{"labels": labels, "endsAt": ends_at}]).to_string();
        let request = client().post(format!("{}/api/v2/alerts", self.url())).header("content-type", "application/json");
        let answer = request.body(alerts).send().unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// `amtool silence add`; answers its identity.
    pub fn silence(&self, matcher: &str) -> String {
        self.amtool(&["silence", "add", "--author=me", "--comment=a test", "--duration=1h", matcher])
    }

    /// `amtool silence expire`.
    pub fn expire(&self, silence: &str) {
        self.amtool(&["silence", "expire", silence]);
    }

    fn amtool(&self, arguments: &[&str]) -> String {
        let url = format!("--alertmanager.url={}", self.url());
        let output = Command::new("amtool").args(arguments).arg(url).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// A running Prometheus that scrapes the given services (job name, port) and alerts on `up == 0`.
pub struct Prometheus {
    _process: Process,
    port: u16,
}

impl Prometheus {
    pub fn start(directory: &Path, alertmanager: u16, services: &[(&str, u16)]) -> Self {
        let port = free_port();
        let mut text = format!(
            "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n\
             rule_files: [alerts.yml]\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}\n\
             scrape_configs:\n"
        );
        // Busybox's httpd tells the type of a file by its ending.
        text.extend(services.iter().map(|(job, port)| {
            format!(
                "- {{job_name: {job}, metrics_path: /metrics.txt, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
            )
        }));
        std::fs::write(directory.join("prometheus.yml"), text).unwrap();
        let alerts = "groups:\n- name: otus\n  rules:\n  - alert: InstanceDown\n    expr: up == 0\n    for: 1s\n    labels: {severity: page}\n    \
                      annotations: {summary: 'Instance {{ $labels.instance }} down'}\n";
        std::fs::write(directory.join("alerts.yml"), alerts).unwrap();
        let process = Process::start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", directory.join("prometheus").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--rules.alert.resend-delay=1s"),
            &directory.join("prometheus.log"),
        );
        eventually("Prometheus is ready", || answers(&format!("http://127.0.0.1:{port}/-/ready")));
        Self { _process: process, port }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
