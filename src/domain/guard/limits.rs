//! How much runs and ran: the target itself, then the limits over all rules, then the rule's own.

use std::time::Duration;

use super::{Situation, Verdict};
use crate::domain::Timestamp;
use crate::domain::reason::Reason;

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

/// Holds while as many actions began within the last hour as may over all rules.
pub fn below_per_hour(situation: &Situation<'_>) -> Verdict {
    let Situation { limits, load, now, .. } = *situation;
    let (started, limit) = (load.started_last_hour, limits.per_hour);
    if started < limit {
        return Verdict::Allow(format!("{started} of {limit} actions in the last hour"));
    }
    let until = frees_up(load.oldest_start, now);
    Verdict::Hold { until, reason: Reason::HourlyLimit { started, limit, until } }
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
    let Some(limits) = situation.rule.map(|rule| rule.limits) else { return Verdict::Allow(String::new()) };
    let mut numbers = Vec::new();
    if let Some(limit) = limits.per_hour {
        let started = load.started_last_hour;
        if started >= limit {
            let until = frees_up(load.oldest_start, now);
            return Verdict::Hold { until, reason: Reason::RuleHourlyLimit { rule: rule(), started, limit, until } };
        }
        numbers.push(format!("{started} of {limit} actions of the rule in the last hour"));
    }
    if let Some(limit) = limits.concurrent {
        let acting = load.acting;
        if acting >= limit {
            let until = now + CONCURRENT_RECHECK;
            return Verdict::Hold { until, reason: Reason::RuleConcurrentLimit { rule: rule(), acting, limit } };
        }
        numbers.push(format!("{acting} of {limit} actions of the rule running"));
    }
    Verdict::Allow(numbers.join(", "))
}

/// When the oldest attempt of the hour leaves it.
fn frees_up(oldest: Option<Timestamp>, now: Timestamp) -> Timestamp {
    oldest.map_or(now + HOUR, |oldest| oldest + HOUR).max(now + CONCURRENT_RECHECK)
}
