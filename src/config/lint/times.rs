//! Times that cannot be kept.

use std::time::Duration;

use super::{Findings, Linted};
use crate::domain::duration;

/// Alertmanager tells a resolve at its next `group_interval`, which hardly anybody sets below this.
const SHORTEST_GROUP_INTERVAL: Duration = Duration::from_mins(1);

/// What the engine gives a container to stop when nobody says otherwise.
const DEFAULT_STOP: Duration = Duration::from_secs(10);

pub fn look(rules: &[Linted<'_>], findings: &Findings<'_>) {
    for linted in rules {
        too_old(linted, findings);
        too_many(linted, findings);
        for (step, node) in linted.rule.steps.iter().zip(linted.step_nodes()) {
            let verify = node.value("verify");
            let within = step.verify.within;
            if step.verify.resolved && within < SHORTEST_GROUP_INTERVAL {
                let span = verify.and_then(|verify| verify.value("within")).map_or(&node.span, |node| &node.span);
                let message = format!("the alert will hardly be told as resolved within {}", duration::format(within));
                let label = "Alertmanager tells a resolve at its next group_interval, 5m unless configured";
                findings.add("cannot-fit", (linted.file, span), message, label, None);
            }
            for probe in ["http", "tcp", "promql"] {
                let timeout = verify.and_then(|verify| verify.value(probe)).and_then(|probe| probe.value("timeout"));
                if let Some(timeout) = timeout
                    && duration::parse(&timeout.written).is_ok_and(|timeout| timeout >= within)
                {
                    let message = format!("one `{probe}` look may take longer than `within`");
                    let label = format!("`within` is {}", duration::format(within));
                    findings.add("cannot-fit", (linted.file, &timeout.span), message, label, None);
                }
            }
            if let Some(restart) = node.value("restartContainer") {
                let written = restart.value("stopTimeout");
                let stop = written.and_then(|node| duration::parse(&node.written).ok()).unwrap_or(DEFAULT_STOP);
                if stop >= step.timeout {
                    let span = written.or(node.value("timeout")).map_or(&node.span, |node| &node.span);
                    let message = "stopping alone may take the whole `timeout` of the action";
                    let label = format!("{} of {}", duration::format(stop), duration::format(step.timeout));
                    findings.add("cannot-fit", (linted.file, span), message, label, None);
                }
            }
        }
    }
}

/// A rule that waits until its alert is too old for it never acts.
fn too_old(linted: &Linted<'_>, findings: &Findings<'_>) {
    let Some(max_age) = linted.rule.policy.max_age.filter(|max_age| linted.rule.hold_for > *max_age) else { return };
    let label = format!("`maxAge` is {}, so nothing is ever done", duration::format(max_age));
    let message = "`for` waits longer than the alert may be old";
    findings.add("cannot-fit", (linted.file, linted.span(&["for"])), message, label, None);
}

/// A ladder that alone uses up what its rule may do within an hour.
fn too_many(linted: &Linted<'_>, findings: &Findings<'_>) {
    let rule = linted.rule;
    let attempts: u32 = rule.steps.iter().map(|step| step.attempts).sum();
    let Some(per_hour) = rule.policy.limits.per_hour.filter(|per_hour| *per_hour < attempts) else { return };
    let message = format!("one heal has {attempts} attempts, and `perHour` lets {per_hour} of them begin");
    let label = "the others wait until the hour is over";
    findings.add("cannot-fit", (linted.file, linted.span(&["limits", "perHour"])), message, label, None);
}
