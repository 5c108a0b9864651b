//! What a run looks at while it goes: what others did to the database, whether it is told to stop, how large the log is.

use super::{Drain, RunError};
use crate::clock::{BootTime, Micros, SECOND_US};
use crate::progress::RunEvent;
use crate::store::{Beat, Store};

/// The database is looked at this often for what other processes did.
pub(super) const LOOK_US: Micros = 250_000;

/// A run gives a sign of life this often.
pub(super) const BEAT_US: Micros = 5 * SECOND_US;

/// A write-ahead log of more than this is told of: somebody keeps it from being emptied.
const LARGE_LOG: u64 = 256 << 20;

impl<S: Store> Drain<S> {
    /// Looks, where it is time to, and gives a sign of life, where it is time for that.
    pub(super) async fn looked_and_told_to_stop(&mut self, now_us: Micros) -> Result<bool, RunError> {
        if now_us < self.look_us {
            return Ok(false);
        }
        self.look_us = now_us + LOOK_US;
        let beat = (now_us >= self.beat_us).then(|| Beat { at_us: now_us, boot: BootTime::read() });
        let look = self.context.store.look(self.committer.run, beat.as_ref()).await?;
        if beat.is_some() {
            self.beat_us = now_us + BEAT_US; // only now: who failed to give a sign of life is not to be taken for dead
        }
        if look.changed {
            self.idle_until_us = 0;
            self.fetched = true;
            self.keep_other_limits().await?;
        }
        if look.pause != self.held && !look.stop {
            self.hold(look.pause);
        }
        self.tell_of_waiting(now_us).await?;
        // For people alone: where it cannot be told, the run goes on.
        if let Ok(counts) = self.context.store.counts().await {
            (self.context.on_event)(&RunEvent::Stands { counts: &counts, in_flight: self.in_flight() });
        }
        if self.held || self.waits.as_ref().is_some_and(|wait| wait.until_us > now_us) {
            self.fetched = true; // what is processed again needs no request, so it does not wait for one
        }
        if look.log_bytes > LARGE_LOG && !std::mem::replace(&mut self.log_told, true) {
            (self.context.on_event)(&RunEvent::LogGrows { bytes: look.log_bytes });
        }
        Ok(look.stop)
    }
}
