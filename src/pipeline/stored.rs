//! The way of jobs whose response is stored: a CPU thread takes one after the other. To hand each of them over by itself would
//! cost more than a quick filter takes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::Drain;
use super::desk::Desk;
use super::journey::{Context, Processed, Traveller, work_on};
use super::threads::Worked;
use crate::attempt::Failure;
use crate::claim::{self, Plan};
use crate::clock::Micros;
use crate::commit::{Claim, Outcome, Report, Slot};
use crate::job::Event;
use crate::stop::Phase;
use crate::store::{Lease, Output, Store, Want};

/// A thread goes back to the pool after this long, or a job that comes from there, fresh from the server, or alone, would wait.
const TURN_US: Micros = 5_000;

impl<S: Store> Context<S> {
    /// Has a CPU thread, turn after turn, work on those who stand in line, until nobody does.
    pub(super) async fn serve_the_line(self: Arc<Self>) {
        let limit = self.time_limit();
        loop {
            if self.stop.phase() >= Phase::Drain {
                self.give_the_line_back().await;
            }
            if self.line.is_over() {
                return;
            }
            let desk = Arc::new(Desk::new());
            let ended = tokio::select! {
                biased;
                () = self.stop.reached(Phase::Leave) => None,
                ended = self.turn_of_a_thread(limit, &desk) => Some(ended),
            };
            match ended {
                Some(Worked::Ended(())) => {}
                Some(Worked::TooSlow(begun_us)) => {
                    if let Some((job, ready_us)) = desk.taken() {
                        let late = (Err(self.too_slow()), begun_us, self.clock.now_us());
                        self.report(self.outcome(job, ready_us, late)).await;
                    }
                }
                // Another run has threads.
                Some(Worked::NoThread) => self.give_the_line_back().await,
                // A bug: this panic ends the run. Without it jobs would be left behind as if that had been meant.
                Some(Worked::Broken) => panic!("a CPU thread broke off outside of the processor"),
                None => {
                    let left = self.line.leave().len() + usize::from(desk.taken().is_some());
                    self.abandoned.fetch_add(left, Ordering::Relaxed);
                    return;
                }
            }
        }
    }

    /// Nobody has begun to work on those who wait: they are as if they had not been claimed.
    async fn give_the_line_back(&self) {
        for (job, _) in self.line.leave() {
            self.unsent::<()>(job).await;
        }
    }

    /// Beside others, but not beside a suspect.
    async fn turn_of_a_thread(self: &Arc<Self>, limit: Duration, desk: &Arc<Desk<(Traveller, Micros)>>) -> Worked<()> {
        let _company = self.alone.read().await;
        let context = self.clone();
        self.threads.run_over(limit, desk, move |desk| context.work_a_turn(desk)).await
    }

    /// On a CPU thread: one after the other, each outcome reported as soon as it is there.
    fn work_a_turn(&self, desk: &Desk<(Traveller, Micros)>) {
        let until_us = self.clock.now_us() + TURN_US;
        while self.stop.phase() < Phase::Drain
            && let Some((job, ready_us)) = self.line.next()
        {
            let lease = job.lease.clone();
            let now_us = self.clock.now_us();
            desk.lay((job, ready_us), now_us);
            let Some(response) = &lease.response else { unreachable!("only what is stored stands in line") };
            // Judged when it came, perhaps by another rule.
            let again = lease.standing.was.is_some();
            let refused = again.then(|| self.fetcher.judge_again(&lease.request, response)).flatten();
            let made = refused.map_or_else(|| Ok(work_on(&self.work, &lease, response, self.clock)), Err);
            let Some((job, ready_us)) = desk.done() else { return }; // it took too long, and others go on
            let outcome = match made {
                Ok(processed) => self.outcome(job, ready_us, processed),
                Err(failure) => self.refused(job, failure, now_us),
            };
            // An error means that the committer has failed, and the run with it.
            let _ = self.report.blocking_send(outcome);
            if self.clock.now_us() >= until_us {
                return;
            }
        }
    }

    fn outcome(&self, mut job: Traveller, ready_us: Micros, processed: Processed) -> Outcome {
        let ended_us = processed.2;
        let (event, output) = self.weigh(&mut job, ready_us, processed);
        ended_as(job, event, output, ended_us)
    }

    fn refused(&self, mut job: Traveller, failure: Failure, now_us: Micros) -> Outcome {
        job.measured.started_at_us = Some(now_us);
        ended_as(job, Event::ProcessFailed(failure), None, now_us)
    }
}

impl<S: Store> Drain<S> {
    /// What to claim where nothing is sent.
    pub(super) fn plan_stored(&self, free: usize, taken: usize, now_us: Micros) -> Plan<Claim> {
        if self.idle_until_us > now_us {
            return Plan::Wait(self.idle_until_us);
        }
        let (threads, mean_us) = (self.context.threads.count(), self.committer.capacity.mean_us());
        let slots = claim::stored(free, taken, threads, mean_us, self.committer.mean_bytes);
        match slots {
            0 => Plan::Wait(Micros::MAX),
            _ => Plan::Claim(Claim { want: Want { slots, requests: 0 }, permits_us: Vec::new() }),
        }
    }

    /// Sends these on their way.
    pub(super) fn set_out(&mut self, leases: Vec<Lease>, claimed_us: Micros) {
        let mut stored = Vec::new();
        for lease in leases {
            // cannot fail: a claim takes at most as many jobs as there are free places, and only this task takes places
            let Ok(place) = self.slots.clone().try_acquire_owned() else { unreachable!("more leases than slots") };
            self.context.left.fetch_sub(1, Ordering::Relaxed);
            let slot = Slot { place, room: self.room_for(&lease), alone: None };
            let job = Traveller::new(lease, slot);
            match job.is_stored() {
                true => stored.push(job),
                false => _ = self.journeys.spawn(self.context.clone().journey(job, claimed_us)),
            }
        }
        for _ in 0..self.context.line.join(stored, claimed_us, self.context.threads.count()) {
            self.journeys.spawn(self.context.clone().serve_the_line());
        }
    }

    /// Room for the stored response of a lease, as far as there is any: one that is larger is let through.
    fn room_for(&self, lease: &Lease) -> Option<OwnedSemaphorePermit> {
        let kib = lease.response.as_ref()?.body.len().div_ceil(1024).min(self.stored.available_permits());
        self.stored.clone().try_acquire_many_owned(u32::try_from(kib).ok()?).ok()
    }
}

/// The response is there already, so nothing goes with it.
fn ended_as(job: Traveller, event: Event, output: Option<Output>, at_us: Micros) -> Outcome {
    let Traveller { lease, standing, measured, late_permit, unsaved: response, slot } = job;
    let (job, attempt, packed) = (lease.job, lease.attempt, None);
    Outcome::Ended(
        Report { job, attempt, standing, event, measured, response, packed, output, late_permit, at_us },
        slot,
    )
}
