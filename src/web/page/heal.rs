//! One heal for a person: why, what was seen, what comes next, what one may do about it, and the whole story.

use std::fmt::Write;

use http::StatusCode;
use warp::reply::Response;

use super::html::{Page, Text};
use crate::domain::Timestamp;
use crate::domain::alert::Alert;
use crate::domain::heal::{Heal, HealStep, Phase};
use crate::domain::outlook::outlook;
use crate::token::{Caller, Scope};

/// `/heals/{id}`.
pub fn page(heal: &Heal, caller: &Caller, now: Timestamp) -> Response {
    let mut html = facts(heal, now);
    buttons(&mut html, heal, caller);
    story(&mut html, heal);
    Page { title: &heal.rule, root: "../", refreshes: false, body: &html }.answer(StatusCode::OK)
}

/// What is known of a heal, without its story. A page behind a link shows this too.
pub fn facts(heal: &Heal, now: Timestamp) -> String {
    let name = heal.phase.name();
    let mut html = format!(
        "<h1>{} <span class=\"state {name}\">{}</span></h1><p>{}</p><dl>",
        Text(&heal.rule),
        name.replace('_', " "),
        Text(&heal.description),
    );
    let mut fact = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a String cannot fail, here and below.
        let _ = write!(html, "<dt>{name}</dt><dd>{}</dd>", Text(value));
    };
    fact("Why", &heal.reason);
    fact("Next", &outlook(heal, now));
    fact("Target", &heal.target);
    fact("Since", &heal.created_at);
    fact("Changed", &heal.updated_at);
    html.push_str("</dl>");
    if is_web(&heal.runbook) {
        let _ = write!(html, "<p><a href=\"{0}\" rel=\"noreferrer\">Runbook: {0}</a></p>", Text(&heal.runbook));
    } else if !heal.runbook.is_empty() {
        let _ = write!(html, "<p>Runbook: {}</p>", Text(&heal.runbook));
    }
    heal.alerts.iter().for_each(|one| alert(&mut html, one));
    heal.steps.iter().enumerate().for_each(|(index, one)| step(&mut html, index, one));
    html
}

/// Only these become links: a runbook comes from alerts, and could be `javascript:`.
fn is_web(address: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme))
}

fn alert(html: &mut String, alert: &Alert) {
    let _ = write!(html, "<div class=\"card\"><p><b>{}</b> {}</p><p>", Text(alert.name()), alert.status.as_str());
    for (name, value) in &alert.labels {
        let _ = write!(html, "<code>{}={:?}</code> ", Text(name), Text(value).to_string());
    }
    html.push_str("</p>");
    for (name, value) in &alert.annotations {
        let _ = write!(html, "<p>{}: {}</p>", Text(name), Text(value));
    }
    html.push_str("</div>");
}

fn step(html: &mut String, index: usize, step: &HealStep) {
    let rendered = serde_json::Value::Object(step.action.fields());
    let _ = write!(
        html,
        "<div class=\"card\"><p>Step {}: <b>{}</b> <span class=\"dim\">{} of {} attempts used</span></p><pre>{}</pre></div>",
        index + 1,
        Text(step.action.summary()),
        step.attempts_used,
        step.attempts,
        Text(format_args!("{rendered:#}")),
    );
}

fn buttons(html: &mut String, heal: &Heal, caller: &Caller) {
    let id = heal.id;
    if let Phase::AwaitingApproval { attempt, .. } = &heal.phase
        && caller.may(Scope::Approve)
    {
        let _ = write!(
            html,
            "<form method=\"post\" action=\"{id}/approve\"><input type=\"hidden\" name=\"attempt\" value=\"{attempt}\">\
             <button class=\"go\">Approve</button></form>\
             <form method=\"post\" action=\"{id}/deny\"><input type=\"hidden\" name=\"attempt\" value=\"{attempt}\">\
             <input name=\"reason\" placeholder=\"why not\" aria-label=\"why not\"><button class=\"stop\">Deny</button></form>"
        );
    }
    if !caller.may(Scope::Admin) {
        return;
    }
    match heal.outcome() {
        // To deny is to cancel.
        None if matches!(heal.phase, Phase::AwaitingApproval { .. }) => {}
        None => {
            let _ = write!(
                html,
                "<form method=\"post\" action=\"{id}/cancel\"><input name=\"reason\" placeholder=\"why\" aria-label=\"why\">\
                 <button class=\"stop\">Cancel this heal</button></form>"
            );
        }
        Some(outcome) if outcome.needs_human() => {
            let _ =
                write!(html, "<form method=\"post\" action=\"{id}/reset\"><button>Reset the ladder</button></form>");
        }
        Some(_) => {}
    }
}

fn story(html: &mut String, heal: &Heal) {
    html.push_str("<h2>What happened</h2><ol class=\"story\">");
    for (index, entry) in heal.timeline.iter().enumerate() {
        let _ = write!(
            html,
            "<li><span class=\"dim\">{} · {}</span><br><b>{}</b>: {}</li>",
            entry.at,
            Text(&entry.by),
            Text(entry.what.replace('_', " ")),
            Text(&entry.reason),
        );
        if index == 0 && heal.timeline_dropped > 0 {
            let _ = write!(html, "<li class=\"dim\">{} entries left out</li>", heal.timeline_dropped);
        }
    }
    html.push_str("</ol>");
}
