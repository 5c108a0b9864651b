//! One job's way from its lease to its outcome.

use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};
use tokio::sync::{RwLock, mpsc, oneshot};

use crate::attempt::{Failure, Measured, Verdict};
use crate::claim::HORIZON_US;
use crate::clock::{Clock, Micros, SECOND_US};
use crate::commit::{Outcome, Report, Slot};
use crate::fetch::{Fetched, Fetcher, Outgoing, Unfit};
use crate::job::{Event, Standing, State};
use crate::limit::{Allowance, Limit};
use crate::pace::{Dispenser, Sent, void_after};
use crate::process::{Pool, Rule, Work};
use crate::progress::{OnEvent, Pause, RunEvent};
use crate::reason::Reason;
use crate::response::Response;
use crate::settings::Settings;
use crate::stop::{Phase, Stop};
use crate::store::{self, Lease, Output, Store};

/// A 429 pauses the limit for at least this long, whatever it says.
const PAUSE_US: Micros = SECOND_US;

/// What every journey of a run shares.
pub(super) struct Context<S> {
    pub(super) store: Arc<S>,
    pub(super) run: i64,
    pub(super) fetcher: Fetcher,
    pub(super) pool: Pool,
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
    /// Jobs left in flight because the run left.
    pub(super) abandoned: AtomicUsize,
    /// Jobs that may still begin.
    pub(super) left: AtomicU64,
    /// Why a secret cannot be had, of the first request that named such a one: the run cannot go on then.
    pub(super) missing: Arc<OnceLock<String>>,
}

impl<S: Store> Context<S> {
    /// Takes a lease to its outcome. Ends without one where the run leaves: the lease is then recovered by the next.
    pub(super) async fn journey(self: Arc<Self>, lease: Lease, claimed_us: Micros, slot: Slot) {
        let job = Traveller {
            standing: lease.standing,
            lease: Arc::new(lease),
            measured: Measured::default(),
            late_permit: None,
            unsaved: None,
            slot,
        };
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
        let permit_us = job.lease.permit_us;
        let outgoing = match self.prepare(&job.lease) {
            Err(Unfit::Secret(why)) => {
                let _ = self.missing.set(why); // one reason is enough
                return self.unsent(job).await;
            }
            Err(Unfit::Request(failure)) => Err(failure),
            Ok(outgoing) => Ok(outgoing),
        };
        let Some(sent) = self.dispenser.permit(permit_us.unwrap_or(Micros::MAX)).await else {
            return self.unsent(job).await;
        };
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
    async fn unsent<T>(&self, job: Traveller) -> Option<T> {
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
            job.late_permit = permit_us.filter(|from_us| counts_from_us > *from_us).map(|from| (from, counts_from_us));
            if !fetched.redirected {
                return Chain::Landed(fetched, sent);
            }
            self.dispenser.well(sent, Vec::new()); // a server that can say where to go is well
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
        let fetched = self.fetcher.send(outgoing, opened, answered).await;
        (fetched, counts_from_us)
    }

    /// Takes a permit for one more request under the same lease, written down before it is used like the first.
    async fn further(&self, job: &mut Traveller) -> Further {
        if self.dispenser.is_unlimited() {
            return self.dispenser.permit(Micros::MAX).await.map_or(Further::Stopped, |sent| Further::Sent(sent, None));
        }
        loop {
            let Some(due_us) = self.unless_left(self.dispenser.follow(HORIZON_US)).await else { return Further::Left };
            let Some(due_us) = due_us else { return Further::Stopped };
            let permit_us = void_after(due_us);
            let (told, written) = oneshot::channel();
            let Lease { job: id, attempt, .. } = *job.lease;
            let further = store::Further { job: id, attempt, permit_us, late_permit: job.late_permit.take() };
            self.report(Outcome::Follows(further, told)).await;
            match written.await {
                Ok(true) => {}
                Ok(false) | Err(_) => return Further::Left, // the lease is gone, or the committer is
            }
            if let Some(sent) = self.dispenser.permit(permit_us).await {
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
            response: Some(response),
            output: None,
            late_permit: job.late_permit.take(),
        };
        self.report(Outcome::Fetched(report, told)).await;
        if let Some(durable) = durable {
            durable.await.ok()?;
        }
        Some(())
    }

    /// What a failure says of the server, beside what it says of its job.
    async fn heed(&self, failure: &mut Failure, sent: Sent, allowances: Vec<Allowance>) {
        match failure.verdict {
            Verdict::Throttled => self.heed_refusal(failure, sent, &allowances).await,
            Verdict::Transient => self.heed_setback(failure, sent).await,
            Verdict::Permanent if failure.answered => self.dispenser.well(sent, allowances),
            Verdict::Permanent => self.dispenser.unclear(sent),
        }
    }

    /// A 429 pauses the limit once, durably; it is the limit's concern, not the job's.
    async fn heed_refusal(&self, failure: &Failure, sent: Sent, allowances: &[Allowance]) {
        let used_up = allowances.iter().filter(|allowance| allowance.left == 0);
        let asked_us = failure.not_before_us.or(used_up.map(|allowance| allowance.until_us).max());
        // A server that says "at once" and refuses again would be asked for ever, as fast as it answers.
        let until_us = asked_us.unwrap_or(0).max(self.clock.now_us() + PAUSE_US);
        let (limits, widened) = self.dispenser.refused(sent, until_us);
        self.pause(&limits, until_us, Pause::Refused).await;
        if widened {
            (self.on_event)(&RunEvent::Widened { limits: &limits });
        }
    }

    /// Ten transient failures in a row are the server's trouble: it is left alone for a while, and what a probe finds is not
    /// held against its job.
    async fn heed_setback(&self, failure: &mut Failure, sent: Sent) {
        let (setback, limits) = self.dispenser.failed(sent);
        let Some(wait_us) = setback.wait_us else { return };
        let until_us = self.clock.now_us() + wait_us;
        if setback.probe {
            failure.verdict = Verdict::Throttled;
            failure.not_before_us = failure.not_before_us.max(Some(until_us));
        }
        self.pause(&limits, until_us, Pause::Trouble).await;
    }

    async fn pause(&self, limits: &[Limit], until_us: Micros, why: Pause) {
        for limit in limits {
            if let Err(error) = self.store.pause_limit(limit, until_us).await {
                tracing::warn!(%error, limit = limit.name, "the pause is kept for this run only");
            }
        }
        (self.on_event)(&RunEvent::Paused { until_us, why });
    }

    /// Asks on a CPU thread whether this answer is to end the run. `None`: the run left first.
    async fn stop_if_met(&self, lease: &Arc<Lease>, response: &Arc<Response>) -> Option<()> {
        let Some(rule) = &self.stop_if else { return Some(()) };
        let (told, answer) = oneshot::channel();
        let (asked, lease, response) = (rule.clone(), lease.clone(), response.clone());
        let (key, status_code) = (lease.key.clone(), response.status_code);
        self.pool.spawn(move || {
            // Nobody listens any more where the run has left.
            let _ = told.send(asked.is_met(&response, &lease.seen));
        });
        // Whoever panics says nothing, which is no yes.
        if self.unless_left(answer).await?.unwrap_or(false) {
            let rule = rule.setting().to_owned();
            self.report(Outcome::Hopeless(Reason::StopIf { key, status_code, rule })).await;
        }
        Some(())
    }

    /// Makes the result and reports it.
    async fn process(&self, mut job: Traveller, response: Arc<Response>) {
        let ready_us = self.clock.now_us();
        let Some((output, begun_us, ended_us)) = self.processed(&mut job, response).await else {
            if job.standing.crashes > job.lease.standing.crashes {
                // It did not kill the process: nobody waits for it any more. The accusation is taken back.
                job.standing.crashes = job.lease.standing.crashes;
                self.end(job, Event::Interrupted, None, None).await;
            }
            return;
        };
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
        let (event, output) = match output {
            Ok(json) => (Event::Processed, Some(Output { json, processor: self.work.version().clone() })),
            Err(failure) => {
                // What a processor says may quote a response, and that may hold what was sent.
                let message = self.fetcher.hide(&job.lease.request, failure.message);
                (Event::ProcessFailed(Failure { message, ..failure }), None)
            }
        };
        self.end(job, event, None, output).await;
    }

    /// Runs the processor on a CPU thread, beside others, or alone where the job is a suspect. `None`: the run left first.
    async fn processed(&self, job: &mut Traveller, response: Arc<Response>) -> Option<Processed> {
        if self.work.is_none() {
            // To read a body as JSON costs less than to hand it to another thread.
            return Some(work_on(&self.work, &job.lease, &response, self.clock));
        }
        let mut company = None;
        if job.lease.suspect {
            job.slot.alone = Some(self.unless_left(self.alone.clone().write_owned()).await?);
            self.accuse(job).await?;
        } else {
            company = Some(self.unless_left(self.alone.clone().read_owned()).await?);
        }
        let (work, lease, clock) = (self.work.clone(), job.lease.clone(), self.clock);
        let (told, done) = oneshot::channel();
        self.pool.spawn(move || {
            let processed = work_on(&work, &lease, &response, clock);
            drop(company);
            // Nobody listens any more where the run has left.
            let _ = told.send(processed);
        });
        self.unless_left(done).await?.ok()
    }

    /// Notes durably that a suspect is about to be processed. `None`: it must not be, by this run.
    async fn accuse(&self, job: &mut Traveller) -> Option<()> {
        match self.store.accuse(self.run, job.lease.job, job.lease.attempt).await {
            Ok(true) => {
                job.standing.crashes += 1;
                Some(())
            }
            Ok(false) => None, // the lease is gone, and whoever has it now processes the job
            Err(error) => {
                tracing::error!(%error, job = job.lease.job, "a suspect is left to the next run");
                None
            }
        }
    }

    async fn end(&self, job: Traveller, event: Event, response: Option<Arc<Response>>, output: Option<Output>) {
        let Traveller { lease, standing, measured, late_permit, unsaved, slot } = job;
        let response = response.or(unsaved);
        let (job, attempt) = (lease.job, lease.attempt);
        let report = Report { job, attempt, standing, event, measured, response, output, late_permit };
        self.report(Outcome::Ended(report, slot)).await;
    }

    /// An error means that the committer has failed, and the run with it: the lease is left to the next one.
    async fn report(&self, outcome: Outcome) {
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
struct Traveller {
    lease: Arc<Lease>,
    standing: Standing,
    measured: Measured,
    late_permit: Option<(Micros, Micros)>,
    /// A response that goes with the result.
    unsaved: Option<Arc<Response>>,
    slot: Slot,
}

/// What a processor made of a response, when it began and when it ended.
type Processed = (Result<String, Failure>, Micros, Micros);

fn work_on(work: &Work, lease: &Lease, response: &Response, clock: Clock) -> Processed {
    let begun_us = clock.now_us();
    let output = work.run(response, &lease.seen);
    (output, begun_us, clock.now_us())
}

/// The same over retries, restarts and crashes, until the server has answered completely.
fn idempotency_key(database_id: &str, lease: &Lease) -> String {
    let named = format!("{database_id}/{}/{}", lease.job, lease.standing.generation);
    format!("{:x}", Sha256::digest(named))
}

fn no_answer() -> Failure {
    Failure::new(crate::attempt::ErrorType::DECODE, Verdict::Permanent, "neither a response nor an error")
}
