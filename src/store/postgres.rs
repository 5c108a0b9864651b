//! The store on PostgreSQL: many machines over one database. The same verbs as in a file, beside; one statement a file.
//!
//! A run is a worker here: many may be going at once. Times by which they go together are those of the server.

mod address;
mod console;
mod rows;
mod session;
mod text;

use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::sync::{Mutex, MutexGuard};

pub use address::{Address, AddressError};
pub use console::{PostgresConsole, PostgresQuery, detail};
use session::{Session, Tx};

use super::sqlite::Remembered;
use super::*;
use crate::clock::Clock;
use crate::fail_point::{Point, pass};
use crate::job::{self, Event, RetryRules, Wish};
use crate::limit::joint::Joint;

type Inner<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A haul database on a server.
pub struct PostgresStore {
    address: Address,
    session: Mutex<Session>,
    clock: Clock,
    /// The run that was begun over this store; 0 = none.
    run: AtomicI64,
    /// What becomes of a POST or PATCH of another run that is dead.
    on_uncertain: std::sync::Mutex<OnUncertain>,
    /// Changes that were made by others, as far as they were seen.
    seen: AtomicI64,
    /// Changes that were made over this store.
    own: AtomicI64,
    shared: Shared,
    /// Limits hold for all workers together; without, permits are written down as they are given.
    joint: bool,
}

/// `execute!(tx, "verb.sql", bound..)`: runs the statement in that file, gives the number of rows it changed.
macro_rules! execute {
    ($tx:expr, $file:literal $(, $bound:expr)*) => {
        sqlx::query(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/postgres/", $file)))
            .persistent($tx.named)$(.bind($bound))*.execute(&mut $tx.connection).await?.rows_affected()
    };
}

/// `rows!(tx, "verb.sql", bound..)`: all rows of the statement in that file; only where they are few.
macro_rules! rows {
    ($tx:expr, $file:literal $(, $bound:expr)*) => {
        sqlx::query(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/postgres/", $file)))
            .persistent($tx.named)$(.bind($bound))*.fetch_all(&mut $tx.connection).await?
    };
}

/// `scalar!(tx, "verb.sql", bound..)`: the one value that the statement in that file gives.
macro_rules! scalar {
    ($tx:expr, $file:literal $(, $bound:expr)*) => {
        sqlx::query_scalar(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/postgres/", $file)))
            .persistent($tx.named)$(.bind($bound))*.fetch_one(&mut $tx.connection).await?
    };
}

/// `optional!(tx, "verb.sql", bound..)`: the one value that the statement in that file gives, if any.
macro_rules! optional {
    ($tx:expr, $file:literal $(, $bound:expr)*) => {
        sqlx::query_scalar(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/postgres/", $file)))
            .persistent($tx.named)$(.bind($bound))*.fetch_optional(&mut $tx.connection).await?
    };
}

/// `transaction!(store, "what is done", begin, writes, |tx| ..)`: one transaction, whole or not at all; again, where it came into
/// another's way. Never cancelled: see [`Store`].
macro_rules! transaction {
    ($store:expr, $doing:literal, $begin:expr, $writes:literal, |$tx:ident| $work:expr) => {{
        let mut session = $store.session().await;
        let mut tries = 0;
        loop {
            let ended = match session.begin($begin).await {
                Err(failed) => Err(failed),
                Ok(()) => {
                    let done: Inner<_> = async {
                        let $tx = session.tx()?;
                        Ok($work)
                    }
                    .await;
                    match done {
                        Ok(done) => session.commit($writes).await.map(|()| done),
                        Err(error) => Err(session.roll_back(error).await),
                    }
                }
            };
            tries += 1;
            match ended {
                Ok(done) => break Ok(done),
                Err(failed) => {
                    if let Some(told) = session.told($doing, failed, tries) {
                        break Err(told);
                    }
                }
            }
        }
    }};
}

/// A transaction that writes.
macro_rules! write_tx {
    ($store:expr, $doing:literal, |$tx:ident| $work:expr) => {
        transaction!($store, $doing, session::BEGIN, true, |$tx| $work)
    };
}

/// A transaction that only reads.
macro_rules! read_tx {
    ($store:expr, $doing:literal, |$tx:ident| $work:expr) => {
        transaction!($store, $doing, session::BEGIN, false, |$tx| $work)
    };
}

// Here, below the macros that they use.
mod claim;
mod columns;
mod commit;
mod history;
mod import;
mod open;
mod overview;
mod plan;
mod recover;
mod rerender;
mod share;
mod templates;
mod wish;

pub use open::SCHEMA_VERSION;

impl PostgresStore {
    /// Opens the database, bringing its schema up to date; makes it where `create` says so.
    ///
    /// # Errors
    /// Where it cannot be reached, there is none, or its tables belong to something else or to a newer haul.
    pub async fn open(address: Address, create: bool) -> Result<Self, StoreError> {
        let store = Self::new(address);
        store.bring_up_to_date(create).await?;
        // What others write from here on is a change; the first look may come long after a first claim.
        let changes = read_tx!(store, "look at the database", |tx| scalar!(tx, "changes.sql"))?;
        store.seen.store(changes, Ordering::Relaxed);
        Ok(store)
    }

    /// Opens the database only to read it: makes and changes nothing, and needs no right to.
    ///
    /// # Errors
    /// Where it cannot be reached, there is none, or its tables belong to something else, or to another haul.
    pub async fn open_to_read(address: Address) -> Result<Self, StoreError> {
        let store = Self::new(address);
        store.look_only().await?;
        Ok(store)
    }

    fn new(address: Address) -> Self {
        let clock = Clock::start();
        let session = Mutex::new(Session::new(address.clone(), clock));
        Self {
            address,
            session,
            clock,
            run: AtomicI64::new(0),
            on_uncertain: std::sync::Mutex::default(),
            seen: AtomicI64::new(0),
            own: AtomicI64::new(0),
            shared: Shared::default(),
            joint: false,
        }
    }

    /// The same store, over which limits hold for all workers together, by this clock of [`PostgresStore::clock`].
    #[must_use]
    pub fn jointly(self, clock: Clock) -> Self {
        Self { joint: true, clock, ..self }
    }

    /// A clock that shows what the server's does, or a little more, by what it took to ask: what is sent in time by this one is in
    /// time.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn clock(&self) -> Result<Clock, StoreError> {
        let mut closest: Option<(Micros, Clock)> = None;
        for _ in 0..3 {
            let before_us = self.clock.now_us();
            let server_us: Micros = read_tx!(self, "read the clock of the server", |tx| scalar!(tx, "clock.sql"))?;
            let took_us = self.clock.now_us() - before_us;
            if closest.as_ref().is_none_or(|(best_us, _)| took_us < *best_us) {
                closest = Some((took_us, Clock::set(server_us.saturating_add(took_us))));
            }
        }
        Ok(closest.map_or_else(Clock::start, |(_, clock)| clock))
    }

    /// Says goodbye to the server.
    ///
    /// # Errors
    /// Never, by now: all that was done is written, and a connection that is broken is closed too.
    pub async fn close(self) -> Result<(), StoreError> {
        if let Err(error) = self.session.into_inner().close().await {
            tracing::debug!(%error, "the server hears no goodbye");
        }
        Ok(())
    }

    async fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().await
    }

    fn on_uncertain(&self) -> OnUncertain {
        *self.on_uncertain.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether others have changed anything since the last look.
    fn has_changed(&self, changes: i64) -> bool {
        let by_others = changes - self.own.load(Ordering::Relaxed);
        self.seen.swap(by_others, Ordering::Relaxed) != by_others
    }

    /// This very store has changed something, once, where it did: that is no news to it.
    fn told<T>(&self, done: T, changed: impl FnOnce(&T) -> bool) -> T {
        self.own.fetch_add(i64::from(changed(&done)), Ordering::Relaxed);
        done
    }

    fn for_all(&self) -> Option<&Shared> {
        self.joint.then_some(&self.shared)
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Store for PostgresStore {
    fn shared(&self) -> Option<&Shared> {
        self.for_all()
    }

    async fn begin_import(&self, source: &str, template: Option<&str>, now_us: Micros) -> Done<i64> {
        write_tx!(self, "begin the import", |tx| import::begin(tx, source, template, now_us).await?)
    }

    async fn import(&self, import: i64, chunk: &Chunk, now_us: Micros) -> Done<Imported> {
        let done = write_tx!(self, "import rows", |tx| import::alone(tx, import, chunk, now_us).await?);
        self.told(done, Result::is_ok)
    }

    async fn import_whole<P: Parts>(&self, parts: &mut P, now_us: Micros) -> Done<bool> {
        let mut session = self.session().await;
        let whole = import::whole(&mut session, parts, now_us).await;
        // What was handed over is gone: it is not done again here.
        let whole = self.told(whole, |whole| matches!(whole, Ok(true)));
        whole.map_err(|failed| import::never_again(session.told("import all or nothing", failed, u32::MAX)))
    }

    async fn rerender(
        &self,
        change: &Rerender<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        now_us: Micros,
    ) -> Done<Rerendered> {
        let mut session = self.session().await;
        let done = rerender::all(&mut session, change, stop, now_us).await;
        done.map_err(|failed| import::never_again(session.told("change the requests", failed, u32::MAX)))
    }

    async fn rejected(&self, import: i64, after_line: u64, most: u32) -> Done<Vec<Reject>> {
        read_tx!(self, "read the rejected rows", |tx| {
            let after = i64::try_from(after_line).unwrap_or(i64::MAX);
            let found = rows!(tx, "rejected.sql", import, after, i64::from(most));
            found.iter().map(rows::reject).collect::<Inner<_>>()?
        })
    }

    async fn recover(&self, run: &NewRun, now_us: Micros) -> Done<Recovered> {
        let began_us = self.clock.now_us();
        let found: Recovered = write_tx!(self, "begin the run", |tx| recover::recover(tx, run, now_us).await?)?;
        *self.on_uncertain.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = run.on_uncertain;
        self.run.store(found.run, Ordering::Relaxed);
        self.shared.beaten(began_us);
        Ok(self.told(found, |_| true))
    }

    async fn claim(&self, run: i64, want: &Want, spends: &[Micros], now_us: Micros) -> Done<Vec<Lease>> {
        let (shared, began_us) = (self.for_all(), self.clock.now_us());
        let claimed = write_tx!(self, "claim jobs", |tx| {
            let limits = share::lock(tx).await?;
            claim::claim(tx, limits, run, want, spends, shared, now_us).await?
        });
        self.shared.took(self.clock.now_us() - began_us);
        claimed
    }

    async fn commit(&self, run: i64, batch: &[WriteBack], minutes: &Minutes, now_us: Micros) -> Done<Committed> {
        let shared = self.for_all();
        write_tx!(self, "write outcomes back", |tx| {
            if commit::moves_permits(batch) {
                share::lock(tx).await?;
            }
            let written = commit::outcomes(tx, run, batch, shared, now_us).await?;
            commit::numbers(tx, written, minutes, now_us).await?
        })
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
        let (shared, began_us) = (self.for_all(), self.clock.now_us());
        let exchanged = write_tx!(self, "write outcomes back and claim jobs", |tx| {
            let limits = share::lock(tx).await?;
            let written = commit::outcomes(tx, run, batch, shared, now_us).await?;
            let leases = claim::claim(tx, limits, run, want, spends, shared, now_us).await?;
            (commit::numbers(tx, written, minutes, now_us).await?, leases)
        });
        self.shared.took(self.clock.now_us() - began_us);
        exchanged
    }

    async fn spend(&self, run: i64, further: &[Further]) -> Done<Vec<Spent>> {
        let shared = self.for_all();
        write_tx!(self, "write permits down", |tx| commit::further(tx, run, further, shared).await?)
    }

    async fn release(&self, run: i64, leases: &[(i64, u32)], spends: &[Micros]) -> Done<()> {
        let skew_us = self.shared.skew_us();
        write_tx!(self, "give leases back", |tx| {
            if !spends.is_empty() {
                share::lock(tx).await?;
            }
            let (jobs, attempts) = columns::leases(leases.iter().copied());
            execute!(tx, "release.sql", jobs, attempts, run);
            share::unspend(tx, spends.iter().map(|until_us| until_us - skew_us)).await?;
        })
    }

    async fn accuse(&self, run: i64, job: i64, attempt: u32) -> Done<bool> {
        write_tx!(self, "note that a suspect is processed", |tx| {
            execute!(tx, "accuse.sql", job, i32::try_from(attempt)?, run) == 1
        })
    }

    /// What other workers hold may come back, should they die: while there is any, there may be something to do in a moment.
    async fn next_due(&self) -> Done<Option<Micros>> {
        const MOMENT_US: Micros = 1_000_000;
        let (run, now_us) = (self.run.load(Ordering::Relaxed), self.clock.now_us());
        read_tx!(self, "look for the next job", |tx| scalar!(tx, "next_due.sql", run, now_us + MOMENT_US))
    }

    async fn next_to_process(&self) -> Done<Option<Micros>> {
        read_tx!(self, "look for the next job to process", |tx| scalar!(tx, "next_to_process.sql"))
    }

    async fn pause_limit(&self, limit: &Limit, until_us: Micros) -> Done<()> {
        write_tx!(self, "pause the limit", |tx| {
            execute!(tx, "pause_limit.sql", &limit.name, until_us, limit.jitter_us);
        })
    }

    async fn look(&self, run: i64, beat: Option<&Beat>) -> Done<Look> {
        let before_us = self.clock.now_us();
        let (control, changes, death, server_us): (Option<String>, i64, bool, Micros) =
            read_tx!(self, "look at the database", |tx| {
                let row = &rows!(tx, "look.sql", run)[0];
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)
            })?;
        self.shared.compare(before_us, server_us, self.clock.now_us());
        let asked = |what: &str| control.as_deref() == Some(what);
        if death {
            self.take_up_the_dead(run, server_us).await?;
        }
        if let Some(Beat { at_us, .. }) = beat {
            let began_us = self.clock.now_us();
            let lives: bool = write_tx!(self, "give a sign of life", |tx| {
                let lives = execute!(tx, "heartbeat.sql", run) == 1;
                share::lock(tx).await?;
                execute!(tx, "forget_spends.sql", at_us);
                lives
            })?;
            if lives {
                self.shared.beaten(began_us);
            }
        }
        let changed = self.has_changed(changes);
        Ok(Look { changed, stop: asked("stop"), pause: asked("pause"), log_bytes: 0 })
    }

    async fn end(&self, run: i64, outcome: RunOutcome, now_us: Micros) -> Done<()> {
        write_tx!(self, "end the run", |tx| {
            execute!(tx, "end_run.sql", run, now_us, outcome.as_str());
        })
    }

    async fn ask_to_stop(&self, run: i64) -> Done<bool> {
        write_tx!(self, "ask the run to stop", |tx| execute!(tx, "ask_to_stop.sql", run) == 1)
    }

    async fn ask_to_pause(&self, run: i64, pause: bool) -> Done<bool> {
        let control = pause.then_some("pause");
        write_tx!(self, "ask the run to pause", |tx| execute!(tx, "ask_to_pause.sql", run, control) == 1)
    }

    async fn keep_limits(&self, limits: &[Limit]) -> Done<()> {
        let done = write_tx!(self, "change the limits", |tx| recover::steer_limits(tx, limits).await?);
        self.told(done, Result::is_ok)
    }

    async fn limits(&self) -> Done<Vec<Limit>> {
        let limits: Vec<(Limit, Micros)> = read_tx!(self, "read the limits", |tx| recover::limits(tx).await?)?;
        Ok(limits.into_iter().map(|(limit, _)| limit).collect())
    }

    async fn grant(&self, wish: Wish, jobs: &[i64], now_us: Micros) -> Done<Granted> {
        let done = write_tx!(self, "move jobs", |tx| wish::grant(tx, wish, jobs, now_us).await?);
        self.told(done, |done| done.as_ref().is_ok_and(|granted: &Granted| granted.moved() > 0))
    }

    async fn prune(&self, jobs: &[i64]) -> Done<u64> {
        write_tx!(self, "drop stored responses", |tx| execute!(tx, "prune.sql", jobs))
    }

    async fn settings(&self) -> Done<Option<String>> {
        read_tx!(self, "read the settings of the last run", |tx| optional!(tx, "settings.sql"))
    }

    async fn template(&self) -> Done<Option<String>> {
        read_tx!(self, "read the template of the last import", |tx| templates::newest(tx).await?)
    }

    async fn counts(&self) -> Done<Counts> {
        read_tx!(self, "count the jobs", |tx| {
            rows!(tx, "counts.sql").iter().map(rows::count).collect::<Inner<Counts>>()?
        })
    }
}

impl PostgresStore {
    /// Takes up what dead workers held.
    async fn take_up_the_dead(&self, run: i64, now_us: Micros) -> Done<()> {
        let again = self.on_uncertain();
        let found: Recovered =
            write_tx!(self, "take up what a dead run held", |tx| recover::free_the_dead(tx, run, again, now_us)
                .await?)?;
        let Recovered { interrupted, poisoned, lost, .. } = found;
        tracing::info!(interrupted, poisoned, lost, "another worker is dead; what it held goes on");
        Ok(())
    }

    /// The runs that are going.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn going(&self) -> Result<Vec<i64>, StoreError> {
        read_tx!(self, "look which runs are going", |tx| {
            rows!(tx, "going.sql").iter().map(|row| row.try_get(0)).collect::<Result<_, sqlx::Error>>()?
        })
    }
}
