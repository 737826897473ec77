//! `autoheal check --online`: asks everybody whom the configuration names whether they are there, let us in, and would take what
//! the rules send: engines, servers, runners of jobs, and who carries messages. Starts nothing and tells nobody.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;

use crate::action::awx::AwxAction;
use crate::action::http::Servers;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Diagnostic, Diagnostics};
use crate::domain::action::{Action, ActionTemplate};
use crate::domain::template::Template;
use crate::notify::{self, message::Pages};
use crate::telemetry::Metrics;
use crate::verify::{AlertmanagerAsker, Evidence};

/// Whom to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Everybody.
    All,
    /// The AWX servers.
    Awx,
}

/// Asks about every server and every job of every rule; prints each answer as it comes, and gives back what is wrong.
///
/// # Errors
/// `out` cannot be written to, or no runtime can be had.
pub fn run(config: &Config, whom: Whom, out: &mut dyn Write) -> io::Result<Diagnostics> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut round = Round {
            config,
            metrics: Arc::new(Metrics::new(clock.now())),
            clock,
            out,
            problems: Diagnostics::default(),
        };
        if whom == Whom::All {
            round.servers().await?;
        }
        round.rules(whom).await?;
        if whom == Whom::All {
            round.receivers().await?;
        }
        Ok(round.problems)
    })
}

/// One round of questions.
struct Round<'r> {
    config: &'r Config,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    out: &'r mut dyn Write,
    problems: Diagnostics,
}

impl Round<'_> {
    fn tell(&mut self, what: &str, answer: &Result<String, String>) -> io::Result<()> {
        match answer {
            Ok(found) => writeln!(self.out, "{what}: {found}"),
            Err(wrong) => self.tell_wrong(format!("{what}: {wrong}")),
        }
    }

    fn tell_wrong(&mut self, wrong: String) -> io::Result<()> {
        writeln!(self.out, "error: {wrong}")?;
        self.problems.push(Diagnostic::error(wrong));
        Ok(())
    }

    /// What could be built to ask with.
    fn built<T, E: Display>(&mut self, built: Result<T, E>) -> io::Result<Option<T>> {
        match built {
            Ok(built) => Ok(Some(built)),
            Err(error) => self.tell_wrong(error.to_string()).map(|()| None),
        }
    }

    /// Engines that rules act on, and who is asked for evidence.
    async fn servers(&mut self) -> io::Result<()> {
        let config = self.config;
        let evidence = Evidence::new(&config.docker_hosts, config.prometheus.as_ref(), Arc::clone(&self.clock));
        let Some(evidence) = self.built(evidence)? else { return Ok(()) };
        for host in hosts(config) {
            self.tell(&format!("docker host {host}"), &evidence.check_docker(&host).await)?;
        }
        if let Some(answer) = evidence.check_prometheus().await {
            self.tell("prometheus", &answer)?;
        }
        if let Some(endpoint) = &config.alertmanager
            && let Some(asker) = self.built(AlertmanagerAsker::new(endpoint))?
        {
            let view = asker.ask(&*self.clock).await;
            let found = view.map(|view| format!("answers and has {} alerts", view.alerts.len()));
            self.tell("alertmanager", &found)?;
        }
        Ok(())
    }

    /// Who runs jobs, and whether they would run those of the rules.
    async fn rules(&mut self, whom: Whom) -> io::Result<()> {
        let config = self.config;
        let awx = AwxAction::new(&config.awx_servers, &self.clock, &self.metrics);
        let Some(awx) = self.built(awx)? else { return Ok(()) };
        let http_servers = if whom == Whom::All { config.http_servers.as_slice() } else { &[] };
        let Some(http) = self.built(Servers::new(http_servers, &self.clock, &self.metrics))? else { return Ok(()) };
        for server in http_servers {
            self.tell(&format!("http server {}", server.name), &http.check_server(&server.name).await)?;
        }
        for server in &config.awx_servers {
            self.tell(&format!("awx server {}", server.name), &awx.check_server(&server.name).await)?;
        }
        for rule in config.rules.rules() {
            if let Some(why) = &rule.unsupported {
                self.tell(&format!("rule {}", rule.name), &Err(why.clone()))?;
                continue;
            }
            for (index, step) in rule.steps.iter().enumerate() {
                let what = format!("rule {}, step {}", rule.name, index + 1);
                match &step.action {
                    Action::AwxJob(job) => self.tell(&what, &awx.check_job(job).await)?,
                    Action::HttpJob(job) if whom == Whom::All => self.tell(&what, &http.check_job(job).await)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Who carries messages.
    async fn receivers(&mut self) -> io::Result<()> {
        let config = self.config;
        let notifiers = match notify::build(&config.receivers, &Pages::default(), &self.clock) {
            Ok(notifiers) => notifiers,
            Err(errors) => {
                for error in errors {
                    self.built::<(), _>(Err(error))?;
                }
                return Ok(());
            }
        };
        for receiver in &config.receivers {
            for (channel, _) in receiver.channels() {
                let Some(notifier) = notifiers.get(&channel.name) else { continue };
                let unasked =
                    || format!("cannot be asked without a message; `autoheal notify test {}` sends one", receiver.name);
                let answer = notifier.check().await.map(|said| said.unwrap_or_else(unasked));
                self.tell(&format!("receiver {}", channel.name), &answer.map_err(|error| error.to_string()))?;
            }
        }
        Ok(())
    }
}

/// The engines that rules act on. One that nobody uses need not be there: it may be the default.
fn hosts(config: &Config) -> BTreeSet<String> {
    let steps = config.rules.rules().iter().flat_map(|rule| &rule.steps);
    let named: Vec<_> = steps.filter_map(|step| engine(&step.action)).collect();
    let known = config.docker_hosts.iter().map(|host| host.name.clone());
    // Where alerts choose the host it may be any of them.
    let is_open = named.iter().any(|host| !host.is_literal());
    known.filter(|name| is_open || named.iter().any(|host| host.source() == name)).collect()
}

/// The engine of an action on containers.
fn engine(action: &ActionTemplate) -> Option<&Template> {
    match action {
        Action::RestartContainer(containers)
        | Action::StartContainer(containers)
        | Action::StopContainer(containers) => Some(&containers.host),
        Action::ExecInContainer(exec) => Some(&exec.containers.host),
        Action::AwxJob(_) | Action::HttpRequest(_) | Action::HttpJob(_) => None,
    }
}
