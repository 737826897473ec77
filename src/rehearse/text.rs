//! A plan for people: the alerts, under each the rules, under each what it would do. Much of it comes from alerts, which must
//! neither steer a terminal nor write lines of their own.

use std::fmt;

use serde_json::Value;

use super::{AlertPlan, Condition, GuardWord, Ladder, PlanReport, RulePlan};

/// Everything under a rule's line begins here.
const INDENT: &str = "             ";

/// One line, whatever stands in it.
fn line(f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>) -> fmt::Result {
    let text = text.to_string().replace(char::is_control, "\u{fffd}");
    writeln!(f, "{text}")
}

impl fmt::Display for PlanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.alerts.is_empty() {
            return writeln!(f, "no alerts");
        }
        self.alerts.iter().try_for_each(|alert| write_alert(f, alert))
    }
}

fn write_alert(f: &mut fmt::Formatter<'_>, alert: &AlertPlan) -> fmt::Result {
    let labels: Vec<_> = alert.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    line(f, format_args!("alert {} {} {{{}}}", alert.fingerprint, alert.status.as_str(), labels.join(", ")))?;
    alert.rules.iter().try_for_each(|rule| write_rule(f, rule))
}

fn write_rule(f: &mut fmt::Formatter<'_>, rule: &RulePlan) -> fmt::Result {
    line(f, format_args!("  {:<10} {}: {}", rule.verdict.as_str(), rule.rule, rule.reason))?;
    if let Some(conditions) = &rule.conditions {
        write_conditions(f, conditions)?;
    }
    if let Some(ladder) = &rule.ladder {
        write_ladder(f, ladder)?;
    }
    for (index, step) in rule.steps.iter().enumerate() {
        let times = if step.attempts == 1 { "once".to_owned() } else { format!("up to {} times", step.attempts) };
        line(f, format_args!("{INDENT}step {}: {} {}, {times}", index + 1, step.action, step.target))?;
        line(f, format_args!("{INDENT}  {}", Value::Object(step.rendered.clone())))?;
        for wanted in &step.evidence {
            line(f, format_args!("{INDENT}  then waits for {wanted}"))?;
        }
    }
    Ok(())
}

fn write_conditions(f: &mut fmt::Formatter<'_>, conditions: &[Condition]) -> fmt::Result {
    if conditions.is_empty() {
        return line(f, format_args!("{INDENT}it has no conditions, every alert will do"));
    }
    for condition in conditions {
        let word = if condition.holds { "yes" } else { "no " };
        let has = condition.has.as_ref().map_or_else(|| "it is missing".to_owned(), |has| format!("it is {has:?}"));
        line(f, format_args!("{INDENT}{word} {}, {has}", condition.question()))?;
    }
    Ok(())
}

fn write_ladder(f: &mut fmt::Formatter<'_>, ladder: &Ladder) -> fmt::Result {
    let place = match (ladder.step, ladder.attempt) {
        (0, _) => "only notifies".to_owned(),
        (step, attempt) => format!("step {step}, attempt {attempt}"),
    };
    match ladder.heal {
        Some(heal) => line(f, format_args!("{INDENT}heal {heal} is open, {}: {place}", ladder.state))?,
        None => line(f, format_args!("{INDENT}a new heal, {}: {place}", ladder.state))?,
    }
    if let Some(last) = &ladder.remembered {
        let (until, at) = (last.until, last.at);
        let how = format_args!("ended {} at {at:.0}, step {}, {} attempts", last.outcome, last.step, last.attempts);
        line(f, format_args!("{INDENT}remembered until {until:.0}: the last heal {how}"))?;
    }
    let Some(guards) = &ladder.guards else { return Ok(()) };
    let word = match guards.verdict {
        GuardWord::Allow => "allow",
        GuardWord::Hold => "hold",
        GuardWord::Ask => "ask",
        GuardWord::Refuse => "refuse",
    };
    let reason = if guards.reason.is_empty() { String::new() } else { format!(": {}", guards.reason) };
    line(f, format_args!("{INDENT}the guards {word}{reason}"))
}
