//! Signals, turned into a value that a run looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use haul::stop::{Phase, Stop};
use tokio::signal::unix::{SignalKind, signal};

/// The first signal seen, if any; 0 = none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<AtomicU8>);

impl Seen {
    /// The number of the first signal.
    pub(crate) fn signal(&self) -> Option<u8> {
        Some(self.0.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }
}

/// From now on the first SIGINT, SIGTERM or SIGHUP lets the run land, the second makes it leave.
pub(crate) fn watch(stop: Stop) -> std::io::Result<Seen> {
    let seen = Seen::default();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let first = seen.0.clone();
    tokio::spawn(async move {
        loop {
            let number = tokio::select! {
                _ = interrupt.recv() => 2,
                _ = terminate.recv() => 15,
                _ = hangup.recv() => 1,
            };
            let _ = first.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
            match stop.phase() {
                Phase::Go => stop.drain(),
                Phase::Drain | Phase::Leave => stop.leave(),
            }
        }
    });
    Ok(seen)
}
