//! Stopping, as a value: whoever holds it can ask a run to stop, and the run looks at nothing else.

use std::sync::Arc;

use tokio::sync::watch;

/// How a run is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Go on.
    Go,
    /// Claim nothing more, let what flies land, commit.
    Drain,
    /// Leave; what flies is sent again by the next run, as after a crash.
    Leave,
}

/// A request to stop, shared between a run and those who may end it. Can only be raised.
///
/// ```no_run
/// # async fn until_told(haul: haul::Haul) -> Result<(), Box<dyn std::error::Error>> {
/// use haul::Stop;
///
/// let stop = Stop::new();
/// let run = tokio::spawn(haul.runner().rate("20/s").stop(stop.clone()).run());
/// tokio::signal::ctrl_c().await?;
/// stop.drain(); // what flies lands and is committed; the next run does the rest
/// println!("{} jobs are left", run.await??.left);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<Phase>>);

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Not asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Go)))
    }

    /// Asks the run to claim nothing more and land what flies.
    pub fn drain(&self) {
        self.raise(Phase::Drain);
    }

    /// Asks the run to leave at once.
    pub fn leave(&self) {
        self.raise(Phase::Leave);
    }

    fn raise(&self, to: Phase) {
        self.0.send_if_modified(|phase| to > std::mem::replace(phase, to.max(*phase)));
    }

    /// How far it has gone.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns as soon as the run is asked to stop at least this much.
    pub async fn reached(&self, phase: Phase) {
        // cannot fail: the sender lives as long as `self`
        let _ = self.0.subscribe().wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopping_can_be_raised_but_not_taken_back() {
        let stop = Stop::new();
        let seen = stop.clone();
        stop.leave();
        stop.drain();
        assert_eq!(seen.phase(), Phase::Leave);
        seen.reached(Phase::Drain).await;
    }
}
