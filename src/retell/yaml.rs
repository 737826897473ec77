//! A story as YAML: every text in double quotes, so that nothing an alert brings can become anything but a text.

use std::fmt::{self, Write};

use super::Names;
use super::story::{Found, Happened, Told, has_own_reason};
use crate::domain::alert::Labels;
use crate::domain::evidence::Answer;
use crate::domain::heal::Heal;
use crate::domain::{Timestamp, duration, elapsed};

/// Writes the file.
pub(super) fn write(heal: &Heal, start: Timestamp, names: &Names<'_>, told: &[Told], untold: Option<String>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_head(&mut text, heal, start, names).and_then(|()| write_events(&mut text, heal, start, told, untold));
    text
}

fn write_head(text: &mut String, heal: &Heal, start: Timestamp, names: &Names<'_>) -> fmt::Result {
    writeln!(text, "# Told after heal {}; run it with: autoheal test FILE", heal.id)?;
    writeln!(
        text,
        "# Put it beside the rules: it tests all of the directory it is in. docs/rule-tests.md has every key."
    )?;
    writeln!(text, "ruleFiles: .\nalerts:")?;
    for (name, alert) in names.iter() {
        writeln!(text, "  {}:", Quoted(name))?;
        write_map(text, "labels", &alert.labels)?;
        if !alert.annotations.is_empty() {
            write_map(text, "annotations", &alert.annotations)?;
        }
        if !alert.generator_url.is_empty() {
            writeln!(text, "    generatorURL: {}", Quoted(&alert.generator_url))?;
        }
    }
    let name = format!("{} on {} {}", heal.rule, heal.target, heal.phase.name());
    writeln!(text, "tests:\n- name: {}\n  start: {}\n  events:", Quoted(&name), Quoted(&start.to_string()))
}

fn write_map(text: &mut String, key: &str, map: &Labels) -> fmt::Result {
    let open = if map.is_empty() { " {}" } else { "" };
    writeln!(text, "    {key}:{open}")?;
    map.iter().try_for_each(|(name, value)| writeln!(text, "      {}: {}", Quoted(name), Quoted(value)))
}

fn write_events(
    text: &mut String,
    heal: &Heal,
    start: Timestamp,
    told: &[Told],
    untold: Option<String>,
) -> fmt::Result {
    let about = format!("rule: {}, target: {}", Quoted(&heal.rule), Quoted(heal.target.as_str()));
    let mut now = start;
    let mut last = None;
    for Told { at, what, found } in told {
        // The store keeps whole milliseconds, and so does the test.
        let pause = elapsed(now, *at);
        if pause.as_millis() > 0 {
            now += std::time::Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            writeln!(text, "  - wait: {}", duration::format(pause))?;
            if let Some(found) = found.as_ref().filter(|found| untold.is_none() && last != Some(*found)) {
                write_found(text, &about, found)?;
            }
        }
        last = found.as_ref();
        write_happened(text, &about, what)?;
    }
    let rest = elapsed(now, heal.updated_at);
    if rest.as_millis() > 0 {
        // Rounded up, so that what ended it has come.
        writeln!(text, "  - wait: {}", duration::format(rest + std::time::Duration::from_millis(1)))?;
    }
    if let Some(why) = untold {
        writeln!(text, "  # How it ended is not expected here, a test cannot tell it: {why}.")?;
        return writeln!(text, "  - expect: {{{about}}}");
    }
    let (step, attempt) = match heal.current_step() {
        Some(step) => (heal.step + 1, step.attempts_used),
        None => (0, 0),
    };
    write!(text, "  - expect: {{{about}, state: {}, step: {step}, attempt: {attempt}", heal.phase.name())?;
    if has_own_reason(heal) {
        write!(text, ", reason: {}", heal.reason.code())?;
    }
    writeln!(text, "}}")
}

fn write_found(text: &mut String, about: &str, found: &Found) -> fmt::Result {
    write!(text, "    expect: {{{about}, state: {}", found.state)?;
    if let Some((step, attempt)) = found.acting {
        write!(text, ", step: {step}, attempt: {attempt}")?;
    }
    writeln!(text, "}}")
}

fn write_happened(text: &mut String, about: &str, what: &Happened) -> fmt::Result {
    match what {
        Happened::Firing(alert) => writeln!(text, "  - firing: {}", Quoted(alert)),
        Happened::Resolved(alert) => writeln!(text, "  - resolved: {}", Quoted(alert)),
        Happened::Action(outcome, says) => {
            writeln!(text, "  - action: {{outcome: {outcome}, {about}, says: {}}}", Quoted(says))
        }
        Happened::Verification(answer, probe) => {
            let answer = match answer {
                Answer::Holds => "true",
                Answer::Fails => "false",
                Answer::Unknown => "unknown",
            };
            let probe = probe.map_or_else(String::new, |probe| format!(", probe: {probe}"));
            writeln!(text, "  - verification: {{answer: {answer}{probe}, {about}}}")
        }
        Happened::Order(order, by, because) => {
            let reason = if because.is_empty() { String::new() } else { format!(", reason: {}", Quoted(because)) };
            writeln!(text, "  - {order}: {{by: {}{reason}, {about}}}", Quoted(by))
        }
        Happened::Held(lasts, why) => {
            writeln!(text, "  # Stands for: {}", one_line(why))?;
            let lasts = duration::format(*lasts);
            let rule = about.split(", target: ").next().unwrap_or(about);
            writeln!(text, "  - pause: {{for: {lasts}, {rule}, reason: stands for what held the heal}}")
        }
    }
}

/// A text as part of a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() || is_break(letter) { ' ' } else { letter }).collect()
}

const fn is_break(letter: char) -> bool {
    matches!(letter, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A text in YAML's double quotes.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                letter if letter.is_control() || is_break(letter) => write!(f, "\\u{:04x}", u32::from(letter))?,
                letter => f.write_char(letter)?,
            }
        }
        f.write_char('"')
    }
}
