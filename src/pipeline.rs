//! The only module that knows every step: claim -> pace -> fetch -> process -> commit.

mod desk;
mod files;
mod heed;
mod journey;
mod land;
mod line;
mod look;
mod nulls;
mod receive;
mod sharing;
mod stall;
mod steer;
mod stored;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{RwLock, Semaphore, mpsc};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::claim::{self, Plan, Situation};
use crate::clock::{BootTime, Clock, Micros, micros};
use crate::commit::{self, Claim, Committer, Outcome};
use crate::fail_point::{Point, pass};
use crate::fetch::{Fetcher, SecretHeader, SetupError};
use crate::hope::{Hope, MaxFailures};
use crate::job::{RetryRules, State};
use crate::limit::capacity::Capacity;
use crate::limit::{self, Limit, Wait};
use crate::pace::{Dispenser, Pacer, void_after};
use crate::process::{Rule, Work};
use crate::progress::{OnEvent, Pause, RunEvent, Tally};
use crate::reason::Reason;
use crate::secret::Lookup;
use crate::settings::Settings;
use crate::stop::{Phase, Stop};
use crate::store::{NewRun, Recovered, RunOutcome, Store, StoreError, Want};
use journey::Context;
use land::Landed;
use look::{BEAT_US, LOOK_US};
use nulls::Nulls;
use threads::Threads;
pub use threads::ThreadsLost;

/// Stored responses in memory, at most, beside those of one claim: 64 MiB.
const STORED_KIB: usize = 64 << 10;

/// What a run does, and for whom.
pub struct Run {
    /// How.
    pub settings: Settings,
    /// What is run on each response.
    pub work: Work,
    /// Sends requests; otherwise it only processes the responses that are stored, and ends when there are no more.
    pub sends: bool,
    /// Gives the values of secrets that requests name.
    pub secrets: Arc<Lookup>,
    /// Headers of every request whose values are asked for at each send.
    pub secret_headers: Vec<SecretHeader>,
    /// Begins at most so many jobs.
    pub limit: Option<u64>,
    /// Claims nothing after this long.
    pub lasts: Option<Duration>,
    /// Sends at most so many requests, retries included.
    pub max_requests: Option<u64>,
    /// Stops where a limit, or a pause by the server, has the next request wait longer than this.
    pub max_wait: Option<Duration>,
    /// Stops where so many jobs failed for good; `None`: where all of the first [`crate::hope::ENOUGH`] did.
    pub max_failures: Option<MaxFailures>,
    /// Stops where a response that it receives meets this, whatever its status.
    pub stop_if: Option<Rule>,
    /// Who may end it.
    pub stop: Stop,
    /// Whom it tells.
    pub on_event: OnEvent,
    /// Now.
    pub clock: Clock,
    /// Host name, for people.
    pub host: String,
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct Summary {
    /// `runs.id`.
    pub run: i64,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why it left work undone, where it did so by itself.
    pub stopped_because: Option<Reason>,
    /// What was done.
    pub tally: Tally,
    /// The limits it kept, at last.
    pub limits: Vec<Limit>,
    /// Jobs that were in flight when an earlier run died.
    pub interrupted: u64,
    /// Jobs still in flight when it left; the next run sends them again.
    pub abandoned: usize,
    /// From its start to its end.
    pub elapsed_us: Micros,
}

/// Why a run ended without a summary. Nothing is lost: the next run goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No HTTP client could be made.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// A request names a secret that cannot be had. It was not sent.
    #[error("a secret of a request is missing: {0}")]
    Secret(String),
    /// The settings cannot be kept.
    #[error("failed to write the settings down")]
    Settings(#[from] serde_json::Error),
    /// No CPU threads could be started.
    #[error("failed to start the CPU threads")]
    Threads(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Every CPU thread is held by a processing that does not end.
    #[error(transparent)]
    ThreadsLost(#[from] ThreadsLost),
    /// A task of ours panicked: a bug.
    #[error("a part of the run failed unexpectedly; this is a bug of haul")]
    Panicked(#[from] JoinError),
}

/// Drains the table: recovers what an earlier run left, then claims until nothing is left to do or it is stopped.
///
/// The caller holds the run lock. Whatever ends this, no job is lost; what was in flight is sent again by the next run.
///
/// # Errors
/// Where the store or this program fails; failed jobs are no error.
pub async fn run<S: Store>(store: Arc<S>, mut run: Run) -> Result<Summary, RunError> {
    let began_us = run.clock.now_us();
    let new = NewRun {
        host: run.host.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: serde_json::to_string(&run.settings)?,
        limits: run.settings.limits.clone(),
        boot: BootTime::read(),
        on_uncertain: run.settings.on_uncertain,
    };
    let asked = run.settings.concurrency;
    let (concurrency, files) = files::allowed(asked); // not remembered: the next run may have more
    run.settings.concurrency = concurrency;
    let recovered = store.recover(&new, began_us).await?;
    pass(Point::Recovered);
    let counts = store.counts().await?;
    let Recovered { interrupted, poisoned, .. } = recovered;
    (run.on_event)(&RunEvent::Began { counts: &counts, interrupted, poisoned });
    if let Some(files) = files {
        (run.on_event)(&RunEvent::FewFiles { files, asked, concurrency });
    }
    let id = recovered.run;
    let clock = run.clock;
    let mut drain = Drain::start(store.clone(), run, recovered)?;
    let context = drain.context.clone();
    let ended = drain.drain().await;
    let lost = context.threads.lost(context.settings.process_timeout).map_err(|lost| lost.of_stored(!drain.sends));
    let landed = drain.land(ended).await;
    let work = context.work.clone();
    tokio::task::spawn_blocking(move || work.end()).await?; // programs have a moment to end by themselves
    context.nulls.end();
    let outcome = landed.as_ref().map_or(RunOutcome::Error, |landed| landed.outcome);
    pass(Point::BeforeEnd);
    let noted = store.end(id, outcome, clock.now_us()).await;
    pass(Point::AfterEnd);
    let Landed { outcome, stopped_because, tally, abandoned } = landed?;
    match noted {
        // The next run finds this one without an end, and all it did.
        Err(error @ StoreError::Stalled { .. }) => tracing::warn!(%error, "the end of the run is not noted"),
        noted => noted?,
    }
    if let Some(why) = context.missing.get() {
        return Err(RunError::Secret(why.clone()));
    }
    lost?;
    let elapsed_us = clock.now_us() - began_us;
    let limits = context.dispenser.limits();
    Ok(Summary { run: id, outcome, stopped_because, tally, limits, interrupted, abandoned, elapsed_us })
}

/// A run under way.
struct Drain<S> {
    context: Arc<Context<S>>,
    stop: Stop,
    clock: Clock,
    slots: Arc<Semaphore>,
    /// Room for stored responses that are in memory, in KiB: nothing is claimed while there is none.
    stored: Arc<Semaphore>,
    /// All of the slots.
    places: usize,
    sends: bool,
    journeys: JoinSet<()>,
    committer: Committer<S>,
    outcomes: mpsc::Receiver<Outcome>,
    /// Outcomes that are not durable yet.
    received: Vec<Outcome>,
    server: JoinHandle<()>,
    /// Begins at most so many jobs.
    limit: Option<u64>,
    /// Sends at most so many requests.
    max_requests: Option<u64>,
    /// Lasts so long.
    lasts: Option<Duration>,
    /// No claim after this.
    ends_us: Micros,
    /// Waits for its next request at most so long.
    max_wait: Option<Duration>,
    /// Why it stopped by itself.
    stopped_because: Option<Reason>,
    /// Another terminal has it send nothing for now.
    held: bool,
    /// The wait that it has told of last.
    waits: Option<Wait>,
    fetched: bool,
    idle_until_us: Micros,
    /// When outcomes were written last.
    turned_us: Micros,
    look_us: Micros,
    beat_us: Micros,
    /// The store could not write, and has not written since: the first time, and the last.
    stalled_us: Option<(Micros, Micros)>,
    /// That the log is large was told.
    log_told: bool,
}

impl<S: Store> Drain<S> {
    fn start(store: Arc<S>, run: Run, recovered: Recovered) -> Result<Self, RunError> {
        let (clock, stop) = (run.clock, run.stop);
        let now_us = clock.now_us();
        let settings = Arc::new(run.settings);
        // What is only processed costs no request after a crash: how much of it is claimed is said by `claim::stored`.
        let places = if run.sends { settings.concurrency } else { claim::STORED_PLACES };
        let most_requests = if run.sends { run.max_requests.unwrap_or(u64::MAX) } else { 0 };
        // Where it costs nothing to go on, there is always hope, unless somebody says how much.
        let max_failures = run.max_failures.or((!run.sends).then_some(MaxFailures::Jobs(u64::MAX)));
        let (limits, pauses): (Vec<_>, Vec<_>) = recovered.limits.into_iter().unzip();
        let after_boot_us = recovered.wall_clock.rest_until_us(&limits, now_us);
        let paused_until_us = pauses.into_iter().max().unwrap_or(0).max(after_boot_us);
        let pacer = Pacer::new(&limits, &recovered.spends, paused_until_us, now_us);
        let pacer = pacer.wary(limit::doublings(&settings.limits, &limits));
        let dispenser = Arc::new(Dispenser::new(pacer, most_requests, clock));
        let serving = dispenser.clone();
        let server = tokio::spawn(async move { serving.serve().await });
        let (report, outcomes) = mpsc::channel(2 * places.max(1));
        let on_event = Arc::new(run.on_event);
        if recovered.wall_clock.step_us() != 0 {
            on_event(&RunEvent::WallClock(recovered.wall_clock));
        }
        if after_boot_us > now_us && run.sends {
            on_event(&RunEvent::Paused { until_us: after_boot_us, why: Pause::Rebooted });
        }
        let rules = RetryRules {
            max_attempts: settings.max_attempts,
            backoff: settings.backoff,
            seed: now_us.unsigned_abs(), // other waits in every run, the same in every replay
        };
        let threads = Threads::new(settings.threads, clock).map_err(|e| RunError::Threads(e.into()))?;
        // More threads than cores make nothing quicker, unless a program on each may wait for something else.
        let cores = std::thread::available_parallelism().map_or(usize::MAX, std::num::NonZero::get);
        let useful = if run.work.keeps_time() { threads.count() } else { threads.count().min(cores) };
        let capacity = Capacity::new(useful, if run.sends { &limits } else { &[] }, settings.sla.is_some());
        let committer = Committer {
            store: store.clone(),
            run: recovered.run,
            rules,
            keep: settings.keep_responses,
            on_event: on_event.clone(),
            tally: Tally::default(),
            hope: Hope::new(max_failures),
            capacity,
            mean_bytes: 0.0,
            clock,
            batch: commit::Batch::default(),
        };
        let context = Context {
            store,
            run: recovered.run,
            fetcher: Fetcher::new(settings.clone(), run.secrets, clock)?
                .with_secret_headers(run.secret_headers)
                .with_idle(files::idle(settings.concurrency)),
            threads,
            settings,
            work: run.work,
            stop_if: run.stop_if,
            dispenser,
            alone: Arc::new(RwLock::new(())),
            report,
            stop: stop.clone(),
            clock,
            on_event,
            database_id: recovered.database_id,
            paused_us: AtomicI64::new(0),
            abandoned: AtomicUsize::new(0),
            left: AtomicU64::new(run.limit.unwrap_or(u64::MAX)),
            missing: Arc::default(),
            nulls: Nulls::default(),
            line: line::Line::default(),
        };
        let drain = Self {
            context: Arc::new(context),
            stop,
            clock,
            slots: Arc::new(Semaphore::new(places)),
            stored: Arc::new(Semaphore::new(STORED_KIB)),
            places,
            sends: run.sends,
            journeys: JoinSet::new(),
            committer,
            outcomes,
            received: Vec::with_capacity(commit::MOST),
            server,
            limit: run.limit,
            max_requests: run.max_requests,
            max_wait: run.max_wait,
            lasts: run.lasts,
            stopped_because: None,
            held: false,
            waits: None,
            ends_us: run.lasts.map_or(Micros::MAX, |lasts| now_us.saturating_add(micros(lasts))),
            fetched: true,
            idle_until_us: 0,
            turned_us: now_us,
            look_us: now_us + LOOK_US,
            beat_us: now_us + BEAT_US,
            stalled_us: None,
            log_told: false,
        };
        drain.tell_what_is_left();
        Ok(drain)
    }

    fn in_flight(&self) -> usize {
        self.places - self.slots.available_permits()
    }

    /// When the next job falls due that nobody holds, of those that this run is for.
    async fn next_due(&self) -> Result<Option<Micros>, StoreError> {
        match self.sends {
            true => self.context.store.next_due().await,
            false => self.context.store.next_to_process().await,
        }
    }

    /// Jobs that may still begin.
    fn left(&self) -> u64 {
        self.context.left.load(Ordering::Relaxed)
    }

    /// Commits and claims until nothing is left, or it is stopped.
    async fn claim_until_done(&mut self) -> Result<RunOutcome, RunError> {
        loop {
            while let Some(ended) = self.journeys.try_join_next() {
                ended?;
            }
            if self.server.is_finished() {
                (&mut self.server).await?; // it serves for ever, unless it panics: then nobody would get a permit any more
            }
            if self.stop.phase() > Phase::Go {
                return Ok(RunOutcome::Interrupted);
            }
            if self.context.missing.get().is_some() || self.context.threads.lost(Duration::ZERO).is_err() {
                return Ok(RunOutcome::Error); // what flies may land
            }
            let now_us = self.clock.now_us();
            if let Some(reason) = self.reason_to_stop(now_us).await? {
                let outcome = if reason.is_hopeless() { RunOutcome::Hopeless } else { RunOutcome::Stopped };
                self.stopped_because = Some(reason);
                return Ok(outcome);
            }
            self.receive().await;
            if let Some(until_us) = self.gathers_until(now_us) {
                self.gather(until_us).await;
                continue;
            }
            match self.plan(now_us) {
                Plan::Claim(claim) => {
                    if self.turn(Some(claim)).await? {
                        return Ok(RunOutcome::Drained);
                    }
                }
                Plan::Wait(_) if !self.received.is_empty() || self.committer.is_behind() => {
                    self.turn(None).await?;
                    self.idle_until_us = 0; // a retry may have been scheduled
                }
                // A permit may be a day away when the last job is done.
                Plan::Wait(_) if self.in_flight() == 0 && self.next_due().await?.is_none() => {
                    return Ok(RunOutcome::Drained);
                }
                Plan::Wait(until_us) => self.wait(until_us.min(self.look_us).min(self.ends_us)).await,
            }
        }
    }

    async fn reason_to_stop(&mut self, now_us: Micros) -> Result<Option<Reason>, RunError> {
        if let Some(reason) = self.committer.hope.lost() {
            return Ok(Some(reason.clone()));
        }
        if let Some(lasts) = self.lasts.filter(|_| now_us >= self.ends_us) {
            return Ok(Some(Reason::Time(lasts)));
        }
        // What has begun is still to be sent, and what turns out not to be is not begun: the last one counts.
        if self.in_flight() == 0 {
            let begun = self.limit.filter(|_| self.left() == 0).map(Reason::Jobs);
            // What is fetched needs no request.
            let sent = self.max_requests.filter(|_| !self.fetched && self.context.dispenser.is_used_up());
            if let Some(reason) = begun.or(sent.map(Reason::Requests)) {
                return Ok(Some(reason));
            }
        }
        if let Some(reason) = self.waits_too_long(now_us).await? {
            return Ok(Some(reason));
        }
        Ok(self.looked_and_told_to_stop(now_us).await?.then_some(Reason::Told))
    }

    /// What to claim together with the outcomes that have come in: the places they free count as free.
    fn plan(&self, now_us: Micros) -> Plan<Claim> {
        if (self.held && !self.fetched) || self.stored.available_permits() == 0 {
            return Plan::Wait(Micros::MAX);
        }
        let dispenser = &self.context.dispenser;
        let freed = self.received.iter().filter(|outcome| outcome.frees()).count();
        let free = (self.slots.available_permits() + freed).min(usize::try_from(self.left()).unwrap_or(usize::MAX));
        if !self.sends {
            return self.plan_stored(free, self.in_flight().saturating_sub(freed), now_us);
        }
        let requests = if self.held { 0 } else { usize::try_from(dispenser.left()).unwrap_or(usize::MAX) };
        let due_us = match requests {
            0 => Some(Vec::new()),
            _ => (!dispenser.is_unlimited() && free > 0)
                .then(|| dispenser.forecast(claim::HORIZON_US, free.min(claim::MOST))),
        };
        let situation =
            Situation { free, due_us: due_us.as_deref(), fetched: self.fetched, idle_until_us: self.idle_until_us };
        match claim::plan(&situation, now_us) {
            Plan::Wait(until_us) => Plan::Wait(until_us),
            Plan::Claim(want) => {
                let want = Want { requests: want.requests.min(requests), ..want };
                let permits_us = due_us.unwrap_or_default().into_iter().take(want.requests).map(void_after).collect();
                Plan::Claim(Claim { want, permits_us })
            }
        }
    }

    /// Commits what has come in, claims, and starts what it gets; `true` = nothing is left to do, and nothing flies.
    async fn turn(&mut self, claim: Option<Claim>) -> Result<bool, RunError> {
        let began_us = self.clock.now_us();
        let claim = claim.filter(|_| !self.committer.is_behind()); // what waits is written first, and alone
        let leases = self.committer.turn(&mut self.received, claim.as_ref(), began_us).await?;
        let (Tally { succeeded, failed, .. }, took_us) = (&self.committer.tally, self.clock.now_us() - began_us);
        tracing::debug!(succeeded, failed, claimed = leases.len(), took_us, "durable so far");
        self.turned_us = began_us + took_us;
        self.has_written();
        let Some(Claim { want, .. }) = claim else { return Ok(false) };
        if !leases.is_empty() {
            pass(Point::AfterClaim);
        }
        self.fetched = !self.sends || leases.iter().any(|lease| lease.standing.state == State::Fetched);
        let asking = leases.iter().filter(|lease| lease.standing.state == State::Pending).count();
        let few = (asking < want.requests || !self.sends) && leases.len() < want.slots;
        let claimed_us = self.clock.now_us();
        self.context.dispenser.claimed(asking);
        self.set_out(leases, claimed_us);
        self.idle_until_us = self.next_permit_us();
        if few && self.idle_until_us == 0 {
            // Only now: where this fails, what is leased is on its way.
            match self.next_due().await? {
                None if self.in_flight() == 0 => return Ok(true),
                next => self.idle_until_us = next.unwrap_or(Micros::MAX),
            }
        }
        Ok(false)
    }
}
