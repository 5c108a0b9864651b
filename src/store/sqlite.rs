//! The store on SQLite: one connection that writes, one constant statement a batch and table, one file a statement.

pub mod answers;
mod compact;
pub mod console;
pub mod detail;
mod disk;
mod history;
mod import;
mod open;
mod overview;
mod pack;
mod params;
pub mod plan;
mod probe;
mod rerender;
mod results;
mod rows;
pub mod samples;
mod sandbox;
mod stall;
mod stored;
mod templates;
mod unpack;
mod wish;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use tokio::sync::{Mutex, MutexGuard};

pub use disk::{Disk, disk};
pub use history::history;
#[cfg(feature = "postgres")]
pub(in crate::store) use history::{MOST_SPANS, MOST_TYPES};
pub use overview::overview;
pub use probe::{APPLICATION_ID, SCHEMA_VERSION, open_read_only};
pub use results::{Finished, results};
pub use templates::{Remembered, count_unsent, remembered};

use super::*;
use crate::clock::wall_step;
use crate::fail_point::{Point, pass};
use crate::job::{self, Event, RetryRules, Wish};
use crate::limit::LEAST_STEP_US;
use crate::settings::Durability;

/// Takes the write lock at once: a transaction that begins by reading and turns writer gets SQLITE_BUSY instead of waiting.
const IMMEDIATE: &str = "BEGIN IMMEDIATE";

type Inner<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A haul database in a file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Mutex<Writer>,
    /// See [`SqliteStore::told_of_jobs`].
    jobs_added: AtomicBool,
    /// See [`import::let_others_in`].
    others: AtomicI64,
    /// What SQLite said when the disk failed: whatever it or sqlx says of a later write comes of that.
    broken: OnceLock<String>,
}

#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    data_version: i64,
}

impl SqliteStore {
    /// Opens the database, bringing its schema up to date; creates it where `create` says so.
    ///
    /// # Errors
    /// Where there is none, it belongs to another program or a newer haul (it is not touched then), or the disk fails.
    pub async fn open(path: &Path, durability: Durability, create: bool) -> Result<Self, StoreError> {
        let mut connection = open::writer(path, durability, create).await?;
        // What others write from here on is a change; the first look may come long after a first claim.
        let data_version = version_of_data(&mut connection).await.map_err(failed("look at the database"))?;
        let writer = Mutex::new(Writer { connection, data_version });
        Ok(Self {
            path: path.to_owned(),
            writer,
            jobs_added: AtomicBool::new(false),
            others: AtomicI64::new(data_version),
            broken: OnceLock::new(),
        })
    }

    /// Closes the database; the last process to do so tidies the write-ahead log away.
    ///
    /// # Errors
    /// Where the disk fails; nothing is lost.
    pub async fn close(self) -> Result<(), StoreError> {
        let closed = self.writer.into_inner().connection.close().await.map_err(failed("close the database"));
        pass(Point::Closed);
        closed
    }

    /// Jobs were added through this very store, beside a run over it: the next look tells of a change. What a connection
    /// writes itself is none to `PRAGMA data_version`.
    pub(crate) fn told_of_jobs(&self) {
        self.jobs_added.store(true, Ordering::Relaxed);
    }

    /// From now on commits survive this.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn set_durability(&self, durability: Durability) -> Result<(), StoreError> {
        let pragma = match durability {
            Durability::PowerLoss => "PRAGMA synchronous = FULL",
            Durability::Crash => "PRAGMA synchronous = NORMAL",
        };
        let connection = &mut self.writer().await.connection;
        sqlx::query(pragma).execute(connection).await.map(drop).map_err(failed("set the durability"))
    }

    async fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().await
    }
}

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &'static str) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError::Database { doing: doing.to_owned(), source: source.into() }
}

/// `execute!(connection, "verb.sql", bound..)`: runs the statement in that file.
macro_rules! execute {
    ($connection:expr, $file:literal $(, $bound:expr)*) => {
        sqlx::query(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sqlite/", $file)))$(.bind($bound))*.execute(&mut *$connection).await?
    };
}

/// `rows!(connection, "verb.sql", bound..)`: all rows of the statement in that file; only where they are few.
macro_rules! rows {
    ($connection:expr, $file:literal $(, $bound:expr)*) => {
        sqlx::query(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sqlite/", $file)))$(.bind($bound))*.fetch_all(&mut *$connection).await?
    };
}

/// `scalar!(connection, "verb.sql", bound..)`: the one value that the statement in that file gives.
macro_rules! scalar {
    ($connection:expr, $file:literal $(, $bound:expr)*) => {
        sqlx::query_scalar(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sqlite/", $file)))$(.bind($bound))*.fetch_one(&mut *$connection).await?
    };
}

// Here, below the macros that it uses.
mod recover;

/// `write_tx!(store, "what is done", |tx| ..)`: one transaction, whole or not at all. Never cancelled: see [`Store`].
macro_rules! write_tx {
    ($store:expr, $doing:literal, |$tx:ident| $work:expr) => {{
        let mut writer = $store.writer().await;
        let work = async {
            let mut $tx = writer.connection.begin_with(IMMEDIATE).await?;
            let done: Inner<_> = async { Ok($work) }.await;
            let done = done?;
            pass(Point::BeforeCommit);
            $tx.commit().await?;
            pass(Point::AfterCommit);
            Ok(done)
        };
        let done: Inner<_> = work.await;
        $store.told(&mut writer.connection, $doing, done).await
    }};
}

impl Store for SqliteStore {
    async fn begin_import(&self, source: &str, template: Option<&str>, now_us: Micros) -> Done<i64> {
        write_tx!(self, "begin the import", |tx| import::begin(&mut tx, source, template, now_us).await?)
    }

    async fn import(&self, import: i64, chunk: &Chunk, now_us: Micros) -> Done<Imported> {
        let done = write_tx!(self, "import rows", |tx| import::chunk(&mut tx, import, chunk, now_us).await?.0)?;
        import::let_others_in(self).await?;
        Ok(done)
    }

    async fn import_whole<P: Parts>(&self, parts: &mut P, now_us: Micros) -> Done<bool> {
        let connection = &mut self.writer().await.connection;
        let done = import::whole(connection, parts, now_us).await;
        self.told(connection, "import all or nothing", done).await
    }

    async fn rerender(
        &self,
        change: &Rerender<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        now_us: Micros,
    ) -> Done<Rerendered> {
        let connection = &mut self.writer().await.connection;
        let done = rerender::all(connection, change, stop, now_us).await;
        self.told(connection, "change the requests", done).await
    }

    async fn rejected(&self, import: i64, after_line: u64, most: u32) -> Done<Vec<Reject>> {
        let connection = &mut self.writer().await.connection;
        let read = async {
            let rows = rows!(connection, "rejected.sql", import, after_line as i64, most);
            rows.iter().map(rows::reject).collect::<Inner<_>>()
        };
        read.await.map_err(failed("read the rejected rows"))
    }

    async fn recover(&self, run: &NewRun, now_us: Micros) -> Done<Recovered> {
        let recovered = write_tx!(self, "begin the run", |tx| recover::recover(&mut tx, run, now_us).await?)?;
        // From here on the run itself waits, and tells of it: see [`StoreError::Stalled`].
        let connection = &mut self.writer().await.connection;
        for pragma in [open::SHORT_PATIENCE, open::SMALL_CACHE] {
            sqlx::query(pragma).execute(&mut *connection).await.map_err(failed("begin the run"))?;
        }
        Ok(recovered)
    }

    async fn claim(&self, run: i64, want: &Want, spends: &[Micros], now_us: Micros) -> Done<Vec<Lease>> {
        write_tx!(self, "claim jobs", |tx| claim(&mut tx, run, want, spends, now_us).await?)
    }

    async fn commit(&self, run: i64, batch: &[WriteBack], minutes: &Minutes, now_us: Micros) -> Done<Committed> {
        write_tx!(self, "write outcomes back", |tx| commit(&mut tx, run, batch, minutes, now_us).await?)
    }

    async fn exchange(
        &self,
        run: i64,
        batch: &[WriteBack],
        minutes: &Minutes,
        want: &Want,
        spends: &[Micros],
        now_us: Micros,
    ) -> Done<(Committed, Vec<Lease>)> {
        write_tx!(self, "write outcomes back and claim jobs", |tx| {
            let committed = commit(&mut tx, run, batch, minutes, now_us).await?;
            (committed, claim(&mut tx, run, want, spends, now_us).await?)
        })
    }

    async fn spend(&self, run: i64, further: &[Further]) -> Done<Vec<Spent>> {
        write_tx!(self, "write permits down", |tx| {
            let rows: Vec<_> = further.iter().map(|one| (one.job, one.attempt, one.permit_us)).collect();
            let standing: String = scalar!(tx, "fence.sql", pack::array(&rows), run);
            let standing: Vec<&str> = serde_json::from_str(&standing)?;
            let held: Vec<_> = (0..further.len()).filter(|&i| !standing[i].is_empty()).collect();
            let moved: Vec<_> = held.iter().filter_map(|&i| further[i].late_permit).collect();
            let rows: Vec<_> = held.iter().map(|&i| rows[i]).collect();
            if !rows.is_empty() {
                execute!(tx, "further.sql", pack::array(&rows));
                execute!(tx, "spend.sql", pack::spends(rows.iter().map(|(_, _, permit_us)| *permit_us)));
            }
            move_permits(&mut tx, &moved).await?;
            (0..further.len()).map(|i| if held.contains(&i) { Spent::Written } else { Spent::Stale }).collect()
        })
    }

    async fn release(&self, run: i64, leases: &[(i64, u32)], spends: &[Micros]) -> Done<()> {
        write_tx!(self, "give leases back", |tx| {
            execute!(tx, "release.sql", pack::array(&leases), run);
            if !spends.is_empty() {
                execute!(tx, "unspend.sql", pack::spends(spends.iter().copied()));
            }
        })
    }

    async fn accuse(&self, run: i64, job: i64, attempt: u32) -> Done<bool> {
        write_tx!(self, "note that a suspect is processed", |tx| {
            execute!(tx, "accuse.sql", job, attempt, run).rows_affected() == 1
        })
    }

    async fn next_due(&self) -> Done<Option<Micros>> {
        let connection = &mut self.writer().await.connection;
        let read = async { Ok(scalar!(connection, "next_due.sql")) };
        let read: Inner<_> = read.await;
        self.told(connection, "look for the next job", read).await
    }

    async fn next_to_process(&self) -> Done<Option<Micros>> {
        let connection = &mut self.writer().await.connection;
        let read = async { Ok(scalar!(connection, "next_to_process.sql")) };
        let read: Inner<_> = read.await;
        self.told(connection, "look for the next job to process", read).await
    }

    async fn pause_limit(&self, limit: &Limit, until_us: Micros) -> Done<()> {
        write_tx!(self, "pause the limit", |tx| {
            execute!(tx, "pause_limit.sql", &limit.name, until_us, limit.jitter_us);
        })
    }

    async fn look(&self, run: i64, beat: Option<&Beat>) -> Done<Look> {
        let Writer { connection, data_version } = &mut *self.writer().await;
        let read = async {
            let version = version_of_data(connection).await?;
            let elsewhere = std::mem::replace(data_version, version) != version;
            let changed = self.jobs_added.swap(false, Ordering::Relaxed) || elsewhere;
            let control: Option<Option<String>> =
                rows!(connection, "control.sql", run).first().map(|row| row.try_get(0)).transpose()?;
            let control = control.flatten();
            let asked = |what: &str| control.as_deref() == Some(what);
            let look =
                Look { changed, stop: asked("stop"), pause: asked("pause"), log_bytes: disk::log_bytes(&self.path) };
            if let Some(Beat { at_us, boot }) = beat {
                let (boot, boot_us) = boot.as_ref().map(|boot| (&boot.boot, boot.us)).unzip();
                execute!(connection, "heartbeat.sql", run, at_us, boot, boot_us);
                execute!(connection, "forget_spends.sql", at_us);
            }
            Ok(look)
        };
        let read: Inner<_> = read.await;
        if read.is_err() {
            self.told_of_jobs(); // the next look tells what this one would have
        }
        self.told(connection, "look at the database", read).await
    }

    async fn end(&self, run: i64, outcome: RunOutcome, now_us: Micros) -> Done<()> {
        write_tx!(self, "end the run", |tx| {
            execute!(tx, "end_run.sql", run, now_us, outcome.as_str());
        })
    }

    async fn ask_to_stop(&self, run: i64) -> Done<bool> {
        write_tx!(self, "ask the run to stop", |tx| execute!(tx, "ask_to_stop.sql", run).rows_affected() == 1)
    }

    async fn ask_to_pause(&self, run: i64, pause: bool) -> Done<bool> {
        let control = pause.then_some("pause");
        write_tx!(self, "ask the run to pause", |tx| execute!(tx, "ask_to_pause.sql", run, control).rows_affected()
            == 1)
    }

    async fn keep_limits(&self, limits: &[Limit]) -> Done<()> {
        write_tx!(self, "change the limits", |tx| recover::steer_limits(&mut tx, limits).await?)
    }

    async fn limits(&self) -> Done<Vec<Limit>> {
        let connection = &mut self.writer().await.connection;
        let read = async { recover::limits(connection).await };
        let read: Inner<_> = read.await;
        let limits = self.told(connection, "read the limits", read).await?;
        Ok(limits.into_iter().map(|(limit, _)| limit).collect())
    }

    async fn grant(&self, wish: Wish, jobs: &[i64], now_us: Micros) -> Done<Granted> {
        write_tx!(self, "move jobs", |tx| wish::grant(&mut tx, wish, jobs, now_us).await?)
    }

    async fn prune(&self, jobs: &[i64]) -> Done<u64> {
        write_tx!(self, "drop stored responses", |tx| execute!(tx, "prune.sql", pack::array(&jobs)).rows_affected())
    }

    async fn settings(&self) -> Done<Option<String>> {
        let connection = &mut self.writer().await.connection;
        let read = async { rows!(connection, "settings.sql").first().map(|row| row.try_get(0)).transpose() };
        read.await.map_err(failed::<sqlx::Error>("read the settings of the last run"))
    }

    async fn template(&self) -> Done<Option<String>> {
        let connection = &mut self.writer().await.connection;
        templates::newest(connection).await.map_err(failed("read the template of the last import"))
    }

    async fn counts(&self) -> Done<Counts> {
        let connection = &mut self.writer().await.connection;
        let read = async {
            let rows = rows!(connection, "counts.sql");
            rows.iter().map(rows::count).collect::<Inner<Counts>>()
        };
        read.await.map_err(failed("count the jobs"))
    }
}

/// Changes whenever another connection has written.
async fn version_of_data(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await
}

/// The transaction of [`Store::claim`].
async fn claim(
    tx: &mut SqliteConnection,
    run: i64,
    want: &Want,
    spends: &[Micros],
    now_us: Micros,
) -> Inner<Vec<Lease>> {
    if want.requests == 0 {
        return stored::claim(tx, run, want.slots, now_us).await;
    }
    let requests = want.requests.min(want.slots) as i64;
    let claimed: String = scalar!(tx, "claim.sql", now_us, want.slots as i64, requests, run);
    let unpack::Claimed { mut leases, binary } = unpack::claimed(&claimed, spends)?;
    let fetched = leases.partition_point(|lease| lease.standing.state == State::Fetched);
    let ids: Vec<_> = leases[..fetched].iter().map(|lease| lease.job).collect();
    if fetched > 1 {
        let sizes: String = scalar!(tx, "claimed_sizes.sql", pack::array(&ids));
        let fit = within_bytes(serde_json::from_str::<Vec<u64>>(&sizes)?);
        if fit < fetched {
            leases.truncate(fit); // the others go first at the next claim, before those that need a request
        }
    }
    let fetched = fetched.min(leases.len());
    if !leases.is_empty() {
        let held: Vec<_> = leases.iter().map(|lease| (lease.job, lease.permit_us)).collect();
        execute!(tx, "lease.sql", pack::array(&held), run);
    }
    let permits = pack::spends(leases.iter().filter_map(|lease| lease.permit_us));
    if permits != pack::NONE {
        execute!(tx, "spend.sql", permits);
    }
    if fetched > 0 {
        unpack::responses(&mut leases, &rows!(tx, "claimed_responses.sql", pack::array(&&ids[..fetched])))?;
    }
    if !binary.is_empty() {
        unpack::bodies(&mut leases, &rows!(tx, "claimed_bodies.sql", pack::array(&binary)))?;
    }
    Ok(leases)
}

/// The transaction of [`Store::commit`].
async fn commit(
    tx: &mut SqliteConnection,
    run: i64,
    batch: &[WriteBack],
    minutes: &Minutes,
    now_us: Micros,
) -> Inner<Committed> {
    let fence = pack::array(&batch.iter().map(|write| (write.job, write.attempt)).collect::<Vec<_>>());
    let standing: String = scalar!(tx, "fence.sql", fence, run);
    let standing: Vec<&str> = serde_json::from_str(&standing)?;
    let stale = (0..batch.len()).filter(|&i| standing[i].is_empty()).collect();
    let (batch, from): (Vec<_>, Vec<_>) = batch.iter().zip(standing).filter(|(_, s)| !s.is_empty()).unzip();
    write_back(tx, run, &batch, &from, now_us).await?;
    let moved: Vec<_> = batch.iter().filter_map(|write| write.late_permit).collect();
    move_permits(tx, &moved).await?;
    if !minutes.0.is_empty() {
        execute!(tx, "write_minutes.sql", pack::minutes(minutes));
    }
    Ok(Committed { stale })
}

/// Writes what has passed the fence, and moves the counts along.
async fn write_back(
    tx: &mut SqliteConnection,
    run: i64,
    batch: &[&WriteBack],
    from: &[&str],
    now_us: Micros,
) -> Inner<()> {
    execute!(tx, "write_counts.sql", pack::counts(batch, from));
    let first = batch.iter().find_map(|write| write.output.as_ref());
    let finished_at_us: Micros = if first.is_some() { scalar!(tx, "result_time.sql", now_us) } else { 0 };
    let processor = first.map_or("", |output| &output.processor);
    let (plain, batch): (Vec<_>, Vec<_>) = batch.iter().copied().partition(|write| stored::is_plain(write, processor));
    if !plain.is_empty() {
        stored::finish(tx, run, &plain, processor, finished_at_us, now_us).await?;
    }
    if batch.is_empty() {
        return Ok(());
    }
    let batch = &*batch;
    execute!(tx, "write_jobs.sql", pack::jobs(batch, run, now_us));
    execute!(tx, "write_attempts.sql", pack::attempts(batch), run);
    if batch.iter().any(|write| write.response.is_some()) {
        let packed = pack::responses(batch);
        execute!(tx, "write_responses.sql", packed.rows, packed.blob);
    }
    let dropped: Vec<_> = batch.iter().filter(|write| write.drops_response).map(|write| write.job).collect();
    if !dropped.is_empty() {
        execute!(tx, "prune.sql", pack::array(&dropped));
    }
    if batch.iter().any(|write| write.output.is_some()) {
        let packed = pack::results(batch);
        execute!(tx, "write_results.sql", packed.rows, packed.blob, finished_at_us);
    }
    Ok(())
}

/// Counts permits from a later time than they were written down with: (then, now).
async fn move_permits(tx: &mut SqliteConnection, moved: &[(Micros, Micros)]) -> Inner<()> {
    if !moved.is_empty() {
        execute!(tx, "unspend.sql", pack::spends(moved.iter().map(|(from, _)| *from)));
        execute!(tx, "spend.sql", pack::spends(moved.iter().map(|(_, to)| *to)));
    }
    Ok(())
}
