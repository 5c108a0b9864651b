//! How outcomes come in.

use super::Drain;
use crate::clock::Micros;
use crate::commit;
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

    /// Waits until then, or until something happens. Receiving loses nothing when it is dropped.
    pub(super) async fn wait(&mut self, until_us: Micros) {
        tokio::select! {
            _ = self.outcomes.recv_many(&mut self.received, commit::MOST) => {}
            () = self.stop.reached(Phase::Drain) => {}
            () = self.clock.sleep_until_us(until_us) => {}
        }
    }
}
