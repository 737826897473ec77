//! `/approvals/{ticket}`: the page behind a signed link. Looking changes nothing, so that programs which open links in
//! messages do no harm; only a button acts, and only once.

use http::StatusCode;
use warp::reply::Response;

use super::html::{Page, Text, notice};
use super::{heal, trouble};
use crate::domain::heal::{Heal, Phase};
use crate::domain::instruction::Order;
use crate::links::{LinkError, Ticket};
use crate::store::Instructed;
use crate::web::{WebState, orders};

const ROOT: &str = "../";

/// Shows what would be done, with two buttons.
pub async fn show(state: &WebState, text: &str) -> Response {
    let ticket = match read(state, text) {
        Ok(ticket) => ticket,
        Err(response) => return *response,
    };
    let found = async { state.store()?.heal(ticket.heal).await }.await;
    match found {
        Ok(Some(heal)) if waits(&heal, &ticket) => {
            let body = format!(
                "{}<p>You answer as <b>{}</b>. Guards and alert are looked at again before anything is done.</p>\
                 <form method=\"post\"><button class=\"go\" name=\"answer\" value=\"approve\">Approve</button>\
                 <button class=\"stop\" name=\"answer\" value=\"deny\">Deny</button></form>",
                heal::facts(&heal, state.now()),
                Text(&ticket.by),
            );
            Page { title: "Approve?", root: ROOT, refreshes: false, body: &body }.answer(StatusCode::OK)
        }
        Ok(Some(heal)) => {
            let body = format!(
                "<p class=\"card banner\">This link has been used, or is no longer needed.</p>{}",
                heal::facts(&heal, state.now())
            );
            Page { title: "Nothing to approve", root: ROOT, refreshes: false, body: &body }.answer(StatusCode::GONE)
        }
        Ok(None) => notice(StatusCode::GONE, ROOT, "Nothing to approve", "this heal is no longer known"),
        Err(error) => trouble(ROOT, &error),
    }
}

/// Does what a button says.
pub async fn answer(state: &WebState, text: &str, answer: Option<&str>) -> Response {
    let ticket = match read(state, text) {
        Ok(ticket) => ticket,
        Err(response) => return *response,
    };
    let attempt = Some(ticket.attempt);
    let order = match answer {
        Some("approve") => Order::Approve { attempt },
        Some("deny") => Order::Deny { attempt },
        _ => return notice(StatusCode::BAD_REQUEST, ROOT, "Not understood", "the answer is neither approve nor deny"),
    };
    match orders::give(state, ticket.heal, order, &ticket.by, String::new()).await {
        Ok(Instructed { heal: Some(heal), done: true, .. }) => {
            let body = format!("<p class=\"card\">Your answer is on record.</p>{}", heal::facts(&heal, state.now()));
            Page { title: "Answered", root: ROOT, refreshes: false, body: &body }.answer(StatusCode::OK)
        }
        Ok(Instructed { reason, .. }) => {
            notice(orders::refusal(&reason), ROOT, "Nothing was done", &reason.to_string())
        }
        Err(error) => trouble(ROOT, &error),
    }
}

fn read(state: &WebState, text: &str) -> Result<Ticket, Box<Response>> {
    let now = state.now();
    let read = state.loaded().links.as_ref().map(|links| links.read(text, now));
    let refused = |status, text: &str| Box::new(notice(status, ROOT, "This link is worth nothing", text));
    match read {
        Some(Ok(ticket)) => Ok(ticket),
        Some(Err(error @ LinkError::Forged)) => Err(refused(StatusCode::NOT_FOUND, &error.to_string())),
        Some(Err(error @ LinkError::Expired(_))) => Err(refused(StatusCode::GONE, &error.to_string())),
        None => {
            Err(refused(StatusCode::NOT_FOUND, "web.externalUrl and web.linkKey are not set, so there are no links"))
        }
    }
}

fn waits(heal: &Heal, ticket: &Ticket) -> bool {
    matches!(&heal.phase, Phase::AwaitingApproval { attempt, .. } if *attempt == ticket.attempt)
}
