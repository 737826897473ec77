//! A world in which everything goes wrong that may: containers fail and lie, answers get lost, processes die between any
//! two commits, clocks jump, messages are repeated, late and lost, people change their minds.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use autoheal::domain::Timestamp;
use autoheal::domain::action::{Action, ActionRenderError, ContainerSelector, RestartContainer};
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use autoheal::domain::backoff::Backoff;
use autoheal::domain::decide::{ActionOutcome, Event, Policy, Snapshot};
use autoheal::domain::guard::{Blocker, Full};
use autoheal::domain::heal::{Attempt, AttemptId, AttemptStage, Heal, HealId, HealStep, Phase};
use autoheal::domain::instruction::{Instruction, Order};
use autoheal::domain::pause::{AlertMatchers, Pause, PauseId, PauseScope};
use autoheal::domain::rule::{HealRequest, Mode, VerifyPolicy};
use autoheal::store::DecideFn;
use serde_json::json;

use super::chance::Chance;
use super::record::Record;
use super::{Violation, promises};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
/// Containers, each with an alert of its own.
const CONTAINERS: usize = 6;
/// What every alert is matched by: two rules that fight over one target, one that asks, one that only records, one that
/// cannot be rendered, one that only tells.
pub const RULES: [&str; 6] = ["restart", "recreate", "ask", "shadow", "broken", "tell"];

#[derive(Default, Clone)]
struct Container {
    is_broken: bool,
    /// Since when its alert fires, as Alertmanager sees it.
    fires_since: Option<Timestamp>,
}

/// Where a process is with an attempt. Between any two of these it may die.
enum Stage {
    Look,
    Deed,
    Record,
    Poll,
    Report(ActionOutcome),
}

/// An attempt a process carries out.
struct Task {
    replica: usize,
    heal: HealId,
    attempt: AttemptId,
    container: usize,
    stage: Stage,
}

/// See the module.
pub struct World {
    pub chance: Chance,
    pub policy: Policy,
    pub record: Record,
    pub now: Timestamp,
    decide: DecideFn,
    containers: Vec<Container>,
    mailbag: VecDeque<Alert>,
    tasks: Vec<Task>,
    deeds: HashMap<AttemptId, u32>,
    engine_answers: bool,
    /// Whether anything still goes wrong.
    is_calm: bool,
    pub deeds_done: u32,
}

impl World {
    pub fn new(seed: u64, policy: Policy, decide: DecideFn) -> Self {
        Self {
            chance: Chance::new(seed),
            policy,
            record: Record::default(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            decide,
            containers: vec![Container::default(); CONTAINERS],
            mailbag: VecDeque::new(),
            tasks: Vec::new(),
            deeds: HashMap::new(),
            engine_answers: true,
            is_calm: false,
            deeds_done: 0,
        }
    }

    /// One thing happens.
    pub fn step(&mut self) -> Result<(), Violation> {
        match self.chance.below(100) {
            0..=17 => self.time_passes()?,
            18..=24 => self.containers_change(),
            25..=34 => self.alertmanager_looks(),
            35..=49 => self.a_message_arrives()?,
            50..=69 => self.a_heal_is_due()?,
            70..=91 => self.a_task_goes_on()?,
            92..=93 => self.a_replica_dies(),
            94..=95 => self.attempts_are_taken_over()?,
            96..=98 => self.somebody_intervenes()?,
            _ => self.engine_answers = self.chance.happens(80),
        }
        promises::of_all(&self.record, &self.policy)
    }

    /// Nothing goes wrong any more: what is open must come to its end.
    pub fn comes_to_rest(&mut self) -> Result<(), Violation> {
        self.is_calm = true;
        self.engine_answers = true;
        self.record.pauses.clear();
        self.record.blockers.clear();
        self.mailbag.clear();
        for container in 0..CONTAINERS {
            self.containers[container].is_broken = false;
            self.tell(container, AlertStatus::Resolved);
        }
        for _ in 0..3000 {
            self.attempts_are_taken_over()?;
            while !self.mailbag.is_empty() {
                self.a_message_arrives()?;
            }
            while !self.tasks.is_empty() {
                self.a_task_goes_on()?;
            }
            let next = self.record.open().filter(|heal| !waits_for_ever(heal)).filter_map(Heal::due_at).min();
            let next = next.into_iter().chain(self.record.called().map(|(_, look_at)| look_at)).min();
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            self.a_heal_is_due()?;
            promises::of_all(&self.record, &self.policy)?;
        }
        promises::of_rest(&self.record)
    }

    /// Decides on an event, checks the plan and writes it.
    fn happens(&mut self, snapshot: &Snapshot, event: &Event) -> Result<(Option<HealId>, Option<Full>), Violation> {
        let plan = (self.decide)(&self.policy, snapshot, event.clone(), self.now);
        // 10: deciding is pure.
        if plan != (self.decide)(&self.policy, snapshot, event.clone(), self.now) {
            return Err(Violation(format!("deciding twice on {event:?} says two things")));
        }
        promises::of_plan(&self.policy, snapshot, event, &plan, self.now)?;
        promises::of_call_before(&self.record, &plan)?;
        let before = snapshot.heal.as_ref();
        let rule = plan.heal.as_ref().or(before).map(|heal| heal.rule.clone());
        self.record.write(&self.policy, &plan, rule.as_deref(), self.now)?;
        let id = plan.heal.as_ref().or(before).map(|heal| heal.id);
        if let Some(heal) = &plan.heal {
            promises::of_heal(&self.record, &self.policy, heal, self.now)?;
            if let (true, Some(attempt)) = (plan.start_action, heal.attempt()) {
                promises::of_rate(&self.record, &self.policy, heal, self.now)?;
                let replica = self.chance.below(2);
                self.take_on(replica, heal, attempt);
            }
        }
        Ok((id, plan.full))
    }

    fn of_heal(&mut self, id: HealId, event: &Event) -> Result<Option<Full>, Violation> {
        let snapshot = self.record.met_by(id, event, &self.policy, self.now);
        Ok(self.happens(&snapshot, event)?.1)
    }

    fn time_passes(&mut self) -> Result<(), Violation> {
        let span = self.chance.pick(&[SECOND, SECOND, 5 * SECOND, 20 * SECOND, MINUTE, 5 * MINUTE, 20 * MINUTE]);
        self.now += span;
        if self.chance.happens(1) {
            // Somebody corrects the clock.
            if self.chance.happens(50) {
                self.now -= Duration::from_hours(1);
            } else {
                let by = Duration::from_hours(3);
                self.now += by;
                self.clock_is_put_forward(by)?;
            }
        }
        if self.chance.happens(5) {
            self.record.forget();
        }
        Ok(())
    }

    /// Each process notices before it looks at anything that is due, and goes on with what it carries out.
    fn clock_is_put_forward(&mut self, by: Duration) -> Result<(), Violation> {
        let under_way: Vec<_> = self.tasks.iter().map(|task| (task.heal, task.attempt)).collect();
        for (id, attempt) in under_way {
            let before = self.record.heals.get(&id).and_then(Heal::attempt).map(|current| current.id);
            self.of_heal(id, &Event::ClockMoved { attempt, by })?;
            if before == Some(attempt) {
                promises::of_live_attempt(self.record.heals.get(&id), attempt, self.now)?;
            }
        }
        Ok(())
    }

    fn containers_change(&mut self) {
        // Now and then a network partition takes all of them.
        let all = self.chance.happens(5);
        let one = self.chance.below(CONTAINERS);
        let breaks = self.chance.happens(70);
        for (index, container) in self.containers.iter_mut().enumerate() {
            if all || index == one {
                container.is_broken = breaks;
            }
        }
    }

    fn alertmanager_looks(&mut self) {
        let index = self.chance.below(CONTAINERS);
        let Container { is_broken, fires_since } = self.containers[index].clone();
        match (is_broken, fires_since) {
            (true, None) => {
                let delay = self.chance.pick(&[Duration::ZERO, 30 * SECOND]);
                self.containers[index].fires_since = Some(self.now - delay);
                self.tell(index, AlertStatus::Firing);
            }
            // Repeated, as Alertmanager does for hours.
            (true, Some(_)) => self.tell(index, AlertStatus::Firing),
            (false, Some(_)) => {
                // A silenced alert never tells its resolve.
                if self.chance.happens(85) {
                    self.tell(index, AlertStatus::Resolved);
                }
                self.containers[index].fires_since = None;
            }
            (false, None) => {}
        }
    }

    fn tell(&mut self, index: usize, status: AlertStatus) {
        let labels =
            Labels::from([("alertname".to_owned(), "Down".to_owned()), ("instance".to_owned(), index.to_string())]);
        let starts_at = self.containers[index].fires_since.unwrap_or(self.now);
        self.mailbag.push_back(Alert {
            fingerprint: Fingerprint::of(&labels),
            status,
            labels,
            annotations: Labels::new(),
            starts_at,
            ends_at: (status == AlertStatus::Resolved).then_some(self.now),
            generator_url: String::new(),
        });
    }

    /// Messages come late, twice and out of order.
    fn a_message_arrives(&mut self) -> Result<(), Violation> {
        if self.mailbag.is_empty() {
            return Ok(());
        }
        let within = self.mailbag.len().min(if self.is_calm { 1 } else { 4 });
        let which = self.chance.below(within);
        let alert = if !self.is_calm && self.chance.happens(10) {
            self.mailbag[which].clone()
        } else {
            self.mailbag.remove(which).unwrap()
        };
        match alert.status {
            AlertStatus::Firing => {
                for rule in RULES {
                    let mut request = request(rule, &alert);
                    let snapshot = self.record.met_by_firing(&alert, &mut request);
                    let (request, new_heal) = (Box::new(request), HealId(self.chance.id()));
                    let event =
                        Event::Firing { alert: alert.clone().into(), request, new_heal, external_url: String::new() };
                    self.happens(&snapshot, &event)?;
                }
            }
            AlertStatus::Resolved => {
                for (rule, target, snapshot) in self.record.met_by_resolve(alert.fingerprint) {
                    self.happens(&snapshot, &Event::Resolved { alert: alert.clone().into(), rule, target })?;
                }
            }
        }
        Ok(())
    }

    fn a_heal_is_due(&mut self) -> Result<(), Violation> {
        // The process that carries an attempt out sees its deadline before the watchdog does.
        let is_watched = |heal: &Heal| self.tasks.iter().any(|task| task.heal == heal.id) && !asks_to_stop(heal);
        let due: Vec<HealId> = self
            .record
            .open()
            .filter(|heal| heal.due_at().is_some_and(|due| due <= self.now) || heal.reason.is_hold())
            .filter(|heal| !is_watched(heal))
            .map(|heal| heal.id)
            .collect();
        for id in due {
            let new_attempt = AttemptId(self.chance.id());
            self.of_heal(id, &Event::Due { new_attempt })?;
        }
        let called = self.record.called().filter(|(_, look_at)| *look_at <= self.now);
        for id in called.map(|(heal, _)| heal.id).collect::<Vec<_>>() {
            self.of_heal(id, &Event::CallDue)?;
        }
        Ok(())
    }

    fn take_on(&mut self, replica: usize, heal: &Heal, attempt: &Attempt) {
        let Some(step) = heal.current_step() else { return };
        let Action::RestartContainer(restart) = &step.action else { return };
        let ContainerSelector::Name(name) = &restart.selector else { return };
        let is_done = self.deeds.contains_key(&attempt.id);
        let stage = match &attempt.stage {
            _ if attempt.cancel.is_some() && !is_done => Stage::Report(not_begun()),
            AttemptStage::Intended => Stage::Look,
            AttemptStage::Prepared { .. } if is_done => Stage::Record,
            AttemptStage::Prepared { .. } => Stage::Deed,
            AttemptStage::Started { .. } => Stage::Poll,
        };
        let container = name.parse().unwrap();
        self.tasks.push(Task { replica, heal: heal.id, attempt: attempt.id, container, stage });
    }

    fn a_task_goes_on(&mut self) -> Result<(), Violation> {
        if self.tasks.is_empty() {
            return Ok(());
        }
        let which = self.chance.below(self.tasks.len());
        let mut task = self.tasks.swap_remove(which);
        let stored = self.record.heals.get(&task.heal).cloned();
        let Some(attempt) = stored.as_ref().and_then(Heal::attempt).filter(|attempt| attempt.id == task.attempt) else {
            return Ok(());
        };
        if self.now >= attempt.deadline && !matches!(task.stage, Stage::Report(_)) {
            task.stage = Stage::Report(ActionOutcome::TimedOut);
        }
        let (handle, attempt_id) = (json!({"container": task.container}), task.attempt);
        task.stage = match task.stage {
            Stage::Look => {
                if let Some(outcome) = self.looks() {
                    Stage::Report(outcome)
                } else {
                    self.of_heal(task.heal, &Event::Prepared { attempt: attempt_id, handle, found: "one".to_owned() })?;
                    if attempt.cancel.is_some() { Stage::Report(not_begun()) } else { Stage::Deed }
                }
            }
            Stage::Deed => self.does(&task)?,
            Stage::Record => {
                self.of_heal(task.heal, &Event::Started { attempt: attempt_id, handle, what: "restarted".to_owned() })?;
                Stage::Poll
            }
            Stage::Poll if !self.is_calm && self.chance.happens(30) => Stage::Poll,
            Stage::Poll => Stage::Report(match self.chance.below(10) {
                // The answer gets lost, or says what is not true.
                0 => ActionOutcome::Unreachable { error: "connection reset".to_owned() },
                1 => ActionOutcome::Failed { error: "exited again".to_owned() },
                _ => ActionOutcome::Done { what: "restarted".to_owned() },
            }),
            Stage::Report(outcome) => {
                self.of_heal(task.heal, &Event::Finished { attempt: attempt_id, outcome })?;
                return Ok(());
            }
        };
        self.tasks.push(task);
        Ok(())
    }

    fn looks(&mut self) -> Option<ActionOutcome> {
        if !self.engine_answers {
            return Some(ActionOutcome::Unreachable { error: "no engine".to_owned() });
        }
        match self.chance.below(30) {
            0 => Some(ActionOutcome::Refused { error: "3 containers match".to_owned() }),
            1 => Some(ActionOutcome::NotNeeded { what: "restarted since".to_owned() }),
            _ => None,
        }
    }

    fn does(&mut self, task: &Task) -> Result<Stage, Violation> {
        let done = self.deeds.get(&task.attempt).copied().unwrap_or_default();
        promises::of_deed(self.record.heals.get(&task.heal), task.attempt, done)?;
        *self.deeds.entry(task.attempt).or_default() += 1;
        self.deeds_done += 1;
        // Most restarts help, some do not.
        if self.chance.happens(60) {
            self.containers[task.container].is_broken = false;
        }
        Ok(Stage::Record)
    }

    /// What it did stays done; where it was, only the record knows.
    fn a_replica_dies(&mut self) {
        let replica = self.chance.below(2);
        self.tasks.retain(|task| task.replica != replica);
    }

    fn attempts_are_taken_over(&mut self) -> Result<(), Violation> {
        let orphan = |heal: &&Heal| !self.tasks.iter().any(|task| task.heal == heal.id);
        let orphans: Vec<HealId> = self.record.acting().filter(orphan).map(|heal| heal.id).collect();
        for id in orphans {
            let Some(attempt) = self.record.heals.get(&id).and_then(Heal::attempt).map(|attempt| attempt.id) else {
                continue;
            };
            self.of_heal(id, &Event::TakenOver { attempt })?;
            let Some(heal) = self.record.heals.get(&id).cloned() else { continue };
            if let Some(attempt) = heal.attempt() {
                let replica = self.chance.below(2);
                self.take_on(replica, &heal, attempt);
            }
        }
        Ok(())
    }

    fn somebody_intervenes(&mut self) -> Result<(), Violation> {
        match self.chance.below(8) {
            0 => self.pauses(),
            1 => self.record.pauses.clear(),
            2 => self.blocks(),
            3 => self.record.blockers.clear(),
            _ => {
                let heals: Vec<HealId> = self.record.heals.keys().copied().collect();
                if heals.is_empty() {
                    return Ok(());
                }
                let waiting = self.record.open().find(|heal| matches!(heal.phase, Phase::AwaitingApproval { .. }));
                let id = waiting.map(|heal| heal.id).filter(|_| self.chance.happens(70));
                let id = id.unwrap_or_else(|| self.chance.pick(&heals));
                let approve = Order::Approve { attempt: None };
                let order = match self.chance.below(8) {
                    0 => Order::Cancel,
                    1 => Order::Reset,
                    2 => Order::Deny { attempt: None },
                    3 => Order::Approve { attempt: Some(AttemptId(self.chance.id())) },
                    _ => approve,
                };
                let instruction = Instruction { order, by: "ann".to_owned(), because: String::new() };
                self.of_heal(id, &Event::Instructed(instruction))?;
            }
        }
        Ok(())
    }

    fn pauses(&mut self) {
        let matchers = AlertMatchers::parse(vec!["instance=~\"[0-2]\"".to_owned()]).unwrap();
        let scope = match self.chance.below(3) {
            0 => PauseScope::All,
            1 => PauseScope::Rule { rule: "restart".to_owned() },
            _ => PauseScope::Alerts { matchers },
        };
        let until = self.now + self.chance.pick(&[MINUTE, 30 * MINUTE]);
        let (id, reason, by) = (PauseId(self.chance.id()), "a look".to_owned(), "ann".to_owned());
        self.record.pauses.push(Pause { id, scope, reason, by, since: self.now, until });
        if self.record.pauses.len() > 3 {
            self.record.pauses.remove(0);
        }
    }

    fn blocks(&mut self) {
        let labels = Labels::from([("alertname".to_owned(), "NodeDown".to_owned())]);
        let fingerprint = Fingerprint::of(&labels);
        self.record.blockers.insert(fingerprint, Blocker { fingerprint, labels, seen_at: self.now });
    }
}

fn not_begun() -> ActionOutcome {
    ActionOutcome::Failed { error: "cancelled before anything was done".to_owned() }
}

fn asks_to_stop(heal: &Heal) -> bool {
    heal.attempt().and_then(|attempt| attempt.cancel.as_ref()).is_some_and(|cancel| !cancel.passed_on)
}

fn waits_for_ever(heal: &Heal) -> bool {
    matches!(heal.phase, Phase::Verifying { deadline: None, .. })
}

fn request(rule: &str, alert: &Alert) -> HealRequest {
    // Two containers are one target for this rule, so that alerts share a heal.
    let index: usize = alert.labels["instance"].parse().unwrap();
    let container = if rule == "recreate" { index / 2 * 2 } else { index };
    let step = |attempts| HealStep {
        action: Action::RestartContainer(RestartContainer {
            host: "local".to_owned(),
            selector: ContainerSelector::Name(container.to_string()),
            stop_timeout: None,
            max: 1,
            min_healthy: None,
            then: Vec::new(),
            dependents: None,
        }),
        attempts,
        attempts_used: 0,
        backoff: Backoff::default(),
        timeout: MINUTE,
        verify: VerifyPolicy { within: 5 * MINUTE, healthy_for: 30 * SECOND, ..VerifyPolicy::default() },
    };
    let steps = if rule == "tell" { Vec::new() } else { vec![step(2), step(1)] };
    let target = step(1).action.target();
    let ladder = if rule == "broken" {
        Err(ActionRenderError::Empty { field: "name".to_owned(), template: "{{ $labels.x }}".to_owned() })
    } else {
        Ok(steps)
    };
    let mode = match rule {
        "ask" => Mode::Ask,
        "shadow" => Mode::Shadow,
        _ => Mode::Act,
    };
    HealRequest {
        rule: rule.to_owned(),
        target,
        mode,
        ladder,
        hold_for: if rule == "recreate" { 30 * SECOND } else { Duration::ZERO },
        throttle: if rule == "recreate" { 10 * MINUTE } else { 60 * MINUTE },
        receivers: vec!["on-call".to_owned()],
        description: String::new(),
        runbook: String::new(),
    }
}
