//! One job's way from its lease to its outcome.

use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{RwLock, mpsc, oneshot};

use super::line::Line;
use super::nulls::Nulls;
use super::stall;
use super::threads::{Threads, Worked};
use crate::attempt::{ErrorType, Failure, Measured, Verdict};
use crate::claim::HORIZON_US;
use crate::clock::{Clock, Micros};
use crate::commit::{Outcome, Report, Slot};
use crate::fail_point::{Point, pass};
use crate::fetch::{Fetched, Fetcher, Outgoing, Unfit};
use crate::job::{Event, Standing, State};
use crate::pace::{Dispenser, Sent, void_after};
use crate::process::{Rule, Work};
use crate::progress::OnEvent;
use crate::reason::Reason;
use crate::response::Response;
use crate::settings::{KeepResponses, Settings};
use crate::stop::{Phase, Stop};
use crate::store::{self, Lease, Output, Spent, Store, StoreError};

/// What every journey of a run shares.
pub(super) struct Context<S> {
    pub(super) store: Arc<S>,
    pub(super) run: i64,
    pub(super) fetcher: Fetcher,
    pub(super) threads: Threads,
    pub(super) settings: Arc<Settings>,
    pub(super) work: Work,
    /// A response that meets it ends the run.
    pub(super) stop_if: Option<Rule>,
    pub(super) dispenser: Arc<Dispenser>,
    /// Read while a job is processed; written by a suspect, which is thereby alone.
    pub(super) alone: Arc<RwLock<()>>,
    pub(super) report: mpsc::Sender<Outcome>,
    pub(super) stop: Stop,
    pub(super) clock: Clock,
    pub(super) on_event: Arc<OnEvent>,
    pub(super) database_id: String,
    /// Until when a pause of the limit is written down, or is being written.
    pub(super) paused_us: AtomicI64,
    /// Jobs left in flight because the run left.
    pub(super) abandoned: AtomicUsize,
    /// Jobs that may still begin.
    pub(super) left: AtomicU64,
    /// Why a secret cannot be had, of the first request that named such a one: the run cannot go on then.
    pub(super) missing: Arc<OnceLock<String>>,
    pub(super) nulls: Nulls,
    /// Stored responses that wait for a CPU thread.
    pub(super) line: Line,
}

impl<S: Store> Context<S> {
    /// Takes a lease to its outcome. Ends without one where the run leaves: the lease is then recovered by the next.
    pub(super) async fn journey(self: Arc<Self>, job: Traveller, claimed_us: Micros) {
        let arrived = match job.lease.response.clone() {
            Some(stored) => Some((job, stored)),
            None => self.fetch(job, claimed_us).await,
        };
        if let Some((job, response)) = arrived {
            self.process(job, response).await;
        }
    }

    /// Waits for its moment, sends the request, and reports what came back; a success goes on to be processed.
    async fn fetch(&self, mut job: Traveller, claimed_us: Micros) -> Option<(Traveller, Arc<Response>)> {
        let outgoing = match self.prepare(&job.lease) {
            Err(Unfit::Secret(why)) => {
                let _ = self.missing.set(why); // one reason is enough
                return self.unsent(job).await;
            }
            Err(Unfit::Request(failure)) => Err(failure),
            Ok(outgoing) => Ok(outgoing),
        };
        let Some(sent) = self.turn_of(&job.lease).await else {
            return self.unsent(job).await;
        };
        pass(Point::BeforeSend);
        let (fetched, sent) = match self.chain(&mut job, outgoing, sent).await {
            Chain::Landed(fetched, sent) => (fetched, sent),
            Chain::Stopped(event) => {
                self.end(job, event, None, None).await;
                return None;
            }
            Chain::Left => return None,
        };
        let Fetched { measured, response, failure, room, allowances, .. } = fetched;
        let rate_wait_us = measured.started_at_us.map(|started_us| started_us - claimed_us);
        job.measured = Measured { rate_wait_us, ..measured };
        job.slot.room = room;
        match (failure, response) {
            (None, Some(response)) => {
                self.dispenser.well(sent, allowances);
                if self.work.is_none() && self.stop_if.is_none() {
                    // Nothing of the user's runs between the two: response and result are reported together.
                    job.unsaved = Some(response.clone());
                } else {
                    self.report_fetched(&mut job, response.clone()).await?;
                }
                let Standing { generation, .. } = job.standing;
                job.standing = Standing { state: State::Fetched, generation: generation + 1, ..job.standing };
                self.stop_if_met(&job.lease, &response).await?;
                Some((job, response))
            }
            (failure, response) => {
                let mut failure = failure.unwrap_or_else(no_answer);
                self.heed(&mut failure, sent, allowances).await;
                if let Some(response) = &response {
                    self.stop_if_met(&job.lease, response).await?;
                }
                self.end(job, Event::FetchFailed(failure), response, None).await;
                None
            }
        }
    }

    /// Gives a lease back under which nothing was sent.
    pub(super) async fn unsent<T>(&self, job: Traveller) -> Option<T> {
        let Lease { job: id, attempt, permit_us, .. } = *job.lease;
        self.left.fetch_add(1, Ordering::Relaxed); // it has not begun after all
        self.report(Outcome::Unsent { job: id, attempt, permit_us, slot: job.slot }).await;
        None
    }

    fn prepare(&self, lease: &Lease) -> Result<Outgoing, Unfit> {
        let repeatable = !matches!(lease.request.method.as_str(), "POST" | "PATCH");
        let key = (!repeatable).then(|| idempotency_key(&self.database_id, lease));
        let outgoing = self.fetcher.prepare(&lease.request, key.as_deref())?;
        Ok(outgoing.after(lease.standing.failures))
    }

    /// Sends the request, and again wherever redirects lead, each time under a permit of its own.
    async fn chain(&self, job: &mut Traveller, outgoing: Result<Outgoing, Failure>, mut sent: Sent) -> Chain {
        let mut outgoing = match outgoing {
            Ok(outgoing) => outgoing,
            Err(failure) => {
                let now_us = self.clock.now_us();
                self.dispenser.ended(sent, now_us);
                let measured = Measured { started_at_us: Some(now_us), ..Measured::default() };
                return Chain::Landed(Fetched { measured, failure: Some(failure), ..Fetched::default() }, sent);
            }
        };
        let mut permit_us = job.lease.permit_us;
        loop {
            let Some((fetched, counts_from_us)) = self.unless_left(self.request(&mut outgoing, sent)).await else {
                return Chain::Left;
            };
            job.late_permit = self.counts_from(permit_us, counts_from_us);
            if !fetched.redirected {
                return Chain::Landed(fetched, sent);
            }
            self.dispenser.well(sent, Vec::new()); // before the next permit, which a probe would wait for
            (sent, permit_us) = match self.further(job).await {
                Further::Sent(sent, permit_us) => (sent, permit_us),
                Further::Stopped => {
                    let again = self.fetcher.may_repeat(&outgoing);
                    return Chain::Stopped(if again { Event::Interrupted } else { Event::Lost });
                }
                Further::Left => return Chain::Left,
            };
        }
    }

    /// Sends the request once; also gives the time from which its permit counts.
    async fn request(&self, outgoing: &mut Outgoing, sent: Sent) -> (Fetched, Micros) {
        let opening = self.dispenser.clone();
        let opened = Arc::new(move || opening.cold(sent));
        let mut counts_from_us = 0;
        let answered = |now_us| counts_from_us = self.dispenser.ended(sent, now_us);
        // Boxed: it is by far the largest part of a journey, which would be copied whole wherever it is handed over.
        let fetched = Box::pin(self.fetcher.send(outgoing, opened, answered)).await;
        (fetched, counts_from_us)
    }

    /// Takes a permit for one more request under the same lease, written down before it is used like the first.
    async fn further(&self, job: &mut Traveller) -> Further {
        loop {
            let Some(due_us) = self.unless_left(self.dispenser.follow(HORIZON_US)).await else { return Further::Left };
            let Some(due_us) = due_us else { return Further::Stopped };
            let permit_us = void_after(due_us);
            if permit_us == Micros::MAX {
                // No limit holds. Where one does by now, or nothing is sent for a while, it waits for that.
                match self.dispenser.permit(permit_us).await {
                    Some(sent) => return Further::Sent(sent, None),
                    None => continue,
                }
            }
            let (told, written) = oneshot::channel();
            let Lease { job: id, attempt, .. } = *job.lease;
            let further = store::Further { job: id, attempt, permit_us, late_permit: job.late_permit.take() };
            self.report(Outcome::Follows(further, told)).await;
            let permit_us = match self.unless_left(written).await {
                Some(Ok(Spent::Written)) => permit_us,
                Some(Ok(Spent::At(due_us, permit_us))) => {
                    self.clock.sleep_until_us(due_us).await; // a moment
                    permit_us
                }
                Some(Ok(Spent::Early)) => {
                    self.dispenser.forgo();
                    self.clock.sleep_until_us(self.clock.now_us() + HORIZON_US).await;
                    continue;
                }
                None | Some(Ok(Spent::Stale) | Err(_)) => return Further::Left, // the run left, or the lease is gone, or the committer
            };
            if let Some(sent) = self.permit(permit_us).await {
                return Further::Sent(sent, Some(permit_us));
            }
            // Void before it could be used. One that is not given back counts for nothing, which is safe.
            if let Err(error) = self.store.release(self.run, &[], &[permit_us]).await {
                tracing::warn!(%error, "an unused permit is not given back");
            }
        }
    }

    /// Reports a response under the lease that is kept. A suspect waits until it is durable, and is accused.
    async fn report_fetched(&self, job: &mut Traveller, response: Arc<Response>) -> Option<()> {
        let (told, durable) = if job.lease.suspect { Some(oneshot::channel()).unzip() } else { (None, None) };
        let report = Report {
            job: job.lease.job,
            attempt: job.lease.attempt,
            standing: job.standing,
            event: Event::Fetched,
            measured: job.measured.clone(),
            packed: self.packed(&response).await?,
            response: Some(response),
            output: None,
            late_permit: job.late_permit.take(),
            at_us: self.clock.now_us(),
        };
        self.report(Outcome::Fetched(report, told)).await;
        if let Some(durable) = durable {
            self.unless_left(durable).await?.ok()?;
        }
        Some(())
    }

    /// Asks on a CPU thread whether this answer is to end the run. `None`: the run left first.
    async fn stop_if_met(&self, lease: &Arc<Lease>, response: &Arc<Response>) -> Option<()> {
        let Some(rule) = &self.stop_if else { return Some(()) };
        let (asked, lease, response) = (rule.clone(), lease.clone(), response.clone());
        let (key, status_code) = (lease.key.clone(), response.status_code);
        let limit = self.settings.process_timeout;
        let answer = self.threads.run(limit, move || asked.is_met(&response, &lease.seen));
        let answer = self.unless_left(answer).await?;
        if let Worked::TooSlow(_) = answer {
            tracing::warn!(key, "a rule comes to no end on the response to this job, which counts as not met");
        }
        // Whoever panics or comes to no end says nothing, which is no yes.
        if let Worked::Ended(true) = answer {
            let rule = rule.setting().to_owned();
            self.report(Outcome::Hopeless(Reason::StopIf { key, status_code, rule })).await;
        }
        Some(())
    }

    /// Makes the result and reports it.
    async fn process(&self, mut job: Traveller, response: Arc<Response>) {
        let ready_us = self.clock.now_us();
        // Judged when it came, perhaps by another rule.
        let again = job.lease.standing.was.is_some();
        if let Some(failure) = again.then(|| self.fetcher.judge_again(&job.lease.request, &response)).flatten() {
            job.measured.started_at_us = Some(ready_us);
            return self.end(job, Event::ProcessFailed(failure), None, None).await;
        }
        let (output, begun_us, ended_us) = match self.processed(&mut job, response).await {
            Some(Worked::Ended(processed)) => processed,
            Some(Worked::TooSlow(begun_us)) => (Err(self.too_slow()), begun_us, self.clock.now_us()),
            // That is a bug, and this panic ends the run: without it the job would be left behind, and the run end as if that
            // had been meant.
            Some(Worked::Broken) => panic!("a CPU thread broke off outside of the processor"),
            ended => {
                let no_thread = matches!(ended, Some(Worked::NoThread));
                if no_thread || job.standing.crashes > job.lease.standing.crashes {
                    // It did not kill the process: nobody waits for it any more. The accusation is taken back.
                    job.standing.crashes = job.lease.standing.crashes;
                    self.end(job, Event::Interrupted, None, None).await;
                }
                return;
            }
        };
        let (event, output) = self.weigh(&mut job, ready_us, (output, begun_us, ended_us));
        self.end(job, event, None, output).await;
    }

    /// What a processing came to, and how long it took.
    pub(super) fn weigh(
        &self,
        job: &mut Traveller,
        ready_us: Micros,
        (output, begun_us, ended_us): Processed,
    ) -> (Event, Option<Output>) {
        let measured = &mut job.measured;
        measured.queue_us = Some(begun_us - ready_us);
        measured.process_us = Some(ended_us - begun_us);
        if measured.fetch_us.is_some() {
            measured.latency_us = measured.started_at_us.map(|started_us| ended_us - started_us);
            let within = |sla| measured.latency_us.map(|latency_us| latency_us <= crate::clock::micros(sla));
            measured.within_sla = self.settings.sla.and_then(within);
        } else {
            measured.started_at_us = Some(begun_us);
        }
        match output {
            Ok(json) => {
                self.nulls.add(&json);
                (Event::Processed, Some(Output { json, processor: self.work.version().clone() }))
            }
            Err(failure) => {
                // What a processor says may quote a response, and that may hold what was sent.
                let message = self.fetcher.hide(&job.lease.request, failure.message);
                (Event::ProcessFailed(Failure { message, ..failure }), None)
            }
        }
    }

    /// The body, packed on a CPU thread, where that is wanted and helps. `None`: the run left first.
    async fn packed(&self, response: &Arc<Response>) -> Option<Option<Bytes>> {
        if !self.settings.compress || self.settings.keep_responses == KeepResponses::None {
            return Some(None);
        }
        let (told, done) = oneshot::channel();
        let response = response.clone();
        self.threads.spawn(move || {
            // Nobody listens any more where the run has left.
            let _ = told.send(store::packing::pack(&response.body).map(Bytes::from));
        });
        // Whoever breaks off packs nothing.
        Some(self.unless_left(done).await?.unwrap_or_default())
    }

    /// Runs the processor on a CPU thread, beside others, or alone where the job is a suspect. `None`: the run left first.
    async fn processed(&self, job: &mut Traveller, response: Arc<Response>) -> Option<Worked<Processed>> {
        if self.work.is_none() {
            // To read a body as JSON costs less than to hand it to another thread.
            return Some(Worked::Ended(work_on(&self.work, &job.lease, &response, self.clock)));
        }
        // Given back with the outcome, not by the thread: a suspect would wait for ever for one that never ends.
        let mut _company = None;
        if job.lease.suspect {
            job.slot.alone = Some(self.unless_left(self.alone.clone().write_owned()).await?);
            self.accuse(job).await?;
        } else {
            _company = Some(self.unless_left(self.alone.clone().read_owned()).await?);
        }
        let (work, lease, clock) = (self.work.clone(), job.lease.clone(), self.clock);
        self.unless_left(self.threads.run(self.time_limit(), move || work_on(&work, &lease, &response, clock))).await
    }

    /// For one processing.
    pub(super) fn time_limit(&self) -> Duration {
        let limit = self.settings.process_timeout;
        // A program is killed in time, and says so itself; but a rule before it may come to no end.
        if self.work.keeps_time() { limit.saturating_mul(2) + Duration::from_secs(1) } else { limit }
    }

    pub(super) fn too_slow(&self) -> Failure {
        let limit = humantime::format_duration(self.settings.process_timeout);
        let message = format!(
            "no result within {limit} (--process-timeout); it cannot be stopped, so its CPU thread is lost to this run"
        );
        Failure::new(ErrorType::PROCESS_TIMEOUT, Verdict::Permanent, message)
    }

    /// Notes durably that a suspect is about to be processed. `None`: it must not be, by this run.
    async fn accuse(&self, job: &mut Traveller) -> Option<()> {
        loop {
            match self.store.accuse(self.run, job.lease.job, job.lease.attempt).await {
                Ok(true) => {
                    pass(Point::Accused);
                    job.standing.crashes += 1;
                    return Some(());
                }
                Ok(false) => return None, // the lease is gone, and whoever has it now processes the job
                // The committer meets the same, tells of it, and ends the run where it lasts too long.
                Err(StoreError::Stalled { .. }) => {
                    let again_us = self.clock.now_us() + stall::PAUSE_US;
                    self.unless_left(self.clock.sleep_until_us(again_us)).await?;
                }
                Err(error) => {
                    tracing::error!(%error, job = job.lease.job, "a suspect is left to the next run");
                    return None;
                }
            }
        }
    }

    async fn end(&self, job: Traveller, event: Event, response: Option<Arc<Response>>, output: Option<Output>) {
        let Traveller { lease, standing, measured, late_permit, unsaved, slot } = job;
        let at_us = self.clock.now_us();
        let response = response.or(unsaved);
        let packed = match &response {
            Some(response) => self.packed(response).await.unwrap_or_default(),
            None => None,
        };
        let (job, attempt) = (lease.job, lease.attempt);
        let report = Report { job, attempt, standing, event, measured, response, packed, output, late_permit, at_us };
        self.report(Outcome::Ended(report, slot)).await;
    }

    /// An error means that the committer has failed, and the run with it: the lease is left to the next one.
    pub(super) async fn report(&self, outcome: Outcome) {
        let _ = self.report.send(outcome).await;
    }

    /// `None` where the run leaves first. Never around a future of the store: those must not be dropped half-way.
    async fn unless_left<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased; // who waited for another that was left goes no further
            () = self.stop.reached(Phase::Leave) => {
                self.abandoned.fetch_add(1, Ordering::Relaxed);
                None
            }
            output = future => Some(output),
        }
    }
}

/// What a request and its redirects came to.
enum Chain {
    /// An answer, or none; and under which permit it was sent last.
    Landed(Fetched, Sent),
    /// The run stops before it could follow: what that means for the job.
    Stopped(Event),
    /// The run left, or the lease is gone.
    Left,
}

/// Whether a redirect may be followed.
enum Further {
    /// Now, under this permit, void after that time where there is a limit.
    Sent(Sent, Option<Micros>),
    /// Not by this run.
    Stopped,
    /// The run left, or the lease is gone.
    Left,
}

/// A lease, and what becomes of it on the way.
pub(super) struct Traveller {
    pub(super) lease: Arc<Lease>,
    pub(super) standing: Standing,
    pub(super) measured: Measured,
    pub(super) late_permit: Option<(Micros, Micros)>,
    /// A response that goes with the result.
    pub(super) unsaved: Option<Arc<Response>>,
    pub(super) slot: Slot,
}

impl Traveller {
    /// At its beginning.
    pub(super) fn new(lease: Lease, slot: Slot) -> Self {
        let (standing, measured) = (lease.standing, Measured::default());
        Self { lease: Arc::new(lease), standing, measured, late_permit: None, unsaved: None, slot }
    }

    /// It may stand in line with others, as all it needs is a CPU thread.
    pub(super) fn is_stored(&self) -> bool {
        self.lease.response.is_some() && !self.lease.suspect
    }
}

/// What a processor made of a response, when it began and when it ended.
pub(super) type Processed = (Result<String, Failure>, Micros, Micros);

pub(super) fn work_on(work: &Work, lease: &Lease, response: &Response, clock: Clock) -> Processed {
    let begun_us = clock.now_us();
    pass(Point::Processing);
    let output = work.run(response, &lease.seen);
    (output, begun_us, clock.now_us())
}

/// The same over retries, restarts and crashes, until the server has answered completely.
fn idempotency_key(database_id: &str, lease: &Lease) -> String {
    let named = format!("{database_id}/{}/{}", lease.job, lease.standing.generation);
    format!("{:x}", Sha256::digest(named))
}

fn no_answer() -> Failure {
    Failure::new(ErrorType::DECODE, Verdict::Permanent, "neither a response nor an error")
}
