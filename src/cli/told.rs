//! Heals and status as text, made for a person at 3 a.m. From the API's JSON, because the daemon may run elsewhere.

use std::fmt::Write;

use serde_json::Value;

/// A text from outside without what could steer a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text),
        Value::Null => String::new(),
        other => clean(&other.to_string()),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A time as a person reads it: to the second, in UTC as everywhere.
fn time(value: &Value) -> String {
    let text = text(value);
    let seconds = text.get(..19).unwrap_or(&text);
    if seconds.is_empty() { String::new() } else { format!("{}Z", seconds.replace('T', " ")) }
}

fn labels(value: &Value) -> String {
    let labels = value.as_object().into_iter().flatten();
    let labels: Vec<_> = labels.map(|(name, value)| format!("{}={:?}", clean(name), text(value))).collect();
    labels.join(", ")
}

/// One line for each heal.
pub fn list(answer: &Value) -> String {
    let heals = items(&answer["heals"]);
    if heals.is_empty() {
        return "no heals\n".to_owned();
    }
    let width = |of: &dyn Fn(&Value) -> String| heals.iter().map(|heal| of(heal).chars().count()).max().unwrap_or(0);
    let rule = width(&|heal| text(&heal["rule"]));
    let target = width(&|heal| text(&heal["target"]));
    let mut lines = String::new();
    for heal in heals {
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            "{}  {}  {:<17}  {:<rule$}  {:<target$}  {}",
            time(&heal["updatedAt"]),
            text(&heal["id"]),
            text(&heal["state"]),
            text(&heal["rule"]),
            text(&heal["target"]),
            text(&heal["reason"]),
        );
    }
    if let Some(next) = answer["next"].as_str() {
        let _ = writeln!(lines, "there are more: --before {}", clean(next));
    }
    lines
}

/// One heal: why it acted or did not, what it saw, what comes next, and the whole story.
pub fn heal(heal: &Value) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(lines, "{name:<9} {value}");
        }
    };
    line("heal", text(&heal["id"]));
    line("rule", format!("{} (mode {})", text(&heal["rule"]), text(&heal["mode"])));
    line("about", text(&heal["description"]));
    line("target", text(&heal["target"]));
    let since = time(&heal["updatedAt"]);
    line("state", format!("{} since {since}", text(&heal["state"])));
    line("why", text(&heal["reason"]));
    line("next", text(&heal["next"]));
    if let Some(attempt) = heal["awaiting"]["attempt"].as_str() {
        line("approve", format!("autoheal heals approve {} --attempt {}", text(&heal["id"]), clean(attempt)));
    }
    line("runbook", text(&heal["runbook"]));
    for alert in items(&heal["alerts"]) {
        line(
            "alert",
            format!("{} {} {{{}}}", text(&alert["status"]), text(&alert["fingerprint"]), labels(&alert["labels"])),
        );
    }
    for (number, step) in items(&heal["steps"]).iter().enumerate() {
        let tries = format!("{} of {} attempts used", text(&step["attempts"]), text(&step["maxAttempts"]));
        let (action, target) = (text(&step["action"]), text(&step["target"]));
        line(&format!("step {}", number + 1), format!("{}: {action} {target}, {tries}", text(&step["state"])));
        line("", text(&step["rendered"]));
    }
    let _ = writeln!(lines, "\nwhat happened");
    let dropped = heal["timelineDropped"].as_u64().unwrap_or_default();
    for (index, entry) in items(&heal["timeline"]).iter().enumerate() {
        let (at, what, by) = (time(&entry["at"]), text(&entry["what"]), text(&entry["by"]));
        let _ = writeln!(lines, "{at}  {what:<17}  {} ({by})", text(&entry["reason"]));
        if index == 0 && dropped > 0 {
            let _ = writeln!(lines, "{:20}  … {dropped} entries left out", "");
        }
    }
    lines
}

/// One line for each rule.
pub fn report(answer: &Value) -> String {
    let mut lines = String::new();
    for rule in items(&answer["rules"]) {
        let _ = writeln!(lines, "{}: {}", text(&rule["rule"]), text(&rule["summary"]));
    }
    if let Some(shadows) = answer["onlyLatestShadows"].as_u64() {
        let _ = writeln!(lines, "only the latest {shadows} shadows were counted: ask with --since");
    }
    if lines.is_empty() { "no heal has ended\n".to_owned() } else { lines }
}

/// A pause in a sentence.
pub fn pause(pause: &Value) -> String {
    let (until, by) = (time(&pause["until"]), text(&pause["by"]));
    format!(
        "{by} paused {} until {until}: {} (id {})",
        text(&pause["covers"]),
        text(&pause["reason"]),
        text(&pause["id"])
    )
}

/// One message that was given up after the other.
pub fn dead_letters(answer: &Value) -> String {
    let letters = items(&answer["deadLetters"]);
    if letters.is_empty() {
        return "no message was given up\n".to_owned();
    }
    let mut lines = String::new();
    for letter in letters {
        let of = |key: &str| text(&letter[key]);
        let _ = writeln!(
            lines,
            "{}  {}  {}  {}  {} on {} (heal {})\n    after {} tries: {}",
            time(&letter["createdAt"]),
            of("id"),
            of("channel"),
            of("event"),
            of("rule"),
            of("target"),
            of("heal"),
            of("tries"),
            of("error"),
        );
    }
    lines
}

/// What became of an order about them.
pub fn dead_order(answer: &Value) -> String {
    match (answer["retried"].as_u64(), answer["discarded"].as_u64()) {
        (Some(count), _) => format!("{count} to be sent again; `autoheal status` says what becomes of it\n"),
        (_, Some(count)) => format!("{count} discarded\n"),
        _ => "nothing was given up\n".to_owned(),
    }
}

/// The daemon as a whole.
pub fn status(status: &Value) -> String {
    let mut lines = String::new();
    let uptime = std::time::Duration::from_secs(status["uptimeSeconds"].as_u64().unwrap_or_default());
    let mode = if status["dryRun"] == true { ", dry run: nothing is done" } else { "" };
    let ready = if status["ready"] == true { "ready" } else { "not ready" };
    let _ = writeln!(
        lines,
        "autoheal {} up {}, {ready}{mode}",
        text(&status["version"]),
        crate::domain::duration::format(uptime)
    );
    let _ = writeln!(lines, "{} rules, store {}", text(&status["rules"]), text(&status["store"]));
    for one in items(&status["pauses"]) {
        let _ = writeln!(lines, "PAUSED: {}", pause(one));
    }
    if status["lastReload"]["successful"] == false {
        let _ = writeln!(
            lines,
            "the last reload failed, an earlier configuration is in place:\n{}",
            text(&status["lastReload"]["error"])
        );
    }
    if status["exposed"] == true {
        let _ = writeln!(lines, "anybody on the network can deliver alerts: set web.tokens");
    }
    let counts = status["heals"].as_object().into_iter().flatten();
    let counts: Vec<_> =
        counts.filter(|(_, count)| **count != 0).map(|(state, count)| format!("{count} {state}")).collect();
    let _ = writeln!(lines, "heals: {}", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") });
    let outbox = &status["outbox"];
    let _ = writeln!(lines, "messages: {} waiting, {} given up", text(&outbox["waiting"]), text(&outbox["dead"]));
    for (name, receiver) in status["receivers"].as_object().into_iter().flatten() {
        if receiver["up"] == false {
            let (since, error) = (time(&receiver["since"]), text(&receiver["error"]));
            let _ = writeln!(lines, "RECEIVER {} FAILS since {since}: {error}", clean(name));
        }
        if receiver["dead"] != 0 {
            let dead = text(&receiver["dead"]);
            let _ = writeln!(lines, "{dead} given up for {}: see `autoheal notify dead list`", clean(name));
        }
    }
    lines
}
