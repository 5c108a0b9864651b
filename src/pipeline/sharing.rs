//! What a run heeds where it is one of many workers: permits that fall due for all of them together, and its own signs of life.

use super::Drain;
use super::journey::Context;
use crate::clock::Micros;
use crate::pace::Sent;
use crate::store::{Lease, Shared, Store};

impl<S: Store> Drain<S> {
    /// Nothing can be sent by a claim before this time, as all permits until then are taken; 0 = it can.
    pub(super) fn next_permit_us(&self) -> Micros {
        self.context.store.shared().map_or(0, Shared::next_permit_us)
    }
}

impl<S: Store> Context<S> {
    /// Waits until the request of this lease may be sent; `None`: not under this permit.
    pub(super) async fn turn_of(&self, lease: &Lease) -> Option<Sent> {
        if lease.due_us > 0 {
            self.clock.sleep_until_us(lease.due_us).await; // at most a moment: permits are not handed out further ahead
        }
        self.permit(lease.permit_us.unwrap_or(Micros::MAX)).await
    }

    /// A permit of this run's own pace; none where it has given no sign of life for so long that others may take it for dead.
    pub(super) async fn permit(&self, void_after_us: Micros) -> Option<Sent> {
        let sent = self.dispenser.permit(void_after_us).await?;
        let now_us = self.clock.now_us();
        match self.store.shared() {
            Some(shared) if now_us > shared.send_until_us() => {
                tracing::warn!("nothing is sent: the database has not heard of this run for long");
                self.dispenser.ended(sent, now_us);
                self.dispenser.unclear(sent);
                None
            }
            _ => Some(sent),
        }
    }

    /// A permit counts from another time than it was written down with: (then, now). Alone, where that is later; with others, who would
    /// wait for it, whenever it is known. What is written down counts for J longer.
    pub(super) fn counts_from(&self, permit_us: Option<Micros>, arrived_us: Micros) -> Option<(Micros, Micros)> {
        let from_us = permit_us?;
        if self.store.shared().is_none() {
            return (arrived_us > from_us).then_some((from_us, arrived_us));
        }
        let jitter_us = self.dispenser.limits().iter().map(|limit| limit.jitter_us).min().unwrap_or(0);
        Some((from_us, arrived_us - jitter_us))
    }
}
