//! `autoheal check --online`: asks the AWX servers whether they are there and would take what the rules send, and the HTTP servers
//! whether they let us in. Launches nothing.

use std::io::{self, Write};
use std::sync::Arc;

use crate::action::awx::AwxAction;
use crate::action::http::Servers;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::action::Action;
use crate::telemetry::Metrics;

/// Asks about every server and every job of every rule; prints what was answered and says whether all was good.
///
/// # Errors
/// `out` cannot be written to, or no runtime can be had.
pub fn run(config: &Config, out: &mut dyn Write) -> io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(config, out))
}

async fn ask(config: &Config, out: &mut dyn Write) -> io::Result<bool> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::new(clock.now()));
    let awx = match AwxAction::new(&config.awx_servers, &clock, &metrics) {
        Ok(awx) => awx,
        Err(error) => {
            writeln!(out, "error: {error}")?;
            return Ok(false);
        }
    };
    let http = match Servers::new(&config.http_servers, &clock, &metrics) {
        Ok(http) => http,
        Err(error) => {
            writeln!(out, "error: {error}")?;
            return Ok(false);
        }
    };
    let mut good = true;
    for server in &config.http_servers {
        good &= tell(out, &format!("http server {}", server.name), &http.check_server(&server.name).await)?;
    }
    for server in &config.awx_servers {
        good &= tell(out, &format!("awx server {}", server.name), &awx.check_server(&server.name).await)?;
    }
    for rule in config.rules.rules() {
        if let Some(why) = &rule.unsupported {
            good &= tell(out, &format!("rule {}", rule.name), &Err(why.clone()))?;
            continue;
        }
        for (index, step) in rule.steps.iter().enumerate() {
            let what = format!("rule {}, step {}", rule.name, index + 1);
            match &step.action {
                Action::AwxJob(job) => good &= tell(out, &what, &awx.check_job(job).await)?,
                Action::HttpJob(job) => good &= tell(out, &what, &http.check_job(job).await)?,
                _ => {}
            }
        }
    }
    Ok(good)
}

fn tell(out: &mut dyn Write, what: &str, answer: &Result<String, String>) -> io::Result<bool> {
    match answer {
        Ok(found) => writeln!(out, "{what}: {found}")?,
        Err(wrong) => writeln!(out, "error: {what}: {wrong}")?,
    }
    Ok(answer.is_ok())
}
