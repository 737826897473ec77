//! What a run did: its hosts, the failing task's message, the end of its output. Asked for once it has ended; output may still
//! be on its way then, and is waited for, but not for ever: a run whose worker was lost never completes it.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::model::{self, HostResult, Job, State};
use crate::action::words::{self, cut};
use crate::domain::{Timestamp, elapsed};

/// Pauses between two looks whether it is.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));
/// Failing hosts and tasks that are named.
const NAMED: usize = 3;
/// Lines of output that are kept.
const TAIL: u64 = 12;
/// What the server gives in place of output longer than a mebibyte, how much of the whole is read then, and how much of its end
/// is kept.
const TOO_LARGE: &str = "Standard Output too large to display";
const DOWNLOADED: usize = 16 * 1024 * 1024;
const KEPT: usize = 4096;

/// What is known of an ended run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Evidence {
    /// `None` when it could not be found out.
    hosts: Option<Vec<HostResult>>,
    failures: Vec<String>,
    explanation: String,
    tail: String,
    took: f64,
}

/// Asks for everything; what cannot be had is left out.
pub(super) async fn gather(client: &Client, run: &Job, until: Timestamp) -> Evidence {
    let (run, is_complete) = complete(client, run, until).await;
    let explanation = if run.explanation.is_empty() { last_line(&run.traceback) } else { cut(&run.explanation, 200) };
    let mut found = Evidence { explanation, took: run.elapsed, ..Evidence::default() };
    if run.is_workflow {
        found.failures = failed_nodes(client, run.id, until).await;
        return found;
    }
    let path = format!("jobs/{}/job_host_summaries/", run.id);
    if let Ok(answer) = client.get(&path, &[("page_size", "200")], "read what became of the hosts", until).await {
        let hosts: Vec<_> = model::rows(&answer.body).iter().filter_map(HostResult::of).collect();
        // Nothing yet is not the same as nothing.
        found.hosts = (is_complete || !hosts.is_empty()).then_some(hosts);
    }
    if run.state != State::Successful {
        let path = format!("jobs/{}/job_events/", run.id);
        let query =
            [("event__in", "runner_on_failed,runner_on_unreachable"), ("page_size", "5"), ("order_by", "counter")];
        if let Ok(answer) = client.get(&path, &query, "read which tasks failed", until).await {
            found.failures = model::rows(&answer.body).iter().filter_map(model::failure).take(NAMED).collect();
        }
    }
    found.tail = tail(client, run.id, until).await;
    found
}

/// Waits for the output to be complete; answers whether it is.
async fn complete(client: &Client, run: &Job, until: Timestamp) -> (Job, bool) {
    let list = if run.is_workflow { "workflow_jobs" } else { "jobs" };
    let path = format!("{list}/{}/", run.id);
    let give_up = until.min(client.now() + client.times().output);
    let (mut latest, mut pause) = (run.clone(), PAUSES.0);
    loop {
        if let Ok(answer) = client.get(&path, &[], "read how the job ended", until).await
            && let Some(read) = Job::of(&answer.body)
        {
            latest = read;
        }
        match latest.events_done {
            // Workflows have no output, and say nothing of it.
            Some(true) => return (latest, true),
            None if latest.is_workflow => return (latest, true),
            _ if client.now() >= give_up => return (latest, false),
            _ => tokio::time::sleep(pause.min(elapsed(client.now(), give_up))).await,
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

async fn failed_nodes(client: &Client, id: u64, until: Timestamp) -> Vec<String> {
    let path = format!("workflow_jobs/{id}/workflow_nodes/");
    let Ok(answer) = client.get(&path, &[("page_size", "200")], "read the workflow's nodes", until).await else {
        return Vec::new();
    };
    let failed = |row: &Value| {
        let job = row.pointer("/summary_fields/job")?;
        let status = job.get("status")?.as_str()?;
        let name = job.get("name")?.as_str()?;
        matches!(status, "failed" | "error" | "canceled").then(|| cut(&format!("its job «{name}» ended {status}"), 120))
    };
    model::rows(&answer.body).iter().filter_map(failed).take(NAMED).collect()
}

/// The last lines of the output. The server gives lines by number, so their number is asked for first.
async fn tail(client: &Client, id: u64, until: Timestamp) -> String {
    let path = format!("jobs/{id}/stdout/");
    let doing = "read the output";
    let Ok(first) =
        client.get(&path, &[("format", "json"), ("start_line", "0"), ("end_line", "1")], doing, until).await
    else {
        return String::new();
    };
    let end = first.body.pointer("/range/absolute_end").and_then(Value::as_u64).unwrap_or(0);
    let (start, end) = (end.saturating_sub(TAIL).to_string(), end.to_string());
    let query = [("format", "json"), ("start_line", start.as_str()), ("end_line", &end)];
    let Ok(answer) = client.get(&path, &query, doing, until).await else { return String::new() };
    let content = answer.body.get("content").and_then(Value::as_str).unwrap_or_default();
    if !content.starts_with(TOO_LARGE) {
        return words::tail(content);
    }
    let bytes = client.last_bytes(&path, &[("format", "txt_download")], (KEPT, DOWNLOADED), doing, until).await;
    bytes.map(|bytes| words::tail(&String::from_utf8_lossy(&bytes))).unwrap_or_default()
}

fn last_line(traceback: &str) -> String {
    traceback.lines().rev().find(|line| !line.trim().is_empty()).map(|line| cut(line, 200)).unwrap_or_default()
}

impl Evidence {
    /// Why a run that ended well did nothing: a play that matches no host ends successful.
    pub(super) fn nobody_was_touched(&self, is_workflow: bool) -> Option<&'static str> {
        let hosts = self.hosts.as_ref().filter(|_| !is_workflow)?;
        if hosts.is_empty() {
            return Some("no host matched, so nothing was done: check the limit, the inventory and the play's hosts");
        }
        let touched = hosts.iter().any(|host| host.ok > 0 || host.changed > 0);
        (!touched).then_some("no task was carried out on any host")
    }

    fn counts(&self, hosts: &[HostResult]) -> String {
        let count = |is: &dyn Fn(&HostResult) -> bool| hosts.iter().filter(|host| is(host)).count();
        let failed = count(&|host| host.failures > 0);
        let unreachable = count(&|host| host.failures == 0 && host.unreachable > 0);
        let well = |host: &HostResult| host.failures == 0 && host.unreachable == 0;
        let changed = count(&|host| well(host) && host.changed > 0);
        let ok = count(&|host| well(host) && host.changed == 0 && host.ok > 0);
        let parts = [(changed, "changed"), (ok, "ok"), (failed, "failed"), (unreachable, "unreachable")];
        let parts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        let bad = hosts.iter().filter(|host| !well(host)).take(NAMED).map(|host| host.name.as_str());
        let bad: Vec<&str> = bad.collect();
        let named =
            if bad.is_empty() || !self.failures.is_empty() { String::new() } else { format!(" ({})", bad.join(", ")) };
        format!("{}{named}", parts.join(", "))
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.took > 0.0 {
            write!(f, " after {:.1}s", self.took)?;
        }
        match &self.hosts {
            Some(hosts) if !hosts.is_empty() => write!(f, "; hosts: {}", self.counts(hosts))?,
            _ => {}
        }
        if !self.explanation.is_empty() {
            write!(f, "; {}", self.explanation)?;
        }
        for failure in &self.failures {
            write!(f, "; {failure}")?;
        }
        if self.tail.is_empty() { Ok(()) } else { write!(f, "; output ends: {}", self.tail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, ok: u64, changed: u64, failures: u64, unreachable: u64) -> HostResult {
        HostResult { name: name.into(), ok, changed, failures, unreachable }
    }

    #[test]
    fn a_story_names_hosts_failures_and_the_end_of_the_output() {
        let found = Evidence {
            hosts: Some(vec![
                host("db1", 2, 0, 0, 0),
                host("web1", 2, 1, 0, 0),
                host("web2", 0, 0, 1, 0),
                host("w3", 0, 0, 0, 1),
            ]),
            failures: vec!["web2, task «free»: disk still full".into()],
            explanation: String::new(),
            tail: "PLAY RECAP | web2 : failed=1".into(),
            took: 1.597,
        };
        assert_eq!(
            found.to_string(),
            " after 1.6s; hosts: 1 changed, 1 ok, 1 failed, 1 unreachable; web2, task «free»: disk still full; output ends: PLAY RECAP | web2 : failed=1"
        );
    }

    #[test]
    fn a_run_without_hosts_is_no_success() {
        let with = |hosts| Evidence { hosts, ..Evidence::default() };
        assert!(with(Some(vec![])).nobody_was_touched(false).unwrap().contains("no host matched"));
        assert!(with(Some(vec![host("a", 0, 0, 0, 0)])).nobody_was_touched(false).unwrap().contains("no task"));
        assert_eq!(with(Some(vec![host("a", 1, 0, 0, 0)])).nobody_was_touched(false), None);
        assert_eq!(with(None).nobody_was_touched(false), None, "unknown is not nothing");
        assert_eq!(with(Some(vec![])).nobody_was_touched(true), None, "a workflow has no hosts of its own");
    }
}
