//! What others have a run do while it goes, and what its limits have it do for long.

use super::{Drain, RunError};
use crate::clock::{Micros, SECOND_US, micros};
use crate::limit::{Limit, Wait};
use crate::progress::RunEvent;
use crate::reason::Reason;
use crate::store::Store;

/// A wait that takes no longer is not worth a word.
const LONG_US: Micros = 5 * SECOND_US;

impl<S: Store> Drain<S> {
    /// Sends nothing more, or goes on. What flies lands, and what is fetched is processed; leases that wait for their permit
    /// are given back.
    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
        self.idle_until_us = 0;
        self.context.dispenser.hold(held);
        (self.context.on_event)(&RunEvent::Held(held));
    }

    /// Takes over the limits that another process has written down.
    pub(super) async fn keep_other_limits(&mut self) -> Result<(), RunError> {
        let (limits, dispenser) = (self.context.store.limits().await?, &self.context.dispenser);
        let names = |limits: &[Limit]| {
            let mut names: Vec<_> = limits.iter().map(|limit| limit.name.clone()).collect();
            names.sort();
            names
        };
        if names(&limits) != names(&dispenser.limits()) {
            dispenser.relimit(&limits);
            if self.sends {
                self.committer.capacity.relimit(&limits);
            }
            self.waits = None;
            (self.context.on_event)(&RunEvent::Relimited { limits: &limits });
            self.tell_what_is_left();
        }
        Ok(())
    }

    /// Tells what is left of long windows, and when more comes.
    pub(super) fn tell_what_is_left(&self) {
        for left in self.context.dispenser.left_of_long() {
            (self.context.on_event)(&RunEvent::Left(&left));
        }
    }

    /// Tells for what nothing is sent for long, once until that changes.
    pub(super) async fn tell_of_waiting(&mut self, now_us: Micros) -> Result<(), RunError> {
        let Some(wait) = self.wait_beyond(LONG_US, now_us).await? else { return Ok(()) };
        // An answer moves the end by less than the spread of the network.
        let told = |told: &Wait| told.limit == wait.limit && (told.until_us - wait.until_us).abs() < SECOND_US;
        if !self.waits.as_ref().is_some_and(told) {
            (self.context.on_event)(&RunEvent::Waits(&wait));
            self.waits = Some(wait);
        }
        Ok(())
    }

    /// Whether a limit or the server has the next request wait longer than this run is to wait.
    pub(super) async fn waits_too_long(&mut self, now_us: Micros) -> Result<Option<Reason>, RunError> {
        // What is fetched needs no request.
        let Some(most) = self.max_wait.filter(|_| !self.fetched) else { return Ok(None) };
        let wait = self.wait_beyond(micros(most), now_us).await?;
        Ok(wait.map(|Wait { until_us, limit }| Reason::Wait { most, until_us, limit }))
    }

    /// The wait for the next request, where it is longer than that and a job waits for it.
    async fn wait_beyond(&self, most_us: Micros, now_us: Micros) -> Result<Option<Wait>, RunError> {
        if !self.sends {
            return Ok(None);
        }
        let wait = self.context.dispenser.wait(now_us).filter(|wait| !self.held && wait.until_us - now_us > most_us);
        let Some(wait) = wait else { return Ok(None) };
        // A job that is to be tried again even later does not wait for the limit.
        let due_us = self.context.store.next_due().await?;
        Ok(due_us.is_some_and(|due_us| due_us < wait.until_us).then_some(wait))
    }
}
