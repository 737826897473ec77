//! `autoheal serve`: the daemon.

use std::io;
use std::num::NonZero;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Exit, Flags};
use crate::app::{self, Start};
use crate::clock::SystemClock;
use crate::telemetry;

/// Loads, runs, reloads on SIGHUP, and stops on SIGTERM or SIGINT; a second one of these ends the process at once.
pub fn run(flags: &Flags) -> Exit {
    let clock = Arc::new(SystemClock);
    telemetry::init_logs(flags.log_level, flags.log_format, clock.clone());
    let (config, origin) = match flags.load_with_origin() {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    raise_open_files();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the async runtime cannot be started");
            return Exit::Failure;
        }
    };
    let stop = CancellationToken::new();
    let hang_up = Arc::clone(&origin.hang_up);
    let start = Start { config, origin, dry_run: flags.dry_run };
    let ended = runtime.block_on(async {
        let signals = obey_signals(stop.clone(), hang_up);
        tokio::select! {
            ended = app::run(start, clock, stop) => ended,
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

/// Takes as many open files as the system allows, as programs in Go do: the usual 1024 are fewer than the connections that
/// are let in, and whoever is turned away then is a container's engine or a mail server.
fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, ?current, ?maximum, "the limit of open files stays as it is");
    }
}

/// Threads that answer requests: one processor is left to the store's writer, which every accepted delivery waits for.
fn workers() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    processors.saturating_sub(1).max(1)
}

/// The first signal to stop asks for a stop; the second one is the answer to a stop that takes too long.
async fn obey_signals(stop: CancellationToken, hang_up: Arc<Notify>) -> anyhow::Error {
    let listen = || -> io::Result<_> {
        Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?))
    };
    let (mut terminate, mut interrupt, mut reload) = match listen() {
        Ok(signals) => signals,
        Err(error) => return anyhow::Error::new(error).context("signals cannot be listened for"),
    };
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = reload.recv() => {
                hang_up.notify_one();
                continue;
            }
        };
        if stop.is_cancelled() {
            return anyhow::anyhow!(
                "{name} came again while stopping; ended at once, the next start resumes what was running"
            );
        }
        tracing::info!(signal = name, "stopping");
        stop.cancel();
    }
}
