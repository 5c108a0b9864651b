//! The store: the only place that knows where jobs are kept. Its verbs are the protocol; each says what a crash leaves.

mod changes;
mod error;
pub mod lock;
mod look;
#[cfg(feature = "postgres")]
pub mod postgres;
mod shared;
pub mod sqlite;
mod stall;

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::attempt::{ErrorType, Measured};
use crate::clock::{BootTime, Micros};
use crate::job::{Job, Next, Standing, State, Wish};
use crate::limit::{Limit, Spend};
use crate::minutes::Minutes;
use crate::request::Request;
use crate::response::Response;
use crate::settings::OnUncertain;

pub use changes::{Change, Judge, OnConflict, Part, Parts, Rerender, Rerendered, Stored};
pub use error::StoreError;

pub mod memory;
pub mod packing;
mod wall_clock;

pub use look::Look;
pub use shared::{Shared, Spent};
pub use stall::Stall;
pub use wall_clock::{Beat, WallClock};

/// A job handed to this run, and what it needs to go on. The lease is durable before a caller sees it.
#[derive(Debug, Clone)]
pub struct Lease {
    /// `jobs.id`.
    pub job: i64,
    /// The number of this claim: the fence.
    pub attempt: u32,
    /// The job, as its processor sees it.
    pub seen: Job,
    /// Where it stood when it was claimed; the state tells which stage is next.
    pub standing: Standing,
    /// It was leased when an earlier run died: its response is stored first, then it is processed alone.
    pub suspect: bool,
    /// Its stored response, where its state is [`State::Fetched`].
    pub response: Option<Arc<Response>>,
    /// Its request may be sent from this time on; 0 = at once.
    pub due_us: Micros,
    /// Its request may be sent until this time; `None` where it needs no permit.
    pub permit_us: Option<Micros>,
}

/// A lease is read as its job: `lease.key`, `lease.request`.
impl Deref for Lease {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.seen
    }
}

/// Bytes of stored responses that one claim brings, at most, unless one alone is larger: they are all in memory at once.
const CLAIM_BYTES: u64 = 16 << 20;

/// How many of the first responses, of these sizes, one claim brings.
fn within_bytes(sizes: impl IntoIterator<Item = u64>) -> usize {
    let mut sum = 0_u64;
    let fits = |size: u64| {
        sum = sum.saturating_add(size);
        sum <= CLAIM_BYTES
    };
    sizes.into_iter().map(fits).take_while(|fits| *fits).count().max(1)
}

/// How much a claim may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// At most so many jobs in all: the free slots.
    pub slots: usize,
    /// At most so many of these may need a request: the permits that fall due soon.
    pub requests: usize,
}

/// The result of a job, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// JSON.
    pub json: String,
    /// Name and version of what made it.
    pub processor: Arc<str>,
}

/// One write-back: where a job goes, and all that hangs on it. Written whole or, where its lease is stale, not at all.
#[derive(Debug, Clone, Default)]
pub struct WriteBack {
    /// The job.
    pub job: i64,
    /// The claim under which this happened.
    pub attempt: u32,
    /// The new columns of the job.
    pub next: Next,
    /// The row of `attempts`, replacing what an earlier write-back of this claim wrote there.
    pub measured: Measured,
    /// A response to store.
    pub response: Option<Arc<Response>>,
    /// Its body as zstd packs it, to be stored in its place.
    pub packed: Option<Bytes>,
    /// The stored response of the job goes.
    pub drops_response: bool,
    /// A result to store.
    pub output: Option<Output>,
    /// Its permit was written down as void after the first time, and counts from the second, later one: its connection was
    /// long in opening.
    pub late_permit: Option<(Micros, Micros)>,
}

/// A permit for one more request under a lease: a redirect that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Further {
    /// The job.
    pub job: i64,
    /// The claim.
    pub attempt: u32,
    /// Void after this time.
    pub permit_us: Micros,
    /// The permit before it counts from later than it was written down with, as in [`WriteBack`].
    pub late_permit: Option<(Micros, Micros)>,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// Positions in the batch whose lease was no longer ours; dropped with all that hung on them.
    pub stale: Vec<usize>,
}

/// Who starts a run.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// Version of haul.
    pub version: String,
    /// Settings to remember, as JSON; never a secret.
    pub settings: String,
    /// The limits it keeps; the table of limits is made to hold exactly these.
    pub limits: Vec<Limit>,
    /// What becomes of a POST or PATCH that was in flight when a run died.
    pub on_uncertain: OnUncertain,
    /// The clock that nobody sets.
    pub boot: Option<BootTime>,
}

/// What a recovery found.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// The id of the run that begins.
    pub run: i64,
    /// Jobs that were leased by runs that died; their requests may be sent again.
    pub interrupted: u64,
    /// Jobs given up as poison.
    pub poisoned: u64,
    /// Jobs that failed because their requests may have been carried out and must not be sent twice.
    pub lost: u64,
    /// Made with the database, part of every Idempotency-Key.
    pub database_id: String,
    /// Permits that may still count, by name of their limit.
    pub spends: Vec<Spend>,
    /// The limits as they stand, jitter grown by earlier runs included, each with the time before which nothing is sent.
    pub limits: Vec<(Limit, Micros)>,
    /// Whether the times of the last run mean what they did.
    pub wall_clock: WallClock,
}

/// What became of jobs that somebody wanted elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Granted {
    /// Now pending: each costs a request.
    pub pending: u64,
    /// Now fetched: only to be processed.
    pub fetched: u64,
    /// Now cancelled.
    pub cancelled: u64,
    /// No longer to be processed again: their result stays.
    pub kept: u64,
    /// Left alone: a run holds them.
    pub held: u64,
    /// Left alone: the wish is not for jobs that stand where they do.
    pub unfit: u64,
}

impl Granted {
    /// Jobs that were moved.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.pending + self.fetched + self.cancelled + self.kept
    }

    /// One more job that went there.
    fn add(&mut self, to: State) {
        match to {
            State::Pending => self.pending += 1,
            State::Fetched => self.fetched += 1,
            State::Cancelled => self.cancelled += 1,
            State::Succeeded => self.kept += 1,
            State::Failed => {} // no wish leads there
        }
    }
}

impl std::ops::AddAssign for Granted {
    fn add_assign(&mut self, more: Self) {
        self.pending += more.pending;
        self.fetched += more.fetched;
        self.cancelled += more.cancelled;
        self.kept += more.kept;
        self.held += more.held;
        self.unfit += more.unfit;
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// Nothing was left to do.
    Drained,
    /// It stopped on purpose; work remains.
    Stopped,
    /// It could not succeed.
    Hopeless,
    /// A signal stopped it, cleanly.
    Interrupted,
    /// The tool failed.
    Error,
}

impl RunOutcome {
    /// The word in `runs.outcome`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Stopped => "stopped",
            Self::Hopeless => "hopeless",
            Self::Interrupted => "interrupted",
            Self::Error => "error",
        }
    }
}

/// A row of an import that makes a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its identity.
    pub key: String,
    /// Line of the input on which the row begins, from 1.
    pub line: u64,
    /// What it says.
    pub request: Request,
    /// What becomes of it where its key is known with another request. Of a key that is the hash of the request: nothing, so
    /// [`OnConflict::Skip`]; only other templates leave a job under such a key with another request.
    pub on_conflict: OnConflict,
}

/// A row of an import that makes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Line of the input on which the row begins, from 1.
    pub line: u64,
    /// What is wrong, and what would be right.
    pub reason: String,
    /// The row, cut to 1,000 characters.
    pub text: String,
}

/// Some rows of an import.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// Rows that make jobs.
    pub jobs: Vec<NewJob>,
    /// Rows that make none.
    pub rejects: Vec<Reject>,
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Jobs that were new.
    pub added: u64,
    /// Rows whose job was there already, and stays as it is.
    pub known: u64,
    /// Rows whose job was there already, not sent yet, and says now what they say.
    pub updated: u64,
    /// Rows that made no job: those given as such, and known keys with another request, unless that is no conflict.
    pub rejected: u64,
}

/// Drives a future of the store to its end, also where nobody waits for it any more: see [`Store`].
pub(crate) async fn to_its_end<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(future).await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime ends, and whoever waits here with it.
        Err(Err(_)) => std::future::pending().await,
    }
}

/// Jobs by state and type of their last failure (`None` = none), as kept with every change.
pub type Counts = BTreeMap<(State, Option<ErrorType>), u64>;

type Done<T> = Result<T, StoreError>;

/// Where jobs, responses, results and permits are kept. A dozen or so verbs; each is one transaction, done whole or not at all.
///
/// Never drop one of these futures half-way (no `timeout`, no `select!` around one): a transaction would be left open.
pub trait Store: Send + Sync + 'static {
    /// What a run has to heed where many workers share this store, and keep its limits together; `None`: it is alone.
    fn shared(&self) -> Option<&Shared> {
        None
    }

    /// Opens an import and gives its id. `template` is how its rows become requests, as JSON, secrets by name; `None` where
    /// they are requests already. After a crash the import stays in the table with the rows it had come to.
    fn begin_import(
        &self,
        source: &str,
        template: Option<&str>,
        now_us: Micros,
    ) -> impl Future<Output = Done<i64>> + Send;

    /// Adds the jobs of a chunk whose keys are new, and notes its rejected rows. A known key with the same request adds
    /// nothing; with another request it goes by the row's [`OnConflict`]. After a crash the chunk is there whole or not at
    /// all, and importing it again adds exactly what is missing.
    fn import(&self, import: i64, chunk: &Chunk, now_us: Micros) -> impl Future<Output = Done<Imported>> + Send;

    /// Imports all that is handed over, or nothing, in one transaction; the last part says which, and so does the answer.
    /// Nobody else can write meanwhile. After a crash before its end nothing of it is there.
    fn import_whole<P: Parts>(&self, parts: &mut P, now_us: Micros) -> impl Future<Output = Done<bool>> + Send;

    /// Has jobs say what other templates make of their rows, and remembers these templates, in one transaction. If one job
    /// is refused, two would have the same key, or `stop` says so, nothing is changed. The caller holds the run lock, so
    /// that nothing is sent meanwhile. After a crash before its end nothing is changed.
    fn rerender(
        &self,
        change: &Rerender<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        now_us: Micros,
    ) -> impl Future<Output = Done<Rerendered>> + Send;

    /// Rejected rows of an import, in the order of their lines: those after a line, at most so many.
    fn rejected(&self, import: i64, after_line: u64, most: u32) -> impl Future<Output = Done<Vec<Reject>>> + Send;

    /// Begins a run: ends dead runs, notes their interrupted attempts, frees their leases, gives up poison, and inserts the
    /// new run with its limits, in one transaction. Idempotent: a crash in between leaves everything to the next start.
    /// The caller holds the run lock, so every lease found belongs to a dead run. Where the wall clock was set since the last
    /// run, permits, pauses and retries are moved along, so that a window and a wait are as long as they were.
    fn recover(&self, run: &NewRun, now_us: Micros) -> impl Future<Output = Done<Recovered>> + Send;

    /// Leases jobs that are due and have work left: first fetched ones, then retries that fell due, then fresh ones in
    /// import order; and writes down the permits of those that need a request, in the same transaction. `spends` are the
    /// times after which the 1st, 2nd, .. permit is void, as many as `want.requests`, each counted in every limit. After a
    /// crash the lease and the permit are there, sent or not.
    fn claim(
        &self,
        run: i64,
        want: &Want,
        spends: &[Micros],
        now_us: Micros,
    ) -> impl Future<Output = Done<Vec<Lease>>> + Send;

    /// Writes outcomes back, each checked against `(job, attempt, run)` before its lease is cleared. After a crash the whole
    /// batch is there, or the jobs are still leased and go on from their last durable state.
    fn commit(
        &self,
        run: i64,
        batch: &[WriteBack],
        minutes: &Minutes,
        now_us: Micros,
    ) -> impl Future<Output = Done<Committed>> + Send;

    /// [`Store::commit`], then [`Store::claim`], in one transaction: the places that the outcomes free are filled at once, for
    /// the price of one. After a crash both are there or neither.
    fn exchange(
        &self,
        run: i64,
        batch: &[WriteBack],
        minutes: &Minutes,
        want: &Want,
        spends: &[Micros],
        now_us: Micros,
    ) -> impl Future<Output = Done<(Committed, Vec<Lease>)>> + Send;

    /// Writes permits down for further requests of jobs that are held, before they are sent, each checked against
    /// `(job, attempt, run)`. Tells what became of each. After a crash the permits are there, sent or not.
    fn spend(&self, run: i64, further: &[Further]) -> impl Future<Output = Done<Vec<Spent>>> + Send;

    /// Gives leases back under which nothing was sent, and their permits, named by the times they were to be void. After a
    /// crash in between they count as interrupted.
    fn release(&self, run: i64, leases: &[(i64, u32)], spends: &[Micros]) -> impl Future<Output = Done<()>> + Send;

    /// Raises `crashes` of a suspect, just before it is processed alone. Its outcome sets it back. `false`: the lease is stale.
    fn accuse(&self, run: i64, job: i64, attempt: u32) -> impl Future<Output = Done<bool>> + Send;

    /// When the next job that nobody holds falls due; `None` = no job that nobody holds has work left.
    fn next_due(&self) -> impl Future<Output = Done<Option<Micros>>> + Send;

    /// The same of jobs whose response is stored: they need no request.
    fn next_to_process(&self) -> impl Future<Output = Done<Option<Micros>>> + Send;

    /// Pauses the limit until then, and widens its jitter. After a crash the pause goes on.
    fn pause_limit(&self, limit: &Limit, until_us: Micros) -> impl Future<Output = Done<()>> + Send;

    /// What changed from outside since the last look, and a sign of life if `beat`.
    fn look(&self, run: i64, beat: Option<&Beat>) -> impl Future<Output = Done<Look>> + Send;

    /// Notes how the run ended. Leases it still holds are left to the next recovery.
    fn end(&self, run: i64, outcome: RunOutcome, now_us: Micros) -> impl Future<Output = Done<()>> + Send;

    /// Asks a run to stop, as another terminal does; its [`Store::look`] tells it. `false`: it has ended.
    fn ask_to_stop(&self, run: i64) -> impl Future<Output = Done<bool>> + Send;

    /// Asks a run to send nothing, or to go on; the next run is not asked. `false`: it has ended, or is asked to stop.
    fn ask_to_pause(&self, run: i64, pause: bool) -> impl Future<Output = Done<bool>> + Send;

    /// Makes the limits these, for the run that is going, which has to look at [`Store::limits`], and for those to come. A
    /// new one knows what was sent under the old ones, and what the server asked for holds. Asked again, nothing changes.
    fn keep_limits(&self, limits: &[Limit]) -> impl Future<Output = Done<()>> + Send;

    /// The limits as they stand, the shortest window first.
    fn limits(&self) -> impl Future<Output = Done<Vec<Limit>>> + Send;

    /// Moves those of these jobs that nobody holds where [`crate::job::wished`] says; the rest is left alone and counted.
    /// Works while a run is going, which takes them up. After a crash all of them are moved or none; asked again, those that
    /// were moved no longer fit, but for [`Wish::Refetch`].
    fn grant(&self, wish: Wish, jobs: &[i64], now_us: Micros) -> impl Future<Output = Done<Granted>> + Send;

    /// Drops the stored responses of those of these jobs that are finished, and tells how many. Results stay. After a crash
    /// all of them are gone or none.
    fn prune(&self, jobs: &[i64]) -> impl Future<Output = Done<u64>> + Send;

    /// The settings of the last run, as JSON; `None` before the first.
    fn settings(&self) -> impl Future<Output = Done<Option<String>>> + Send;

    /// How the newest import made its requests, as JSON, if it began after the last run; else the last run's settings know.
    fn template(&self) -> impl Future<Output = Done<Option<String>>> + Send;

    /// Jobs by state and type of failure. Kept, not counted: as fast at ten million rows as at ten.
    fn counts(&self) -> impl Future<Output = Done<Counts>> + Send;
}
