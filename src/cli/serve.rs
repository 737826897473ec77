//! `autoheal serve`: the daemon.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, Flags};
use crate::app;
use crate::clock::SystemClock;
use crate::telemetry;

/// Loads, runs, and stops on SIGTERM or SIGINT; a second signal ends the process at once.
pub fn run(flags: &Flags) -> Exit {
    let clock = Arc::new(SystemClock);
    telemetry::init_logs(flags.log_level, flags.log_format, clock.clone());
    let config = match flags.load() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the async runtime cannot be started");
            return Exit::Failure;
        }
    };
    let stop = CancellationToken::new();
    let ended = runtime.block_on(async {
        let signals = stop_on_signals(stop.clone());
        tokio::select! {
            ended = app::run(config, flags.dry_run, clock, stop) => ended,
            error = signals => Err(error),
        }
    });
    // Whatever still hangs on a socket is resumed by the next start; waiting for it would break the deadline.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Exit::Success,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "autoheal ended");
            Exit::Failure
        }
    }
}

/// The first signal asks for a stop; the second one is the answer to a stop that takes too long.
async fn stop_on_signals(stop: CancellationToken) -> anyhow::Error {
    let signals = signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    let (mut terminate, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => return anyhow::Error::new(error).context("signals cannot be listened for"),
    };
    for round in 0.. {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if round > 0 {
            return anyhow::anyhow!(
                "{name} came again while stopping; ended at once, the next start resumes what was running"
            );
        }
        tracing::info!(signal = name, "stopping");
        stop.cancel();
    }
    unreachable!("the loop above only ends by returning")
}
