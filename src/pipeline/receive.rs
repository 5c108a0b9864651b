//! How outcomes come in.

use super::Drain;
use crate::claim;
use crate::clock::Micros;
use crate::commit::{self, Outcome};
use crate::stop::Phase;
use crate::store::Store;

impl<S: Store> Drain<S> {
    /// Takes what has come in. Whatever is ready to run goes first, for as long as that brings more: the larger a
    /// transaction, the less it costs a job. Where nothing else is ready this takes no time.
    pub(super) async fn receive(&mut self) {
        let mut known = 0;
        loop {
            while self.received.len() < commit::MOST
                && let Ok(outcome) = self.outcomes.try_recv()
            {
                self.received.push(outcome);
            }
            if self.received.len() == known {
                return;
            }
            known = self.received.len();
            tokio::task::yield_now().await;
        }
    }

    /// Until when outcomes may gather before they are written: `None` = they are written now. Nobody waits for those of stored
    /// responses, as long as others stand in line; and a transaction for each would take from the processor what it costs.
    pub(super) fn gathers_until(&self, now_us: Micros) -> Option<Micros> {
        let from_the_line = |outcome: &Outcome| match outcome {
            Outcome::Ended(report, slot) => report.measured.rate_wait_us.is_none() && slot.alone.is_none(),
            _ => false,
        };
        let may_send = self.sends && self.slots.available_permits() > 0 && self.idle_until_us <= now_us;
        if may_send || self.committer.is_behind() || !self.received.iter().all(from_the_line) {
            return None;
        }
        let (waiting, threads) = (self.context.line.waiting(), self.context.threads.count());
        claim::gathers_until(self.turned_us, waiting, threads, self.committer.capacity.mean_us(), now_us)
    }

    /// Waits until then. Nobody is woken by an outcome meanwhile: there is room for all of them.
    pub(super) async fn gather(&self, until_us: Micros) {
        tokio::select! {
            () = self.stop.reached(Phase::Drain) => {}
            () = self.clock.sleep_until_us(until_us) => {}
        }
    }

    /// Waits until then, or until something happens. Receiving loses nothing when it is dropped.
    pub(super) async fn wait(&mut self, until_us: Micros) {
        tokio::select! {
            _ = self.outcomes.recv_many(&mut self.received, commit::MOST) => {}
            () = self.stop.reached(Phase::Drain) => {}
            () = self.clock.sleep_until_us(until_us) => {}
        }
    }
}
