//! How much runs and ran: the target itself, then the limits over all rules, then the rule's own.

use std::time::Duration;

use super::{Begun, Situation, Verdict, Window};
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, duration};

/// How soon a heal held by a busy target asks again; the holder usually ends long before its deadline.
const TARGET_RECHECK: Duration = Duration::from_secs(2);
/// How soon a heal held by a limit on what runs asks again; the end of any action wakes it sooner.
const CONCURRENT_RECHECK: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// Holds while another heal acts on the target.
pub fn target_is_free(situation: &Situation<'_>) -> Verdict {
    let Situation { load, now, .. } = *situation;
    match load.target_holder {
        None => Verdict::Allow("target free".to_owned()),
        Some((heal, deadline)) => {
            let until = deadline.min(now + TARGET_RECHECK).max(now + CONCURRENT_RECHECK);
            Verdict::Hold { until, reason: Reason::TargetBusy { heal, until } }
        }
    }
}

/// Holds while as many actions began as may over all rules, within the last hour or within another window.
pub fn below_rate(situation: &Situation<'_>) -> Verdict {
    let Situation { limits, load, now, .. } = *situation;
    let (started, limit) = (load.started_last_hour, limits.per_hour);
    let mut rate = Rate::default();
    if started < limit {
        rate.allow(format!("{started} of {limit} actions in the last hour"));
    } else {
        let until = frees_up(load.oldest_start, HOUR, now);
        rate.hold(until, Reason::HourlyLimit { started, limit, until });
    }
    for &Window { actions: limit, within } in &limits.windows {
        let Begun { started, oldest, .. } = begun(&load.windows, within);
        if started < limit {
            rate.allow(format!("{started} of {limit} actions within {}", duration::format(within)));
        } else {
            let until = frees_up(oldest, within, now);
            rate.hold(until, Reason::WindowLimit { started, limit, within, until });
        }
    }
    rate.verdict()
}

/// Holds while as many actions run as may over all rules.
pub fn below_concurrent(situation: &Situation<'_>) -> Verdict {
    let Situation { limits, load, now, .. } = *situation;
    let (acting, limit) = (load.acting, limits.concurrent);
    if acting < limit {
        return Verdict::Allow(format!("{acting} of {limit} actions running"));
    }
    Verdict::Hold { until: now + CONCURRENT_RECHECK, reason: Reason::ConcurrentLimit { acting, limit } }
}

/// Holds while the rule itself has used up what it may.
pub fn rule_below_its_own(situation: &Situation<'_>) -> Verdict {
    let Situation { heal, load, now, .. } = *situation;
    let (rule, load) = (|| heal.rule.clone(), &load.rule);
    let Some(limits) = situation.rule.map(|rule| &rule.limits) else { return Verdict::Allow(String::new()) };
    let mut rate = Rate::default();
    if let Some(limit) = limits.per_hour {
        let started = load.started_last_hour;
        if started < limit {
            rate.allow(format!("{started} of {limit} actions of the rule in the last hour"));
        } else {
            let until = frees_up(load.oldest_start, HOUR, now);
            rate.hold(until, Reason::RuleHourlyLimit { rule: rule(), started, limit, until });
        }
    }
    for &Window { actions: limit, within } in &limits.windows {
        let Begun { started, oldest, .. } = begun(&load.windows, within);
        if started < limit {
            rate.allow(format!("{started} of {limit} actions of the rule within {}", duration::format(within)));
        } else {
            let until = frees_up(oldest, within, now);
            rate.hold(until, Reason::RuleWindowLimit { rule: rule(), started, limit, within, until });
        }
    }
    if let Some(limit) = limits.concurrent {
        let acting = load.acting;
        if acting < limit {
            rate.allow(format!("{acting} of {limit} actions of the rule running"));
        } else {
            rate.hold(now + CONCURRENT_RECHECK, Reason::RuleConcurrentLimit { rule: rule(), acting, limit });
        }
    }
    rate.verdict()
}

/// What several limits say together: of those that are reached the one counts that is reached for longest.
#[derive(Default)]
struct Rate {
    numbers: Vec<String>,
    held: Option<(Timestamp, Reason)>,
}

impl Rate {
    fn allow(&mut self, number: String) {
        self.numbers.push(number);
    }

    fn hold(&mut self, until: Timestamp, reason: Reason) {
        if self.held.as_ref().is_none_or(|(longest, _)| *longest < until) {
            self.held = Some((until, reason));
        }
    }

    fn verdict(self) -> Verdict {
        match self.held {
            Some((until, reason)) => Verdict::Hold { until, reason },
            None => Verdict::Allow(self.numbers.join(", ")),
        }
    }
}

/// What began within a window; nothing is known of one that nobody counted.
fn begun(windows: &[Begun], within: Duration) -> Begun {
    let counted = windows.iter().find(|begun| begun.within == within);
    counted.copied().unwrap_or(Begun { within, started: 0, oldest: None })
}

/// When the oldest attempt within a window leaves it.
fn frees_up(oldest: Option<Timestamp>, within: Duration, now: Timestamp) -> Timestamp {
    oldest.map_or(now + within, |oldest| oldest + within).max(now + CONCURRENT_RECHECK)
}
