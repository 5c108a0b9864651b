//! A store that cannot write for now: nothing new is claimed, what has come in is kept, and it is tried again for as long as
//! the grace lasts.

use super::{Drain, RunError};
use crate::clock::{Micros, SECOND_US, micros};
use crate::progress::RunEvent;
use crate::stop::Phase;
use crate::store::{RunOutcome, Stall, Store, StoreError};

/// Between two tries.
pub(super) const PAUSE_US: Micros = SECOND_US / 2;

/// A stall without a failure for so long has passed, though no turn has said so.
const OVER_US: Micros = 60 * SECOND_US;

impl<S: Store> Drain<S> {
    /// Commits and claims until nothing is left, or it is stopped; waits where the store cannot write for now.
    ///
    /// Nothing is lost meanwhile, and little is held: every outcome has one of the places there are, and nothing is sent that
    /// is not claimed.
    pub(super) async fn drain(&mut self) -> Result<RunOutcome, RunError> {
        loop {
            match self.claim_until_done().await {
                Err(RunError::Store(error @ StoreError::Stalled { .. })) => {
                    let grace_us = micros(self.context.settings.grace());
                    self.wait_out(error, Phase::Drain, |since_us| since_us.saturating_add(grace_us)).await?;
                }
                ended => return ended,
            }
        }
    }

    /// Commits all that has come in; where the store cannot write for now, tries again until then.
    pub(super) async fn write(&mut self, until_us: Micros) -> Result<(), RunError> {
        while !self.received.is_empty() || self.committer.is_behind() {
            match self.turn(None).await {
                Err(RunError::Store(error @ StoreError::Stalled { .. })) => {
                    self.wait_out(error, Phase::Leave, |_| until_us).await?;
                    if self.stop.phase() == Phase::Leave {
                        return self.turn(None).await.map(drop);
                    }
                }
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Waits a little, or until the run is asked to stop this much. The error comes back where it has lasted too long.
    async fn wait_out(
        &mut self,
        error: StoreError,
        phase: Phase,
        until: impl FnOnce(Micros) -> Micros,
    ) -> Result<(), RunError> {
        let now_us = self.clock.now_us();
        // Only a turn ends a stall, not the small write of a sign of life; but one that nothing was heard of for long is over.
        let going_on = self.stalled_us.filter(|(_, last_us)| now_us - last_us < OVER_US);
        let since_us = going_on.map_or(now_us, |(since_us, _)| since_us);
        self.stalled_us = Some((since_us, now_us));
        let until_us = until(since_us);
        let StoreError::Stalled { stall, .. } = &error else { return Err(error.into()) };
        if now_us >= until_us {
            return Err(error.into());
        }
        self.tell(stall, since_us, until_us);
        tokio::select! {
            () = self.clock.sleep_until_us(until_us.min(now_us + PAUSE_US)) => {}
            () = self.stop.reached(phase) => {}
        }
        Ok(())
    }

    fn tell(&self, stall: &Stall, since_us: Micros, until_us: Micros) {
        let in_flight = self.in_flight();
        (self.context.on_event)(&RunEvent::Stalled { stall, since_us, until_us, in_flight });
    }

    /// The store has written.
    pub(super) fn has_written(&mut self) {
        if let Some((since_us, _)) = self.stalled_us.take() {
            (self.context.on_event)(&RunEvent::GoesOn { after_us: self.clock.now_us() - since_us });
        }
    }
}
