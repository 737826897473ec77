//! What other programs call: AWX, and Slack in [`slack`].
//!
//! `POST /hooks/awx`: AWX says that a job has begun or ended (a notification template of type webhook). Such calls get lost, and
//! anybody with the token could make them; so what they say is not even read. They only wake whoever follows jobs.

mod slack;

use http::{Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::{WebState, reply, with};

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    let awx = warp::path!("hooks" / "awx").and(warp::method()).and(with(state)).map(|method, state: WebState| {
        if method != Method::POST {
            return reply::method_not_allowed("POST");
        }
        state.parts().jobs.notify_one();
        reply::text(StatusCode::ACCEPTED, "text/plain; charset=utf-8", "jobs are looked at\n")
    });
    awx.or(slack::routes(state)).unify()
}
