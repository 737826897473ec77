//! The action of one attempt as the metrics count it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Metrics;

/// Counts an action as running from its launch until it has ended, or until this value is dropped because somebody else
/// goes on with it. What was never launched is never counted.
pub struct LaunchedAction<'m> {
    metrics: &'m Metrics,
    kind: &'static str,
    template: &'m str,
    rule: &'m str,
    is_running: AtomicBool,
}

impl<'m> LaunchedAction<'m> {
    /// An action that has not been launched. `template` is what the rule calls it, empty where actions have no name.
    #[must_use]
    pub const fn new(metrics: &'m Metrics, kind: &'static str, template: &'m str, rule: &'m str) -> Self {
        Self { metrics, kind, template, rule, is_running: AtomicBool::new(false) }
    }

    /// It was launched, be it by another process before this one.
    pub fn runs(&self) {
        if !self.is_running.swap(true, Ordering::AcqRel) {
            self.count("running", 1);
        }
    }

    /// The attempt has ended after `took`.
    pub fn ended(self, succeeded: bool, took: Duration) {
        if self.is_running.load(Ordering::Acquire) {
            self.count("completed", 1);
        }
        self.metrics.action_took(self.kind, succeeded, took);
    }

    fn count(&self, status: &'static str, by: i64) {
        self.metrics.launched(self.kind, self.template, self.rule, status, by);
    }
}

impl Drop for LaunchedAction<'_> {
    fn drop(&mut self) {
        if *self.is_running.get_mut() {
            self.count("running", -1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Exposition;
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn what_was_never_launched_does_not_end_and_what_is_left_to_others_runs_no_more() {
        let metrics = Metrics::new(Timestamp::UNIX_EPOCH);
        let action = || LaunchedAction::new(&metrics, "restartContainer", "t", "r");
        let count = |status: &str| {
            let line = format!(
                "autoheal_actions_launched{{type=\"restartContainer\",template=\"t\",rule=\"r\",status=\"{status}\"}} "
            );
            metrics
                .encode(Exposition::OpenMetrics)
                .lines()
                .find_map(|l| l.strip_prefix(&line).map(str::to_owned))
                .unwrap_or_default()
        };
        action().ended(false, Duration::from_secs(1));
        assert_eq!((count("running"), count("completed")), (String::new(), String::new()));
        let running = action();
        running.runs();
        running.runs();
        assert_eq!(count("running"), "1");
        running.ended(true, Duration::from_secs(1));
        assert_eq!((count("running").as_str(), count("completed").as_str()), ("0", "1"));
        let left = action();
        left.runs();
        drop(left);
        assert_eq!((count("running").as_str(), count("completed").as_str()), ("0", "1"));
    }
}
