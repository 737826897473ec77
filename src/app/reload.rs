//! Reload: reads configuration, rules and secrets again, builds everything that can fail, and only then puts it in
//! place. It is asked for by a signal, by a caller, or by files that look different from when they were read.
//!
//! Files are looked at rather than watched: a look works on network file systems and bind mounts, which tell no watcher
//! anything, and needs no rules for links, renames and directories that come and go. See `docs/adr`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::{Built, build};
use crate::action::Actions;
use crate::clock::Clock;
use crate::config::{Config, Diagnostics, LoadOptions, Sources, StoreLocation, WebFile};
use crate::engine::Engine;
use crate::engine::deliver::Notifiers;
use crate::web::WebState;
use crate::web::reload::{Ask, LastReload, Reloaded};

/// Requests for a reload that may wait; whoever waits is answered by one reload together with the others.
pub(super) const MAX_ASKS: usize = 16;

/// How often files are looked at. A file that somebody is still writing looks different at the next look, and is read only
/// once two looks agree.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looking may take at most this part of the time, however many files there are.
const LOOK_SHARE: u32 = 200;

/// How often reading starts over because the files changed while they were read.
const MAX_READS: usize = 10;

/// Problems that are told one by one; a mistake in a pattern can repeat through thousands of rules.
const MAX_PROBLEMS: usize = 50;

/// Pause before reading again.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// Where the daemon's configuration comes from, and who may ask for it to be read again.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// How it was loaded.
    pub options: LoadOptions,
    /// What was read for it.
    pub sources: Sources,
    /// Told when a reload is wanted by signal.
    pub hang_up: Arc<Notify>,
}

/// What only a restart changes.
pub(super) struct Fixed {
    listen_address: SocketAddr,
    store: StoreLocation,
    web_file: WebFile,
    verified_clients: bool,
}

/// Everything a reload replaces, and where to read from.
pub(super) struct Reloader {
    pub origin: Origin,
    pub fixed: Fixed,
    pub dry_run: bool,
    pub clock: Arc<dyn Clock>,
    pub web: WebState,
    pub engine: Arc<Engine>,
    pub notifiers: Notifiers,
}

impl Reloader {
    /// Runs until told to stop.
    pub async fn run(mut self, mut asks: mpsc::Receiver<Ask>, stop: CancellationToken) {
        let hang_up = Arc::clone(&self.origin.hang_up);
        let mut changing = Changing::default();
        let mut pause = LOOK_EVERY;
        loop {
            let mut waiting: Vec<Ask> = Vec::new();
            tokio::select! {
                () = stop.cancelled() => return,
                Some(ask) = asks.recv() => waiting.push(ask),
                () = hang_up.notified() => tracing::info!(signal = "SIGHUP", "reloading"),
                () = tokio::time::sleep(pause) => {
                    let Ok((current, next_pause)) = look(self.origin.sources.clone()).await else { continue };
                    pause = next_pause;
                    if !changing.settled(&self.origin.sources, current) {
                        continue;
                    }
                    tracing::info!("the configuration's files changed; reloading");
                }
            }
            while let Ok(ask) = asks.try_recv() {
                waiting.push(ask);
            }
            let outcome = self.reload().await;
            for ask in waiting {
                // Whoever asked may have gone; the reload was done all the same.
                let _ = ask.send(outcome.clone());
            }
        }
    }

    async fn reload(&mut self) -> Result<Reloaded, String> {
        let outcome = self.put_in_place().await;
        let now = self.clock.now();
        self.engine.metrics.config_loaded(outcome.is_ok().then_some(now));
        let last = match &outcome {
            Ok(reloaded) => {
                let restart_needed = reloaded.restart_needed.clone();
                tracing::info!(rules = reloaded.rules, "the configuration was read again and is in place");
                if !restart_needed.is_empty() {
                    tracing::warn!(changed = restart_needed.join(", "), "what changed there needs a restart");
                }
                for warning in &reloaded.warnings {
                    tracing::warn!("{warning}");
                }
                LastReload { at: now, successful: true, error: None, restart_needed }
            }
            Err(error) => {
                tracing::error!(error, "the configuration cannot be used; what was there before stays in place");
                LastReload { at: now, successful: false, error: Some(error.clone()), restart_needed: Vec::new() }
            }
        };
        self.web.reloaded(last);
        outcome
    }

    /// Builds all that can fail; nothing after it can.
    async fn put_in_place(&mut self) -> Result<Reloaded, String> {
        let (config, warnings) = self.read().await?;
        let built = build(&config, self.dry_run, self.fixed.verified_clients, &self.clock, &self.engine.metrics);
        let Built { loaded, equipment, notifiers } = built.map_err(|error| format!("{error:#}"))?;
        let rules = loaded.rules.rules().len();
        let restart_needed = self.fixed.differences(&config);
        self.origin.options.held_rules = config.held_rules;
        // Channels first: whoever is told by a new rule must be there when the rule is.
        self.notifiers.store(Arc::new(notifiers));
        let services = equipment.actions.as_ref().map(Actions::services).unwrap_or_default();
        self.engine.equipment.store(Arc::new(equipment));
        self.engine.metrics.keep_services(&services);
        self.web.replace(loaded);
        // What held a heal may have changed with the rules; its own look at them would come late, but it would come.
        if let Err(error) = self.engine.store.recheck_held(self.clock.now()).await {
            tracing::warn!(%error, "heals that wait are looked at later");
        }
        self.engine.wake.heals.notify_one();
        self.engine.wake.messages.notify_one();
        Ok(Reloaded { rules, restart_needed, warnings })
    }

    /// Reads everything, again when something changed meanwhile, so that never half of a change is put in place.
    async fn read(&mut self) -> Result<(Config, Vec<String>), String> {
        for _ in 0..MAX_READS {
            let options = self.origin.options.clone();
            let read = tokio::task::spawn_blocking(move || {
                let (loaded, sources) = Config::load_noting(&options);
                let is_whole = sources == sources.look_again();
                (loaded, sources, is_whole)
            });
            let (loaded, sources, is_whole) = read.await.map_err(broken)?;
            self.origin.sources = sources;
            if is_whole {
                return match loaded {
                    Ok((config, warnings)) => Ok((config, lines(&warnings))),
                    Err(problems) => Err(lines(&problems).join("\n")),
                };
            }
            tokio::time::sleep(READ_PAUSE).await;
        }
        Err("the files changed again and again while they were read; they are read once more when they stay the same"
            .to_owned())
    }
}

impl Fixed {
    pub fn of(config: Config, verified_clients: bool) -> Self {
        let Config { store, web, web_file, .. } = config;
        Self { listen_address: web.listen_address, store, web_file, verified_clients }
    }

    /// What a configuration says differently, in its own words.
    fn differences(&self, config: &Config) -> Vec<&'static str> {
        let (file, running) = (&config.web_file, &self.web_file);
        let differences = [
            ("web.listenAddress", config.web.listen_address != self.listen_address),
            ("store", config.store != self.store),
            ("tls_server_config", file.tls != running.tls),
            ("http_server_config", file.http2 != running.http2 || file.headers != running.headers),
        ];
        differences.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// A line for each problem, and one for those that are too many.
fn lines(problems: &Diagnostics) -> Vec<String> {
    let mut lines: Vec<_> = problems.iter().take(MAX_PROBLEMS).map(ToString::to_string).collect();
    let left_out = problems.iter().len() - lines.len();
    if left_out > 0 {
        lines.push(format!("and {left_out} more; run autoheal check"));
    }
    lines
}

/// Files that look different from when they were read, at the last look.
#[derive(Default)]
struct Changing(Option<Sources>);

impl Changing {
    /// Whether files have changed and stayed the same for two looks.
    fn settled(&mut self, read: &Sources, current: Sources) -> bool {
        if *read == current {
            self.0 = None;
            return false;
        }
        let settled = self.0.as_ref() == Some(&current);
        self.0 = (!settled).then_some(current);
        settled
    }
}

/// How the files look now, and how long to wait before the next look.
async fn look(sources: Sources) -> Result<(Sources, Duration), JoinError> {
    tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let current = sources.look_again();
        (current, LOOK_EVERY.max(began.elapsed() * LOOK_SHARE))
    })
    .await
}

#[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` asks for")]
fn broken(error: JoinError) -> String {
    format!("reading broke down, which is a bug in autoheal: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_only_once_two_looks_agree() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("autoheal.yml");
        std::fs::write(&file, "a").unwrap();
        let options = LoadOptions { config_files: vec![file.clone()], ..LoadOptions::default() };
        let (_, read) = Config::load_noting(&options);
        let mut changing = Changing::default();
        assert!(!changing.settled(&read, read.look_again()), "nothing changed");
        std::fs::write(&file, "half").unwrap();
        assert!(!changing.settled(&read, read.look_again()), "it may still be written");
        std::fs::write(&file, "half and the rest").unwrap();
        assert!(!changing.settled(&read, read.look_again()), "and was");
        assert!(changing.settled(&read, read.look_again()));
        let current = read.look_again();
        assert!(!changing.settled(&current, current.clone()), "what was read is not read again");
    }
}
