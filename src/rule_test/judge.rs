//! Compares what is expected with how the heals stand.

use std::collections::BTreeMap;

use serde_json::Value;

use super::world::Told;
use crate::config::{Expectation, HealChoice, Place, Wanted};
use crate::domain::heal::{Heal, HealId};

/// One line of a comparison: a key, what was expected and what was found.
#[derive(Debug)]
pub struct Line {
    /// The key, as `expect` writes it.
    pub key: &'static str,
    /// The expected value, as a person writes it.
    pub expected: String,
    /// The value found.
    pub found: String,
    /// Whether they agree.
    pub holds: bool,
    /// Where the expectation stands.
    pub place: Place,
}

/// What came of comparing one expectation.
#[derive(Debug)]
pub enum Verdict {
    /// Every line, whether it holds or not, and the heal it is about.
    Compared(Vec<Line>, Option<HealId>),
    /// It is not clear which heal is meant, or there is none.
    NoHeal(String),
}

/// How many of a heal's messages have been expected already.
pub type Seen = BTreeMap<HealId, usize>;

/// Compares one expectation with all heals, oldest first, and all messages.
pub fn judge(expectation: &Expectation, heals: &[Heal], told: &[Told], seen: &mut Seen) -> Verdict {
    let Expectation { of, wanted, place } = expectation;
    let mut lines = Vec::new();
    let mut about = None;
    let needs_heal = of.rule.is_some()
        || of.target.is_some()
        || wanted.iter().any(|(wanted, _)| !matches!(wanted, Wanted::Heals(_)));
    if needs_heal {
        let all: Vec<_> = heals.iter().collect();
        let heal = match choose(of, &all) {
            Ok(heal) => heal,
            Err(message) => return Verdict::NoHeal(message),
        };
        about = Some(heal.id);
        if let Some((target, target_place)) = &of.target {
            let found = heal.target.as_str();
            let place = target_place.as_ref().unwrap_or(place).clone();
            lines.push(compare("target", target, found, place));
        }
        for (wanted, place) in wanted {
            lines.extend(compare_heal(wanted, heal, told, seen, place));
        }
    }
    for (wanted, place) in wanted {
        if let Wanted::Heals(count) = wanted {
            lines.push(compare("heals", &count.to_string(), &heals.len().to_string(), place.clone()));
        }
    }
    Verdict::Compared(lines, about)
}

/// The heal that is meant: of the rule, on the target, and the newest of these. A target that no heal is on is compared
/// rather than searched when there is only one heal it could be about.
pub fn choose<'h>(of: &HealChoice, heals: &[&'h Heal]) -> Result<&'h Heal, String> {
    let target = of.target.as_ref().map(|(target, _)| target.as_str());
    let of_rule: Vec<_> = heals.iter().filter(|heal| of.rule.as_ref().is_none_or(|rule| heal.rule == *rule)).collect();
    let mut fitting: Vec<_> =
        of_rule.iter().filter(|heal| target.is_none_or(|target| heal.target.as_str() == target)).collect();
    if fitting.is_empty() {
        fitting = of_rule.iter().collect();
    }
    let describe = |heal: &Heal| format!("{} on {}", heal.rule, heal.target);
    let Some(newest) = fitting.last() else {
        let which =
            of.rule.as_ref().map_or_else(|| "there is no heal".to_owned(), |rule| format!("rule {rule} heals nothing"));
        let mut others: Vec<_> = heals.iter().map(|heal| describe(heal)).collect();
        others.dedup();
        let others = if others.is_empty() { String::new() } else { format!("; there is {}", others.join(", ")) };
        return Err(format!("{which}{others}"));
    };
    let mut several: Vec<_> = fitting.iter().map(|heal| describe(heal)).collect();
    several.sort();
    several.dedup();
    if several.len() > 1 {
        return Err(format!("several heals fit, add `rule` or `target`: {}", several.join(", ")));
    }
    Ok(newest)
}

fn compare(key: &'static str, expected: &str, found: &str, place: Place) -> Line {
    Line { key, holds: expected == found, expected: expected.to_owned(), found: found.to_owned(), place }
}

fn compare_heal(wanted: &Wanted, heal: &Heal, told: &[Told], seen: &mut Seen, place: &Place) -> Option<Line> {
    let place = place.clone();
    let step = heal.current_step();
    Some(match wanted {
        Wanted::Heals(_) => return None,
        Wanted::State(state) => compare("state", state, heal.phase.name(), place),
        Wanted::Step(number) => {
            let found = if heal.steps.is_empty() { 0 } else { heal.step + 1 };
            compare("step", &number.to_string(), &found.to_string(), place)
        }
        Wanted::Attempt(number) => {
            let found = step.map_or(0, |step| step.attempts_used);
            compare("attempt", &number.to_string(), &found.to_string(), place)
        }
        Wanted::Action(kind) => compare("action", kind, step.map_or("none", |step| step.action.kind()), place),
        Wanted::Rendered(fields) => {
            let found = Value::Object(step.map(|step| step.action.fields()).unwrap_or_default());
            let (expected, holds) = (fields.to_string(), covers(&found, fields));
            Line { key: "rendered", expected, found: found.to_string(), holds, place }
        }
        Wanted::Messages(kinds) => {
            let mut kinds_told: Vec<(&str, Vec<&str>)> = Vec::new();
            for Told { kind, receiver, .. } in told.iter().filter(|told| told.heal == heal.id) {
                match kinds_told.last_mut() {
                    // One change told to several receivers is one message.
                    Some((last, receivers)) if *last == kind.as_str() && !receivers.contains(&receiver.as_str()) => {
                        receivers.push(receiver);
                    }
                    _ => kinds_told.push((kind.as_str(), vec![receiver])),
                }
            }
            let before = seen.insert(heal.id, kinds_told.len()).unwrap_or(0);
            let found: Vec<_> = kinds_told.iter().skip(before).map(|(kind, _)| *kind).collect();
            compare("messages", &format!("[{}]", kinds.join(", ")), &format!("[{}]", found.join(", ")), place)
        }
        Wanted::Reason(part) => {
            let sentence = heal.reason.to_string();
            let holds = sentence.contains(part.as_str()) || heal.reason.code() == *part;
            Line { key: "reason", expected: part.clone(), found: sentence, holds, place }
        }
    })
}

/// Whether every field of `part` is in `whole` with the same value. Numbers and texts that look the same are the same,
/// because YAML does not quote them, and so are a list of one value and the value, because rules may write either.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| covers(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| covers(whole, part))
        }
        (Value::Array(whole), part) if whole.len() == 1 => covers(&whole[0], part),
        (whole, Value::Array(part)) if part.len() == 1 => covers(whole, &part[0]),
        (Value::String(text), Value::Number(number)) => *text == number.to_string(),
        (Value::String(text), Value::Bool(value)) => *text == value.to_string(),
        _ => whole == part,
    }
}
