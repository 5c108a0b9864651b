//! How a run ends: what flies lands, and is committed.

use std::sync::atomic::Ordering;

use super::{Drain, RunError};
use crate::clock::{Micros, micros};
use crate::commit;
use crate::progress::{RunEvent, Tally};
use crate::reason::Reason;
use crate::stop::Phase;
use crate::store::{RunOutcome, Store};

/// What a run came to.
pub(super) struct Landed {
    pub(super) outcome: RunOutcome,
    pub(super) stopped_because: Option<Reason>,
    pub(super) tally: Tally,
    pub(super) abandoned: usize,
}

impl<S: Store> Drain<S> {
    /// Lets what flies land, for as long as the grace lasts, and commits it.
    pub(super) async fn land(mut self, ended: Result<RunOutcome, RunError>) -> Result<Landed, RunError> {
        let context = self.context.clone();
        context.dispenser.close();
        let until_us = self.clock.now_us() + micros(context.settings.grace());
        if let Some(reason) = self.stopped_because.as_ref().filter(|reason| reason.is_hopeless()) {
            (context.on_event)(&RunEvent::Hopeless(reason));
        }
        if self.in_flight() > 0 && ended.is_ok() {
            (context.on_event)(&RunEvent::Draining { in_flight: self.in_flight(), until_us });
        }
        if ended.is_err() {
            self.stop.leave(); // what flies can no longer be written down
        }
        let landed = self.commit_what_lands(until_us, ended.is_ok()).await;
        self.server.abort();
        let (mut outcome, mut stopped_because) = (ended?, self.stopped_because.take());
        landed?;
        let abandoned = context.abandoned.load(Ordering::Relaxed);
        if stopped_because.is_some() && abandoned == 0 && self.next_due().await?.is_none() {
            // What flew was all there was left.
            (outcome, stopped_because) = (RunOutcome::Drained, None);
        }
        Ok(Landed { outcome, stopped_because, tally: self.committer.tally, abandoned })
    }

    /// Until nothing flies any more. Where the store has failed, outcomes are only taken away.
    async fn commit_what_lands(&mut self, until_us: Micros, commit: bool) -> Result<(), RunError> {
        let mut failed = None;
        loop {
            if !commit || failed.is_some() {
                // With whatever waits to be written: who waits for that would never end.
                self.received.clear();
                self.committer.batch = commit::Batch::default();
            } else if let Err(error) = self.write(until_us).await {
                self.stop.leave();
                failed = Some(error);
            }
            tokio::select! {
                biased;
                _ = self.outcomes.recv_many(&mut self.received, commit::MOST) => {}
                landed = self.journeys.join_next() => match landed {
                    Some(Ok(())) => {}
                    Some(Err(panic)) => failed = Some(panic.into()),
                    None => break,
                },
                () = self.clock.sleep_until_us(until_us), if self.stop.phase() < Phase::Leave => self.stop.leave(),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
