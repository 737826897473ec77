//! `/`: what is open, what was, the rules, and whether anything is paused; `/pause`: the stop switch.

use std::collections::BTreeMap;
use std::fmt::Write;

use http::StatusCode;
use warp::reply::Response;

use super::html::{Page, Text};
use super::trouble;
use crate::domain::heal::{Heal, HealId};
use crate::domain::pause::Pause;
use crate::domain::rule::HealRule;
use crate::store::{Backlog, HealQuery, StoreError};
use crate::token::{Caller, Scope};
use crate::web::WebState;

/// Heals of one list.
const SHOWN: u32 = 50;
/// Names of open states; those that need somebody first.
const OPEN: [&str; 4] = ["awaiting_approval", "acting", "verifying", "pending"];

struct Known {
    open: Vec<Heal>,
    past: Vec<Heal>,
    older: Option<HealId>,
    pauses: Vec<Pause>,
    /// What each channel was not told.
    backlogs: BTreeMap<String, Backlog>,
}

/// `/`, with the history before `before`.
pub async fn home(state: &WebState, caller: &Caller, before: Option<HealId>) -> Response {
    match known(state, before).await {
        Ok(known) => {
            let body = body(state, caller, &known);
            Page { title: "Heals", root: "./", refreshes: true, body: &body }.answer(StatusCode::OK)
        }
        Err(error) => trouble("./", &error),
    }
}

async fn known(state: &WebState, before: Option<HealId>) -> Result<Known, StoreError> {
    let store = state.store()?;
    let mut open = Vec::new();
    for name in OPEN {
        let query = HealQuery { state: Some(name.to_owned()), limit: SHOWN, ..HealQuery::default() };
        open.extend(store.heals(query).await?);
    }
    let recent = store.heals(HealQuery { before, limit: SHOWN, ..HealQuery::default() }).await?;
    let older = (recent.len() == SHOWN as usize).then(|| recent.last().map(|heal| heal.id)).flatten();
    let past = recent.into_iter().filter(|heal| heal.outcome().is_some()).collect();
    let (pauses, backlogs) = (store.pauses(state.now()).await?, store.backlogs().await?);
    Ok(Known { open, past, older, pauses, backlogs })
}

fn body(state: &WebState, caller: &Caller, known: &Known) -> String {
    let loaded = state.loaded();
    let mut html = String::new();
    // Writing to a String cannot fail, here and below.
    if loaded.policy.dry_run {
        html.push_str("<p class=\"card banner\"><b>Dry run:</b> nothing is done and nobody is told.</p>");
    }
    if !state.is_ready() {
        html.push_str("<p class=\"card bad\"><b>Not ready:</b> starting up, or stopping.</p>");
    }
    let reload = state.0.last_reload.get();
    if let Some(error) = reload.error {
        let _ = write!(
            html,
            "<div class=\"card bad\"><p><b>The last reload failed</b>; the configuration before it is in place.</p><pre>{}</pre></div>",
            Text(error)
        );
    }
    if state.is_exposed() {
        html.push_str(
            "<p class=\"card bad\"><b>Anybody on the network can deliver alerts:</b> set <code>web.tokens</code>.</p>",
        );
    }
    failing(&mut html, state, &known.backlogs);
    known.pauses.iter().for_each(|pause| self::pause(&mut html, caller, pause));
    if caller.may(Scope::Admin) {
        html.push_str("<p><a href=\"pause\">Pause…</a></p>");
    }
    let _ = write!(html, "<h1>Open</h1>");
    if known.open.is_empty() {
        html.push_str("<p class=\"dim\">Nothing is being healed.</p>");
    }
    known.open.iter().for_each(|heal| card(&mut html, heal));
    html.push_str("<h2>History</h2>");
    if known.past.is_empty() {
        html.push_str("<p class=\"dim\">Nothing yet.</p>");
    }
    known.past.iter().for_each(|heal| card(&mut html, heal));
    if let Some(older) = known.older {
        let _ = write!(html, "<p><a href=\"?before={older}\">Older</a></p>");
    }
    let rules = loaded.rules.rules();
    let _ = write!(html, "<h2>Rules ({})</h2>", rules.len());
    rules.iter().take(MAX_RULES).for_each(|one| rule(&mut html, one));
    if rules.len() > MAX_RULES {
        let _ = write!(
            html,
            "<p class=\"dim\">and {} more, see <a href=\"api/v1/rules\">the API</a></p>",
            rules.len() - MAX_RULES
        );
    }
    html
}

/// Receivers that do not take what they are told, and messages that were given up.
fn failing(html: &mut String, state: &WebState, backlogs: &BTreeMap<String, Backlog>) {
    let told = state.parts().metrics.receivers();
    for (channel, known) in told.iter().filter(|(_, known)| !known.up) {
        let _ = write!(
            html,
            "<p class=\"card bad\"><b>Receiver {} fails</b> since {}: {}</p>",
            Text(channel),
            known.since,
            Text(&known.error)
        );
    }
    for (channel, backlog) in backlogs.iter().filter(|(_, backlog)| backlog.dead > 0) {
        let _ = write!(
            html,
            "<p class=\"card bad\"><b>{} messages for {} were given up:</b> <code>autoheal notify dead list</code>, then \
             <code>retry</code> or <code>discard</code>.</p>",
            backlog.dead,
            Text(channel)
        );
    }
}

/// Rules of one page.
const MAX_RULES: usize = 200;

fn pause(html: &mut String, caller: &Caller, pause: &Pause) {
    let Pause { id, scope, reason, by, until, .. } = pause;
    let _ = write!(
        html,
        "<div class=\"card banner\"><p><b>Paused: {}</b> until {until} by {}: {}</p>",
        Text(scope),
        Text(by),
        Text(reason)
    );
    if caller.may(Scope::Admin) {
        let _ = write!(
            html,
            "<form method=\"post\" action=\"resume\"><input type=\"hidden\" name=\"id\" value=\"{id}\"><button>Resume</button></form>"
        );
    }
    html.push_str("</div>");
}

fn card(html: &mut String, heal: &Heal) {
    let name = heal.phase.name();
    let _ = write!(
        html,
        "<div class=\"card\"><p class=\"row\"><span class=\"state {name}\">{}</span> <a href=\"heals/{}\">{}</a> \
         <span>{}</span> <span class=\"dim\">{}</span></p><p>{}</p></div>",
        name.replace('_', " "),
        heal.id,
        Text(&heal.rule),
        Text(&heal.target),
        heal.updated_at,
        Text(&heal.reason),
    );
}

fn rule(html: &mut String, rule: &HealRule) {
    let steps: Vec<_> = rule.steps.iter().map(|step| step.action.kind()).collect();
    let steps = match &rule.unsupported {
        Some(why) => format!("does nothing and tells a human: {why}"),
        None if steps.is_empty() => "only notifies".to_owned(),
        None => steps.join(", then "),
    };
    let mode = serde_json::to_value(rule.mode).ok();
    let _ = write!(
        html,
        "<div class=\"card\"><p class=\"row\"><b>{}</b> <span class=\"dim\">mode {}: {}</span></p><p>{}</p></div>",
        Text(&rule.name),
        Text(mode.as_ref().and_then(|mode| mode.as_str()).unwrap_or_default()),
        Text(steps),
        Text(&rule.description),
    );
}

/// `/pause`: the form of the stop switch.
pub fn pause_form(state: &WebState) -> Response {
    let mut rules = String::new();
    for rule in state.loaded().rules.rules().iter().take(MAX_RULES) {
        let _ = write!(rules, "<option>{}</option>", Text(&rule.name));
    }
    let body = format!(
        "<h1>Pause</h1><p>Nothing new is started of what is paused; what runs is finished. A pause always ends by itself.</p>\
         <form class=\"tall\" method=\"post\" action=\"pause\">\
         <label>For<select name=\"for\"><option>30m</option><option selected>2h</option><option>8h</option><option>1d</option><option>7d</option></select></label>\
         <label>Reason<input name=\"reason\" required maxlength=\"{}\"></label>\
         <label>What<select name=\"rule\"><option value=\"\">everything</option>{rules}</select></label>\
         <button class=\"stop\">Pause</button></form>",
        Pause::MAX_REASON
    );
    Page { title: "Pause", root: "./", refreshes: false, body: &body }.answer(StatusCode::OK)
}
