//! Evidence comes in, or its time runs out, while a heal is verified.

use std::time::Duration;

use super::Policy;
use super::attempt::climb;
use super::draft::{AUTOHEAL, Draft};
use crate::domain::alert::AlertStatus;
use crate::domain::evidence::{Answer, Finding, Watch};
use crate::domain::heal::{Heal, Outcome, Phase};
use crate::domain::message::MessageKind;
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, elapsed};

/// A look is made within milliseconds of its time. When it is this much later, no process was there to look.
pub const NOBODY_WATCHED: Duration = Duration::from_secs(30);
/// The shortest and the longest pause between two looks, before jitter.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How long after the evidence should have held long enough the last answer may come.
const LAST_ANSWER: Duration = Duration::from_mins(1);

/// A heal that is being verified, taken apart.
#[derive(Clone)]
pub struct Verifying {
    pub since: Timestamp,
    pub deadline: Option<Timestamp>,
    pub healthy_since: Option<Timestamp>,
    pub watch: Watch,
}

impl Verifying {
    /// The heal's, when it asks for evidence.
    pub fn of(heal: &Heal) -> Option<Self> {
        match heal.phase.clone() {
            Phase::Verifying { since, deadline, healthy_since, watch: Some(watch) } => {
                Some(Self { since, deadline, healthy_since, watch })
            }
            _ => None,
        }
    }

    fn phase(self) -> Phase {
        let Self { since, deadline, healthy_since, watch } = self;
        Phase::Verifying { since, deadline, healthy_since, watch: Some(watch) }
    }
}

/// The time of a look, or of the deadline, has come.
pub fn due(draft: &mut Draft<'_>, mut verifying: Verifying) {
    let now = draft.now;
    let (within, healthy_for) = times(&draft.heal);
    let late = elapsed(verifying.watch.look_at, now);
    let unwatched = late > NOBODY_WATCHED;
    let last_answer = verifying.healthy_since.map(|since| since + healthy_for + LAST_ANSWER);
    let over = last_answer.max(verifying.deadline).is_some_and(|at| at <= now);
    if over && !unwatched {
        failed(draft, &verifying);
        return;
    }
    verifying.watch.look_at = now + pause(&draft.heal, &verifying, now);
    if !unwatched {
        draft.heal.phase = verifying.phase();
        return;
    }
    // What held before the gap need not have held through it, and what was not seen in it may still come.
    verifying.healthy_since = None;
    verifying.deadline = if over { Some(now + within) } else { verifying.deadline };
    draft.enter(verifying.phase(), Reason::NobodyWatched { late, within });
}

/// Answers have come; answers whether they change anything.
pub fn observed(draft: &mut Draft<'_>, mut verifying: Verifying, findings: Vec<Finding>) -> bool {
    let now = draft.now;
    let (_, healthy_for) = times(&draft.heal);
    let answers = |findings: &[Finding]| findings.iter().map(|finding| finding.answer).collect::<Vec<_>>();
    let is_news = answers(&findings) != answers(&verifying.watch.findings);
    let is_same = findings == verifying.watch.findings;
    verifying.watch.findings = findings;
    let holds = verifying.watch.all_hold() && draft.resolve_holds();
    if is_news {
        let (what, answers) = (told(&verifying.watch.findings), answers(&verifying.watch.findings));
        draft.tell("evidence", Reason::Evidence { what, answers }, AUTOHEAL);
    }
    match verifying.healthy_since {
        None if holds && healthy_for.is_zero() => draft.proven(&verifying.watch.findings),
        None if holds => {
            verifying.healthy_since = Some(now);
            verifying.watch.look_at = now + pause(&draft.heal, &verifying, now);
            draft.enter(verifying.phase(), Reason::EvidenceHolds { healthy_for });
        }
        Some(since) if holds && now >= since + healthy_for => draft.proven(&verifying.watch.findings),
        Some(_) if !holds => {
            verifying.healthy_since = None;
            let what = missing(draft.policy(), &draft.heal, &verifying.watch.findings);
            if verifying.deadline.is_some_and(|deadline| deadline <= now) {
                failed(draft, &verifying);
            } else {
                draft.enter(verifying.phase(), Reason::EvidenceLost { what });
            }
        }
        _ if is_same => return false,
        _ => {
            draft.heal.phase = verifying.phase();
            draft.heal.reason = waiting(&draft.heal);
        }
    }
    true
}

/// Every alert has resolved: whether the rest holds is asked at once.
pub fn all_resolved(draft: &mut Draft<'_>, mut verifying: Verifying) {
    verifying.watch.look_at = draft.now;
    draft.heal.phase = verifying.phase();
    draft.heal.reason = waiting(&draft.heal);
}

/// What is being waited for.
pub fn waiting(heal: &Heal) -> Reason {
    let (within, _) = times(heal);
    let Some(step) = heal.current_step() else { return Reason::WaitingForResolve { within } };
    if step.verify.probes.is_empty() {
        return Reason::WaitingForResolve { within };
    }
    let resolve = (step.verify.resolved && !heal.all_resolved()).then(|| "the alert to resolve".to_owned());
    let answers = Verifying::of(heal).map(|verifying| verifying.watch.findings).unwrap_or_default();
    let wanted = step
        .verify
        .probes
        .iter()
        .enumerate()
        .filter(|(index, _)| answers.get(*index).is_none_or(|finding| finding.answer != Answer::Holds));
    let what: Vec<_> = resolve.into_iter().chain(wanted.map(|(_, probe)| probe.wanted())).collect();
    Reason::WaitingForEvidence { within, what: what.join(", ") }
}

/// The evidence did not come in time. A clear «no» costs an attempt and the ladder goes on. When nobody could say, more
/// deeds might do harm that nobody would see either, so a human is called.
fn failed(draft: &mut Draft<'_>, verifying: &Verifying) {
    let (within, _) = times(&draft.heal);
    let findings = &verifying.watch.findings;
    let missing = missing(draft.policy(), &draft.heal, findings);
    let says_no = findings.iter().any(|finding| finding.answer == Answer::Fails);
    let unasked = findings.is_empty() || findings.iter().any(|finding| finding.answer == Answer::Unknown);
    if unasked && !says_no {
        draft.end(Outcome::Exhausted, Reason::Unverifiable { within, what: missing });
        draft.notify(MessageKind::Exhausted);
        return;
    }
    draft.tell("not verified", Reason::NotVerified { within, missing }, AUTOHEAL);
    climb(draft);
}

/// What does not hold, in words.
fn missing(policy: &Policy, heal: &Heal, findings: &[Finding]) -> String {
    let wants_resolve = heal.current_step().is_some_and(|step| step.verify.resolved);
    let resolve = unresolved(policy, heal).filter(|_| wants_resolve);
    let unanswered = findings.is_empty().then(|| "no evidence came".to_owned());
    let others = findings.iter().filter(|finding| finding.answer != Answer::Holds).map(|finding| finding.what.clone());
    resolve.into_iter().chain(unanswered).chain(others).collect::<Vec<_>>().join("; ")
}

/// How many alerts still fire, and whether that is because nobody would tell their resolve.
pub fn unresolved(policy: &Policy, heal: &Heal) -> Option<String> {
    let firing = || heal.alerts.iter().filter(|alert| alert.status == AlertStatus::Firing);
    let told = match (firing().count(), heal.alerts.len()) {
        (0, _) => return None,
        (_, 1) => "the alert has not resolved".to_owned(),
        (firing, all) => format!("{firing} of {all} alerts have not resolved"),
    };
    let why = suppressed(policy, heal);
    Some(why.map_or_else(|| told.clone(), |why| format!("{told} ({why} in Alertmanager)")))
}

/// Why Alertmanager keeps silent about an alert that fires, if it does.
pub fn suppressed<'p>(policy: &'p Policy, heal: &Heal) -> Option<&'p str> {
    let said = policy.alertmanager.as_ref()?;
    let mut firing = heal.alerts.iter().filter(|alert| alert.status == AlertStatus::Firing);
    firing.find_map(|alert| said.suppressed(alert.fingerprint))
}

/// Everything that was seen, in words.
pub fn told(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.what.as_str()).collect::<Vec<_>>().join("; ")
}

fn times(heal: &Heal) -> (Duration, Duration) {
    heal.current_step().map_or((Duration::ZERO, Duration::ZERO), |step| (step.verify.within, step.verify.healthy_for))
}

/// Often at first, seldom later, never past the moment that decides; and not in step with other heals.
fn pause(heal: &Heal, verifying: &Verifying, now: Timestamp) -> Duration {
    let passed = elapsed(verifying.since, now);
    let pause = (passed / 4).clamp(PAUSES.0, PAUSES.1).mul_f64(jitter(heal, now));
    let (_, healthy_for) = times(heal);
    let decides = verifying.healthy_since.map(|since| since + healthy_for).or(verifying.deadline);
    let left = decides.map(|at| elapsed(now, at)).filter(|left| !left.is_zero());
    left.map_or(pause, |left| pause.min(left))
}

/// Between 0.8 and 1.2, from the heal's identity and the time: as good as chance, and the same for the same question.
fn jitter(heal: &Heal, now: Timestamp) -> f64 {
    let (_, low) = heal.id.0.as_u64_pair();
    let mixed = (low ^ now.as_millisecond().unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let fraction = u16::try_from(mixed).map_or(0.5, |mixed| f64::from(mixed) / f64::from(u16::MAX));
    0.8 + 0.4 * fraction
}
