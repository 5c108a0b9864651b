//! The one place that writes outcomes: a group commit at a time, the next as soon as the last is done.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedRwLockWriteGuard, OwnedSemaphorePermit, oneshot};

use crate::attempt::Measured;
use crate::clock::{Clock, Micros};
use crate::fail_point::{Point, pass};
use crate::hope::Hope;
use crate::job::{self, Event, RetryRules, Standing};
use crate::limit::capacity::Capacity;
use crate::minutes::Minutes;
use crate::progress::{OnEvent, RunEvent, Tally};
use crate::reason::Reason;
use crate::response::Response;
use crate::settings::KeepResponses;
use crate::store::{Committed, Further, Lease, Output, Spent, Store, StoreError, Want, WriteBack};

/// Most outcomes of one commit.
pub const MOST: usize = 1_000;

/// A place among the jobs between claim and commit, and the memory of its response. Dropped after the commit, never before:
/// this is what bounds the requests that a crash repeats.
#[derive(Debug)]
pub struct Slot {
    /// One of as many as the concurrency.
    pub place: OwnedSemaphorePermit,
    /// Room in the byte budget.
    pub room: Option<OwnedSemaphorePermit>,
    /// Of a suspect that was processed alone: until its outcome is durable nobody else is processed, or the next to die
    /// would leave both accused.
    pub alone: Option<OwnedRwLockWriteGuard<()>>,
}

/// What happened to a lease.
#[derive(Debug)]
pub enum Outcome {
    /// Its response is to be stored; the lease is kept, processing goes on.
    Fetched(Report, Option<oneshot::Sender<()>>),
    /// Its claim has ended.
    Ended(Report, Slot),
    /// It follows a redirect, once the permit for that is durable, and it may: who asks is told.
    Follows(Further, oneshot::Sender<Spent>),
    /// Nothing was sent; lease and permit are given back.
    Unsent {
        /// The job.
        job: i64,
        /// The claim.
        attempt: u32,
        /// When its permit was to be void, if it had one.
        permit_us: Option<Micros>,
        /// Its place.
        slot: Slot,
    },
    /// No outcome of its own, but an end of all hope, told by a response on its way.
    Hopeless(Reason),
}

/// What is to be written of a lease.
#[derive(Debug)]
pub struct Report {
    /// The job.
    pub job: i64,
    /// The claim.
    pub attempt: u32,
    /// Where the job stood before.
    pub standing: Standing,
    /// What happened.
    pub event: Event,
    /// What it measured.
    pub measured: Measured,
    /// A response to store.
    pub response: Option<Arc<Response>>,
    /// Its body, packed.
    pub packed: Option<Bytes>,
    /// A result to store.
    pub output: Option<Output>,
    /// Its permit counts from a later time than it was written down with.
    pub late_permit: Option<(Micros, Micros)>,
    /// When it happened.
    pub at_us: Micros,
}

/// Writes outcomes for one run, and counts them.
pub struct Committer<S> {
    /// Where to.
    pub store: Arc<S>,
    /// The run whose leases these are.
    pub run: i64,
    /// What decides between another try and giving up.
    pub rules: RetryRules,
    /// Of which finished jobs the response stays.
    pub keep: KeepResponses,
    /// Whom to tell.
    pub on_event: Arc<OnEvent>,
    /// What was done so far.
    pub tally: Tally,
    /// Whether there is any point in going on.
    pub hope: Hope,
    /// Whether the CPU can keep up.
    pub capacity: Capacity,
    /// What a result takes in memory, as a moving mean.
    pub mean_bytes: f64,
    /// Tells how long it takes to write outcomes down.
    pub clock: Clock,
    /// What could not be written yet.
    pub batch: Batch,
}

/// As of about so many results their mean size is.
const OUTPUTS: f64 = 16.0;

/// What to claim in the same transaction.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// How much.
    pub want: Want,
    /// When the permits of the requests are void.
    pub permits_us: Vec<Micros>,
}

/// One transaction's worth.
#[derive(Default)]
pub struct Batch {
    writes: Vec<WriteBack>,
    ended: Vec<(usize, Event)>,
    /// Those among them that were processed again: how that ends says nothing of what a request would come to.
    again: BTreeSet<usize>,
    ended_us: Vec<Micros>,
    minutes: Minutes,
    unsent: Vec<(i64, u32)>,
    permits: Vec<Micros>,
    further: Vec<Further>,
    written: Vec<oneshot::Sender<Spent>>,
    stored: Vec<oneshot::Sender<()>>,
    slots: Vec<Slot>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        // A place waits for what frees it, and every other outcome is a write or a permit.
        self.writes.is_empty() && self.further.is_empty() && self.slots.is_empty()
    }

    /// Tells what the write at this place says about the outcomes to come.
    fn tell(&self, hope: &mut Hope, at: usize, event: &Event) {
        let WriteBack { next, measured, .. } = &self.writes[at];
        if self.again.contains(&at) {
            return;
        }
        hope.add(event, next.standing.state, measured.status_code);
    }

    /// It is at these moments, where it holds responses of jobs that go on, and where it holds ends.
    fn pass(&self, fetched: Point, ended: Point) {
        if self.writes.len() > self.ended.len() {
            pass(fetched);
        }
        if !self.ended.is_empty() {
            pass(ended);
        }
    }
}

impl Outcome {
    /// It gives its place back once it is durable.
    #[must_use]
    pub fn frees(&self) -> bool {
        matches!(self, Self::Ended(..) | Self::Unsent { .. })
    }
}

impl<S: Store> Committer<S> {
    /// A turn could not be written, and the next one begins with it.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Makes these outcomes durable, then frees their places; and claims, where told to, in the same transaction, unless these
    /// outcomes end all hope. What a turn before could not write is written alone, with no claim: the outcomes that have come
    /// in since are left to the next one.
    ///
    /// # Errors
    /// Where the store fails. After [`StoreError::Stalled`] the next turn tries the same again; after any other error the jobs
    /// of that batch stay leased, and go on at the next run.
    pub async fn turn(
        &mut self,
        received: &mut Vec<Outcome>,
        claim: Option<&Claim>,
        now_us: Micros,
    ) -> Result<Vec<Lease>, StoreError> {
        let mut claim = claim.filter(|_| !self.is_behind());
        if !self.is_behind() {
            self.batch = self.batch(received.drain(..), now_us);
        }
        let batch = &mut self.batch;
        let mut foreseen = self.hope.clone();
        batch.ended.iter().for_each(|(at, event)| batch.tell(&mut foreseen, *at, event));
        claim = claim.filter(|_| foreseen.lost().is_none());
        if !batch.further.is_empty() {
            let spent = self.store.spend(self.run, &batch.further).await?;
            batch.further.clear();
            pass(Point::AfterSpend);
            for (told, spent) in batch.written.drain(..).zip(spent) {
                // Who asked may have left with the run.
                let _ = told.send(spent);
            }
        }
        if !batch.unsent.is_empty() {
            pass(Point::BeforeGiveBack);
            self.store.release(self.run, &batch.unsent, &batch.permits).await?;
            pass(Point::AfterGiveBack);
            self.tally.released += batch.unsent.len() as u64;
            batch.unsent.clear();
        }
        let (store, writes, minutes) = (&self.store, &batch.writes, &batch.minutes);
        batch.pass(Point::BeforeFetchCommit, Point::BeforeResultCommit);
        let (committed, leases) = match claim {
            Some(Claim { want, permits_us }) if writes.is_empty() => {
                (Committed::default(), store.claim(self.run, want, permits_us, now_us).await?)
            }
            Some(Claim { want, permits_us }) => {
                store.exchange(self.run, writes, minutes, want, permits_us, now_us).await?
            }
            None if writes.is_empty() => (Committed::default(), Vec::new()),
            None => (store.commit(self.run, writes, minutes, now_us).await?, Vec::new()),
        };
        let batch = std::mem::take(&mut self.batch);
        batch.pass(Point::AfterFetchCommit, Point::AfterResultCommit);
        self.tally.stale += committed.stale.len() as u64;
        for (at, event) in batch.ended.iter().filter(|(at, _)| !committed.stale.contains(at)) {
            self.tally.add(event, &batch.writes[*at].next, &batch.writes[*at].measured);
            batch.tell(&mut self.hope, *at, event);
            self.keep_up(batch.writes[*at].measured.process_us);
            if let Some(output) = &batch.writes[*at].output {
                self.mean_bytes += (output.json.len() as f64 - self.mean_bytes) / OUTPUTS;
            }
        }
        let durable_us = self.clock.now_us();
        batch.ended_us.iter().for_each(|at_us| self.tally.others.count("commit", durable_us - at_us));
        for told in batch.stored {
            // Who asked may have left with the run.
            let _ = told.send(());
        }
        drop(batch.slots);
        if !batch.ended.is_empty() {
            (self.on_event)(&RunEvent::Committed(&self.tally));
        }
        Ok(leases)
    }

    /// Says where processing has come to need more than there is, or no longer does.
    fn keep_up(&mut self, process_us: Option<Micros>) {
        let Some(change) = process_us.and_then(|process_us| self.capacity.add(process_us)) else { return };
        match change {
            Some(shortage) => tracing::info!(%shortage, "the CPU cannot keep up"),
            None => tracing::info!("the CPU keeps up again"),
        }
        (self.on_event)(&RunEvent::Processing(change));
    }

    /// A response and a result of the same claim are written once, straight to the final state.
    fn batch(&mut self, outcomes: impl Iterator<Item = Outcome>, now_us: Micros) -> Batch {
        let mut batch = Batch::default();
        let mut fetched = HashMap::new();
        for outcome in outcomes {
            match outcome {
                Outcome::Fetched(report, told) => {
                    fetched.insert(report.job, batch.writes.len());
                    batch.stored.extend(told);
                    batch.writes.push(self.write_back(report, now_us).0);
                }
                Outcome::Ended(report, slot) => {
                    batch.slots.push(slot);
                    batch.ended_us.push(report.at_us);
                    let (job, again) = (report.job, report.standing.was.is_some());
                    let (mut write, event) = self.write_back(report, now_us);
                    let failed = matches!(event, Event::FetchFailed(_) | Event::ProcessFailed(_));
                    batch.minutes.add(&write.measured, failed, now_us);
                    let at = match fetched.remove(&job) {
                        Some(at) => {
                            if write.response.is_none() && !write.drops_response {
                                write.response = batch.writes[at].response.take();
                                write.packed = batch.writes[at].packed.take();
                            }
                            write.late_permit = write.late_permit.or(batch.writes[at].late_permit);
                            batch.writes[at] = write;
                            at
                        }
                        None => {
                            batch.writes.push(write);
                            batch.writes.len() - 1
                        }
                    };
                    if again {
                        batch.again.insert(at);
                    }
                    batch.ended.push((at, event));
                }
                Outcome::Follows(further, told) => {
                    batch.further.push(further);
                    batch.written.push(told);
                }
                Outcome::Unsent { job, attempt, permit_us, slot } => {
                    batch.unsent.push((job, attempt));
                    batch.permits.extend(permit_us);
                    batch.slots.push(slot);
                }
                Outcome::Hopeless(reason) => self.hope.give_up(reason),
            }
        }
        batch
    }

    fn write_back(&self, report: Report, now_us: Micros) -> (WriteBack, Event) {
        let Report { job, attempt, standing, event, measured, response, packed, output, late_permit, at_us: _ } =
            report;
        let next = job::next(standing, &event, &self.rules, job, attempt, now_us);
        // What was kept after an earlier processing stays after another one: only a refetch can bring it back.
        let drops_response = standing.was.is_none() && job::drops_response(self.keep, &next);
        // What is not to stay need not be written first.
        let (response, packed) = if drops_response { (None, None) } else { (response, packed) };
        (WriteBack { job, attempt, next, measured, response, packed, drops_response, output, late_permit }, event)
    }
}
