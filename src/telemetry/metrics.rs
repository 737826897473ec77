//! The metrics of `/metrics`. Every label's values are bounded: words of ours, names from the configuration, or a name
//! from outside that becomes `other` once there are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::exposition::Exposition;
use super::name_limit::NameLimit;
use super::rejection::Rejection;
use super::services::{Service, Services};
use crate::domain::Timestamp;
use crate::domain::alert::AlertStatus;
use crate::domain::heal::{Outcome, STATES};

/// Label sets: the field's name is the label's.
macro_rules! label_sets {
    ($($name:ident { $($field:ident: $type:ty),+ })+) => {$(
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name { $($field: $type),+ }
    )+};
}

label_sets! {
    StatusLabel { status: &'static str }
    ReasonLabel { reason: &'static str }
    CodeLabel { code: u16 }
    RuleLabel { rule: String }
    StateLabel { state: String }
    HealLabels { rule: String, outcome: &'static str }
    RefusalLabels { rule: String, reason: String }
    RequestedLabels { r#type: String, rule: String, alert: String }
    LaunchedLabels { r#type: String, template: String, rule: String, status: &'static str }
    ActionLabels { r#type: String, outcome: &'static str }
    ChannelLabel { channel: String }
    FailureLabels { channel: String, reason: &'static str }
    BuildLabels { version: &'static str }
    ServiceLabel { service: String }
}

type Counters<Labels> = Family<Labels, Counter>;
type Gauges<Labels> = Family<Labels, Gauge>;

/// Every metric of the daemon, with one typed method for each thing that happens.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    alerts_received: Counters<StatusLabel>,
    alerts_matched: Counters<RuleLabel>,
    alerts_truncated: Counter,
    deliveries: Counters<CodeLabel>,
    rejected: Counters<ReasonLabel>,
    heals: Counters<HealLabels>,
    heals_open: Gauges<StateLabel>,
    guard_refusals: Counters<RefusalLabels>,
    actions_requested: Counters<RequestedLabels>,
    alert_names: NameLimit,
    actions_launched: Gauges<LaunchedLabels>,
    template_names: NameLimit,
    action_seconds: Family<ActionLabels, Histogram>,
    verification_seconds: Histogram,
    outbox_waiting: Gauge,
    outbox_dead: Gauge,
    notifications: Counters<ChannelLabel>,
    notifications_failed: Counters<FailureLabels>,
    store_commit_seconds: Histogram,
    exposed: Gauge,
    config_successful: Gauge,
    config_success_time: Gauge<f64, AtomicU64>,
    services: Services,
    services_up: Gauges<ServiceLabel>,
    receivers: Services,
    receivers_up: Gauges<ChannelLabel>,
}

impl Metrics {
    /// Metrics of a process that started at `started`. Every state and every reason to reject is there from the start, at 0.
    #[must_use]
    pub fn new(started: Timestamp) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            alerts_received: Family::default(),
            alerts_matched: Family::default(),
            alerts_truncated: Counter::default(),
            deliveries: Family::default(),
            rejected: Family::default(),
            heals: Family::default(),
            heals_open: Family::default(),
            guard_refusals: Family::default(),
            actions_requested: Family::default(),
            alert_names: NameLimit::default(),
            actions_launched: Family::default(),
            template_names: NameLimit::default(),
            action_seconds: Family::new_with_constructor(slow_buckets),
            verification_seconds: slow_buckets(),
            outbox_waiting: Gauge::default(),
            outbox_dead: Gauge::default(),
            notifications: Family::default(),
            notifications_failed: Family::default(),
            // From a tenth of a millisecond, a fast disk, to 6.5 s, a disk in trouble.
            store_commit_seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 17)),
            exposed: Gauge::default(),
            config_successful: Gauge::default(),
            config_success_time: Gauge::default(),
            services: Services::default(),
            services_up: Family::default(),
            receivers: Services::default(),
            receivers_up: Family::default(),
        };
        metrics.register(started);
        metrics.start_at_zero();
        metrics.config_loaded(Some(started));
        metrics
    }

    fn register(&mut self, started: Timestamp) {
        let r = &mut self.registry;
        let build = Info::new(BuildLabels { version: env!("CARGO_PKG_VERSION") });
        r.register("autoheal_build", "The running version", build);
        let start = Gauge::<f64, AtomicU64>::default();
        start.set(seconds(started));
        r.register("process_start_time_seconds", "When the process started, in seconds since 1970", start);
        let texts = "Alerts of accepted deliveries";
        r.register("autoheal_alerts_received", texts, self.alerts_received.clone());
        let texts = "Alerts of accepted deliveries that a rule matched";
        r.register("autoheal_alerts_matched", texts, self.alerts_matched.clone());
        let texts = "Alerts that Alertmanager left out of accepted deliveries (max_alerts)";
        r.register("autoheal_alerts_truncated", texts, self.alerts_truncated.clone());
        r.register("autoheal_deliveries", "Answers to POST /alerts", self.deliveries.clone());
        r.register("autoheal_deliveries_rejected", "Deliveries not accepted", self.rejected.clone());
        r.register("autoheal_heals", "Heals that ended", self.heals.clone());
        r.register("autoheal_heals_open", "Heals that have not ended", self.heals_open.clone());
        let texts = "Times a guard held a heal back or refused it, by the reason's code";
        r.register("autoheal_guard_refusals", texts, self.guard_refusals.clone());
        let texts = "Actions asked for by a rule and a firing alert, before any guard";
        r.register("autoheal_actions_requested", texts, self.actions_requested.clone());
        let texts = "Actions that run, and that completed since the process started";
        r.register("autoheal_actions_launched", texts, self.actions_launched.clone());
        r.register("autoheal_action_seconds", "How long actions took", self.action_seconds.clone());
        let texts = "From the end of an action to its verification";
        r.register("autoheal_verification_seconds", texts, self.verification_seconds.clone());
        r.register("autoheal_outbox_waiting", "Messages not yet delivered", self.outbox_waiting.clone());
        r.register("autoheal_outbox_dead", "Messages given up", self.outbox_dead.clone());
        r.register("autoheal_notifications", "Deliveries of messages tried", self.notifications.clone());
        let texts = "Deliveries of messages that failed";
        r.register("autoheal_notifications_failed", texts, self.notifications_failed.clone());
        let texts = "1 when the network can deliver alerts without a token";
        r.register("autoheal_web_exposed", texts, self.exposed.clone());
        let texts = "1 when the last reload of the configuration put it in place, 0 when an earlier one still is";
        r.register("autoheal_config_last_reload_successful", texts, self.config_successful.clone());
        let texts = "When the configuration in place was read, in seconds since 1970";
        r.register("autoheal_config_last_reload_success_timestamp_seconds", texts, self.config_success_time.clone());
        let texts = "1 while a service that actions depend on answers, 0 while it is left alone because it does not";
        r.register("autoheal_service_up", texts, self.services_up.clone());
        let texts = "1 while a receiver takes messages, 0 when one was given up or fails again and again";
        r.register("autoheal_receiver_up", texts, self.receivers_up.clone());
        r.register("autoheal_store_commit_seconds", "How long a commit took", self.store_commit_seconds.clone());
    }

    /// A series that appears only with its first event hides that event from `rate()`.
    fn start_at_zero(&self) {
        use Rejection::{BadPayload, Busy, ForeignOrigin, NotReady, Store, TimedOut, TooLarge, Unauthorized};
        for reason in [TooLarge, BadPayload, Unauthorized, ForeignOrigin, NotReady, Busy, Store, TimedOut] {
            drop(self.rejected.get_or_create(&ReasonLabel { reason: reason.as_str() }));
        }
        for status in [AlertStatus::Firing, AlertStatus::Resolved] {
            drop(self.alerts_received.get_or_create(&StatusLabel { status: status.as_str() }));
        }
        drop(self.deliveries.get_or_create(&CodeLabel { code: 202 }));
        self.set_heals_open(&BTreeMap::new());
    }

    /// Alerts of one accepted delivery.
    pub fn alerts_received(&self, status: AlertStatus, count: u64) {
        if count > 0 {
            self.alerts_received.get_or_create(&StatusLabel { status: status.as_str() }).inc_by(count);
        }
    }

    /// The sender left alerts out of an accepted delivery.
    pub fn alerts_truncated(&self, count: u64) {
        self.alerts_truncated.inc_by(count);
    }

    /// A rule matched an alert of an accepted delivery.
    pub fn alert_matched(&self, rule: &str) {
        self.alerts_matched.get_or_create(&RuleLabel { rule: rule.to_owned() }).inc();
    }

    /// `POST /alerts` was answered.
    pub fn delivery(&self, code: u16) {
        self.deliveries.get_or_create(&CodeLabel { code }).inc();
    }

    /// A delivery was not accepted.
    pub fn rejected(&self, reason: Rejection) {
        self.rejected.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }

    /// A heal ended.
    pub fn heal_ended(&self, rule: &str, outcome: Outcome) {
        self.heals.get_or_create(&HealLabels { rule: rule.to_owned(), outcome: outcome.as_str() }).inc();
    }

    /// How many heals are in each state, as the store counts them; ended ones are left out.
    pub fn set_heals_open(&self, counts: &BTreeMap<String, u64>) {
        // The first four names are those of heals that have not ended.
        for state in &STATES[..4] {
            let count = counts.get(*state).copied().unwrap_or_default();
            self.heals_open.get_or_create(&StateLabel { state: (*state).to_owned() }).set(saturating(count));
        }
    }

    /// A guard held a heal back, or refused it for good; `reason` is the reason's code.
    pub fn guard_refused(&self, rule: &str, reason: &str) {
        self.guard_refusals.get_or_create(&RefusalLabels { rule: rule.to_owned(), reason: reason.to_owned() }).inc();
    }

    /// A rule asks for an action because an alert fires. `alert` is the alert's name.
    pub fn action_requested(&self, kind: &str, rule: &str, alert: &str) {
        let alert = self.alert_names.admit(alert).to_owned();
        let labels = RequestedLabels { r#type: kind.to_owned(), rule: rule.to_owned(), alert };
        self.actions_requested.get_or_create(&labels).inc();
    }

    /// An attempt has ended after `took`.
    pub(super) fn action_took(&self, kind: &str, succeeded: bool, took: Duration) {
        let outcome = if succeeded { "done" } else { "failed" };
        let labels = ActionLabels { r#type: kind.to_owned(), outcome };
        self.action_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// So many more launched actions are `running` or `completed`, or fewer.
    pub(super) fn launched(&self, kind: &str, template: &str, rule: &str, status: &'static str, by: i64) {
        let template = self.template_names.admit(template).to_owned();
        let labels = LaunchedLabels { r#type: kind.to_owned(), template, rule: rule.to_owned(), status };
        self.actions_launched.get_or_create(&labels).inc_by(by);
    }

    /// A heal was verified this long after its action was done.
    pub fn verified(&self, took: Duration) {
        self.verification_seconds.observe(took.as_secs_f64());
    }

    /// A service that actions depend on answers, or does not for this reason.
    pub fn set_service(&self, name: &str, error: Option<&str>, now: Timestamp) {
        self.services.set(name, error, now);
        let labels = ServiceLabel { service: name.to_owned() };
        self.services_up.get_or_create(&labels).set(i64::from(error.is_none()));
    }

    /// Forgets the services that are none of these any more.
    pub fn keep_services(&self, names: &BTreeSet<String>) {
        for service in self.services.keep(names) {
            self.services_up.remove(&ServiceLabel { service });
        }
    }

    /// The services that actions depend on and that were asked anything.
    pub fn services(&self) -> BTreeMap<String, Service> {
        self.services.all()
    }

    /// A receiver's channel takes messages, or does not for this reason.
    pub fn set_receiver(&self, channel: &str, error: Option<&str>, now: Timestamp) {
        self.receivers.set(channel, error, now);
        let labels = ChannelLabel { channel: channel.to_owned() };
        self.receivers_up.get_or_create(&labels).set(i64::from(error.is_none()));
    }

    /// The receivers' channels that were told anything.
    pub fn receivers(&self) -> BTreeMap<String, Service> {
        self.receivers.all()
    }

    /// The outbox in numbers.
    pub fn set_outbox(&self, waiting: u64, dead: u64) {
        self.outbox_waiting.set(saturating(waiting));
        self.outbox_dead.set(saturating(dead));
    }

    /// A message's delivery was tried; `failure` is the reason when it failed, a word of the notifier's own.
    pub fn notification(&self, channel: &str, failure: Option<&'static str>) {
        self.notifications.get_or_create(&ChannelLabel { channel: channel.to_owned() }).inc();
        if let Some(reason) = failure {
            let labels = FailureLabels { channel: channel.to_owned(), reason };
            self.notifications_failed.get_or_create(&labels).inc();
        }
    }

    /// The store committed.
    pub fn store_committed(&self, took: Duration) {
        self.store_commit_seconds.observe(took.as_secs_f64());
    }

    /// Whether the network can deliver alerts without a token.
    pub fn set_exposed(&self, exposed: bool) {
        self.exposed.set(exposed.into());
    }

    /// The configuration was loaded at a time, or was not put in place.
    pub fn config_loaded(&self, at: Option<Timestamp>) {
        self.config_successful.set(at.is_some().into());
        if let Some(at) = at {
            self.config_success_time.set(seconds(at));
        }
    }

    /// All metrics as one page.
    #[must_use]
    pub fn encode(&self, form: Exposition) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // Writing to a String cannot fail; a metric that cannot be encoded would only cut the text short.
        let _ = encode(&mut text, &self.registry);
        form.of(text)
    }
}

fn seconds(at: Timestamp) -> f64 {
    Duration::try_from(at.as_duration()).unwrap_or_default().as_secs_f64()
}

/// From a tenth of a second to an hour.
fn slow_buckets() -> Histogram {
    Histogram::new([0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0])
}

fn saturating(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::LaunchedAction;
    use super::super::name_limit::MAX_NAMES;
    use super::*;

    #[test]
    fn names_are_those_the_ancestor_and_the_docs_promise() {
        let metrics = Metrics::new("2026-11-22T07:02:00.5Z".parse().unwrap());
        metrics.action_requested("restartContainer", "restart-ui", "InstanceDown");
        let action = LaunchedAction::new(&metrics, "restartContainer", "", "restart-ui");
        action.runs();
        action.ended(true, Duration::from_secs(2));
        metrics.guard_refused("restart-ui", "paused");
        metrics.heal_ended("restart-ui", Outcome::Healed);
        let text = metrics.encode(Exposition::OpenMetrics);
        for line in [
            "autoheal_build_info{version=\"0.1.0\"} 1",
            "process_start_time_seconds 1795330920.5",
            "autoheal_actions_requested_total{type=\"restartContainer\",rule=\"restart-ui\",alert=\"InstanceDown\"} 1",
            "autoheal_actions_launched{type=\"restartContainer\",template=\"\",rule=\"restart-ui\",status=\"running\"} 0",
            "autoheal_heals_total{rule=\"restart-ui\",outcome=\"healed\"} 1",
            "autoheal_guard_refusals_total{rule=\"restart-ui\",reason=\"paused\"} 1",
            "autoheal_heals_open{state=\"pending\"} 0",
            "autoheal_deliveries_rejected_total{reason=\"too_large\"} 0",
            "autoheal_action_seconds_count{type=\"restartContainer\",outcome=\"done\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn alert_names_from_outside_cannot_grow_the_page_without_end() {
        let metrics = Metrics::new(Timestamp::UNIX_EPOCH);
        (0..5000).for_each(|i| metrics.action_requested("restartContainer", "r", &format!("Alert{i}")));
        let text = metrics.encode(Exposition::OpenMetrics);
        let series = text.lines().filter(|line| line.starts_with("autoheal_actions_requested_total")).count();
        assert_eq!(series, MAX_NAMES + 1);
        assert!(text.contains("alert=\"other\"} 4500"));
    }
}
