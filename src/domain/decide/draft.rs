//! A heal while it is being changed: collects what the plan will commit.

use std::sync::Arc;
use std::time::Duration;

use super::{Policy, call, evidence};
use crate::domain::alert::{Alert, AlertStatus, BY_TIMEOUT, Fingerprint};
use crate::domain::call::Call;
use crate::domain::evidence::{Finding, Watch};
use crate::domain::heal::{Episode, Heal, HealId, LadderMemory, Outcome, Phase};
use crate::domain::message::{Channel, MessageKind};
use crate::domain::plan::{Plan, PlannedMessage};
use crate::domain::reason::Reason;
use crate::domain::rule::Mode;
use crate::domain::{Timestamp, elapsed};

/// Who tells a timeline entry that nobody else told.
pub const AUTOHEAL: &str = "autoheal";
/// Who tells of alerts.
pub const ALERTMANAGER: &str = "alertmanager";

/// A heal under change.
pub struct Draft<'a> {
    policy: &'a Policy,
    pub heal: Heal,
    pub now: Timestamp,
    /// Whether the heal had ended before; what is remembered of its alerts is then settled.
    had_ended: bool,
    touched: Vec<Fingerprint>,
    messages: Vec<PlannedMessage>,
    start_action: bool,
    cancel_action: bool,
    goes_on_from: Option<HealId>,
}

impl<'a> Draft<'a> {
    pub const fn of(policy: &'a Policy, heal: Heal, now: Timestamp) -> Self {
        let had_ended = heal.outcome().is_some();
        Self {
            policy,
            heal,
            now,
            had_ended,
            touched: Vec::new(),
            messages: Vec::new(),
            start_action: false,
            cancel_action: false,
            goes_on_from: None,
        }
    }

    pub const fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// Whether the heal only records what would be done.
    pub fn is_shadow(&self) -> bool {
        self.policy.dry_run || self.heal.mode == Mode::Shadow
    }

    /// Adds a line to the story.
    pub fn tell(&mut self, what: &str, reason: Reason, by: &str) {
        self.heal.tell(self.now, what, reason, by);
    }

    /// Moves to a state, and says why in the state and in the story.
    pub fn enter(&mut self, phase: Phase, reason: Reason) {
        self.enter_by(phase, reason, AUTOHEAL);
    }

    /// Moves to a state because a person said so.
    pub fn enter_by(&mut self, phase: Phase, reason: Reason, by: &str) {
        self.heal.phase = phase;
        self.heal.reason = reason.clone();
        self.tell(self.heal.phase.name(), reason, by);
    }

    /// Ends the heal because a person said so.
    pub fn cancelled(&mut self, reason: Reason, by: &str) {
        self.enter_by(Phase::Ended { outcome: Outcome::Cancelled, at: self.now }, reason, by);
        self.notify(MessageKind::Cancelled);
    }

    /// Ends the heal.
    pub fn end(&mut self, outcome: Outcome, reason: Reason) {
        self.enter(Phase::Ended { outcome, at: self.now }, reason);
    }

    /// Begins the current attempt's action once this is committed.
    pub const fn start_action(&mut self) {
        self.start_action = true;
    }

    /// Tells whoever carries the current attempt out that it must stop, once this is committed.
    pub const fn cancel_action(&mut self) {
        self.cancel_action = true;
    }

    /// Takes in that alerts are gone although nobody told their resolve; answers those that still counted as firing.
    pub fn gone(&mut self, gone: &[Fingerprint]) -> Vec<Fingerprint> {
        let now = self.now;
        let is_news =
            |alert: &&mut Arc<Alert>| alert.status == AlertStatus::Firing && gone.contains(&alert.fingerprint);
        let resolve = |alert: &mut Arc<Alert>| {
            let alert = Arc::make_mut(alert);
            (alert.status, alert.ends_at) = (AlertStatus::Resolved, Some(now));
            alert.fingerprint
        };
        self.heal.alerts.iter_mut().filter(is_news).map(resolve).collect()
    }

    /// Remembers that what is known of an alert has changed.
    pub fn touch(&mut self, alert: Fingerprint) {
        self.touched.push(alert);
    }

    /// Tells everybody who wants messages of this kind. A shadow tells nobody.
    pub fn notify(&mut self, kind: MessageKind) {
        if self.is_shadow() {
            return;
        }
        let channels = self.channels(|channel| channel.audience.wants(kind));
        self.call(kind, channels);
    }

    /// Tells these channels, and remembers whom it has called if the message calls a human.
    fn call(&mut self, kind: MessageKind, channels: Vec<Channel>) {
        if kind.needs_human() && !channels.is_empty() {
            let now = self.now;
            let call = self.heal.call.get_or_insert_with(|| Call::new(kind, now));
            call.kind = kind;
            call.told.extend(channels.iter().map(|channel| (channel.name.clone(), now)));
            self.look_at_call_again(None);
        }
        self.send(kind, channels);
    }

    /// The ladder had been climbed to its end before, and the alert is back: a human is called, once for as long as it comes
    /// and goes. `earlier` is the heal before with its call, if that is not over.
    pub fn call_while_it_comes_and_goes(&mut self, earlier: Option<(HealId, &Call)>) {
        let kind = MessageKind::Exhausted;
        match earlier.filter(|_| !self.is_shadow()) {
            None => self.notify(kind),
            Some((heal, call)) => {
                self.goes_on_from = Some(heal);
                self.tell("called", Reason::ComesAndGoes { since: call.since, heal }, AUTOHEAL);
                // Whom the alert's labels did not lead to before has not been told.
                let untold =
                    self.channels(|channel| channel.audience.wants(kind) && !call.told.contains_key(&channel.name));
                self.heal.call = Some(call.clone());
                self.call(kind, untold);
            }
        }
        self.put_off_the_end_of_the_call();
    }

    /// The call is not over before the alerts have stayed away for as long as the ladder is remembered.
    pub fn put_off_the_end_of_the_call(&mut self) {
        let end = self.now + self.heal.throttle;
        // Where nothing is remembered nothing comes back.
        if let Some(call) = self.heal.call.as_mut().filter(|_| end > self.now) {
            call.not_before = Some(end);
            self.look_at_call_again(None);
        }
    }

    /// Tells these channels.
    pub fn send(&mut self, kind: MessageKind, channels: Vec<Channel>) {
        if !channels.is_empty() {
            self.messages.push(PlannedMessage { kind, channels });
        }
    }

    /// The channels of the heal's receivers for which something holds, each once.
    pub fn channels(&self, holds: impl Fn(&Channel) -> bool) -> Vec<Channel> {
        let mut channels: Vec<Channel> = Vec::new();
        for receiver in &self.heal.receivers {
            for channel in self.policy.receivers.get(receiver).into_iter().flatten() {
                if holds(channel) && !channels.contains(channel) {
                    channels.push(channel.clone());
                }
            }
        }
        channels
    }

    /// Sets when the call is looked at again: when somebody is to be reminded, or when a storm may have calmed.
    pub fn look_at_call_again(&mut self, storm: Option<Timestamp>) {
        let Some(mut call) = self.heal.call.take() else { return };
        let reminders = self.channels(|channel| channel.remind.is_some() && call.told.contains_key(&channel.name));
        let next = |channel: &Channel| Some(*call.told.get(&channel.name)? + channel.remind?);
        let end = call.not_before.filter(|_| self.heal.all_resolved());
        let times: Vec<Timestamp> = reminders.iter().filter_map(next).chain(storm).chain(end).collect();
        call.look_again(times, self.now);
        self.heal.call = Some(call);
    }

    /// The human who was called is not needed any more: whoever was told is told that, once, be it by the message that
    /// tells the heal's end.
    pub fn call_over(&mut self) {
        let Some(call) = self.heal.call.take() else { return };
        let ends = self.messages.iter().filter(|message| message.kind.ends_call());
        let knows: Vec<Channel> = ends.flat_map(|message| message.channels.clone()).collect();
        let channels = self.channels(|channel| call.told.contains_key(&channel.name) && !knows.contains(channel));
        self.send(MessageKind::Over, channels);
    }

    /// Whether the alerts have resolved as far as the current step asks for it.
    pub fn resolve_holds(&self) -> bool {
        let needs_resolve = self.heal.current_step().is_none_or(|step| step.verify.resolved);
        !needs_resolve || self.heal.all_resolved()
    }

    /// Waits for evidence, or ends healed when it already holds and need not last.
    pub fn verify(&mut self) {
        let Some(policy) = self.heal.current_step().map(|step| &step.verify) else { return };
        let since = self.now;
        let (healthy_for, deadline) = (policy.healthy_for, Some(since + policy.within));
        if !policy.probes.is_empty() {
            let watch = Some(Watch::from(since));
            let reason = evidence::waiting(&self.heal);
            self.enter(Phase::Verifying { since, deadline, healthy_since: None, watch }, reason);
            return;
        }
        let healthy_since = self.resolve_holds().then_some(since);
        let reason = match healthy_since {
            Some(_) if healthy_for.is_zero() => return self.healed(),
            Some(_) => Reason::MustStayHealthy { healthy_for },
            None => evidence::waiting(&self.heal),
        };
        self.enter(Phase::Verifying { since, deadline, healthy_since, watch: None }, reason);
    }

    /// Ends healed, because the alert resolved.
    pub fn healed(&mut self) {
        self.proven(&[]);
    }

    /// Ends healed, because of what was seen.
    pub fn proven(&mut self, findings: &[Finding]) {
        let healthy_for = self.heal.current_step().map_or(Duration::ZERO, |step| step.verify.healthy_for);
        let began = self.heal.first_attempt_at.unwrap_or(self.heal.created_at);
        let resolved = self.heal.current_step().is_none_or(|step| step.verify.resolved);
        let timed_out = self.heal.alerts.iter().any(|alert| alert.annotations.contains_key(BY_TIMEOUT));
        let resolve = if timed_out {
            // It may be whoever watches that died, so that nobody must read this as good news told.
            Some("nobody says any more that the alert fires, which is all that is known of it")
        } else {
            (!findings.is_empty()).then_some("the alert resolved")
        };
        let found = findings.iter().map(|finding| finding.what.as_str());
        let evidence = resolve.filter(|_| resolved).into_iter().chain(found).collect::<Vec<_>>().join("; ");
        self.end(Outcome::Healed, Reason::Verified { evidence, healthy_for, took: elapsed(began, self.now) });
        self.notify(MessageKind::Healed);
    }

    /// The plan: the heal as it now stands, and what to remember of the alerts that changed (of all, once it has ended).
    pub fn into_plan(mut self) -> Plan {
        if self.heal.call.as_ref().is_some_and(|call| !call::lasts(&self.heal, call)) {
            self.call_over();
        }
        let Self { mut heal, now, had_ended, touched, messages, start_action, cancel_action, goes_on_from, .. } = self;
        heal.updated_at = now;
        let ended = heal.outcome().map(|outcome| LadderMemory {
            at: now,
            outcome,
            step: heal.step,
            attempts_used: heal.current_step().map_or(0, |step| step.attempts_used),
            relapses: heal.relapses.clone(),
            call: heal.call.clone().filter(|_| heal.comes_and_goes()),
        });
        let episodes = heal
            .alerts
            .iter()
            .filter(|_| !had_ended)
            .filter(|alert| ended.is_some() || touched.contains(&alert.fingerprint))
            .map(|alert| Episode::of(&heal, alert, ended.clone(), now))
            .collect();
        let reason = heal.reason.clone();
        Plan {
            heal: Some(heal),
            episodes,
            messages,
            start_action,
            cancel_action,
            goes_on_from,
            ..Plan::nothing(reason)
        }
    }
}
