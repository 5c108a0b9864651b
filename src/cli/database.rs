//! Which database `--db` names: a file, or one on a server that many machines share.
//!
//! Everywhere else it is a path. Of a server that path is its address without the password, so no message can show that; what opens it
//! stays here.

mod console;
mod reader;

use std::path::{Path, PathBuf};
#[cfg(feature = "postgres")]
use std::sync::OnceLock;

use haul::clock::{Clock, Micros};
use haul::job::Wish;
use haul::limit::Limit;
use haul::minutes::Minutes;
use haul::report::Overview;
use haul::settings::Durability;
#[cfg(feature = "postgres")]
use haul::store::postgres::{Address, PostgresStore};
use haul::store::sqlite::{self, Remembered, SqliteStore};
use haul::store::{
    Beat, Chunk, Committed, Counts, Further, Granted, Imported, Lease, Look, NewRun, Parts, Recovered, Reject,
    Rerender, Rerendered, RunOutcome, Shared, Spent, Store, StoreError, Want, WriteBack,
};

use super::exit::UsageError;
pub(crate) use console::{Console, Query, detail};
pub(crate) use reader::Reader;

/// The server that this program was told of, by the name under which it is shown.
#[cfg(feature = "postgres")]
static SERVER: OnceLock<(PathBuf, Address)> = OnceLock::new();

type Done<T> = Result<T, StoreError>;

/// The path by which a database is called from here on.
pub(crate) fn named(given: PathBuf) -> anyhow::Result<PathBuf> {
    let Some(text) = given.to_str().filter(|text| is_address(text)) else { return Ok(given) };
    #[cfg(feature = "postgres")]
    {
        let address: Address = text.parse().map_err(|error| UsageError(format!("--db: {error}")))?;
        let (shown, _) = SERVER.get_or_init(|| (address.to_string().into(), address));
        Ok(shown.clone())
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = text;
        Err(UsageError("--db: this haul was built without the feature `postgres`".to_owned()).into())
    }
}

fn is_address(text: &str) -> bool {
    let scheme = text.split("://").next().unwrap_or_default();
    text.contains("://") && ["postgres", "postgresql"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// A word of a command line; an address in it as it is shown.
pub(crate) fn without_password(word: &str) -> String {
    let (flag, text) = word.strip_prefix("--db=").map_or(("", word), |text| ("--db=", text));
    #[cfg(feature = "postgres")]
    if let Ok(address) = text.parse::<Address>() {
        return format!("{flag}{address}");
    }
    format!("{flag}{text}")
}

/// It is on a server.
pub(crate) fn is_shared(db: &Path) -> bool {
    db.to_str().is_some_and(is_address)
}

#[cfg(feature = "postgres")]
fn server(db: &Path) -> Option<&'static Address> {
    SERVER.get().filter(|(shown, _)| shown == db).map(|(_, address)| address)
}

/// The demo is for this machine alone.
pub(crate) fn no_demo(db: &Path) -> UsageError {
    UsageError(format!(
        "the demo works on a file alone; nothing was done to {}. Leave --db out, or name a file",
        db.display()
    ))
}

/// A database that is open.
pub(crate) enum Database {
    /// A file.
    File(SqliteStore),
    /// On a server.
    #[cfg(feature = "postgres")]
    Server(Box<PostgresStore>),
}

/// The same call on whichever it is.
macro_rules! either {
    ($database:expr, |$store:ident| $call:expr) => {
        match $database {
            Database::File($store) => $call,
            #[cfg(feature = "postgres")]
            Database::Server($store) => $call,
        }
    };
}

impl Database {
    /// Opens it; makes it where `create` says so.
    pub(crate) async fn open(db: &Path, durability: Durability, create: bool) -> Done<Self> {
        #[cfg(feature = "postgres")]
        if let Some(address) = server(db) {
            return Ok(Self::Server(Box::new(PostgresStore::open(address.clone(), create).await?)));
        }
        Ok(Self::File(SqliteStore::open(db, durability, create).await?))
    }

    /// Opens it for a run, with the clock by which that goes: that of the server, where many go by it.
    pub(crate) async fn open_to_run(
        db: &Path,
        durability: Durability,
        create: bool,
        clock: Clock,
    ) -> Done<(Self, Clock)> {
        match Self::open(db, durability, create).await? {
            #[cfg(feature = "postgres")]
            Self::Server(store) => {
                let clock = store.clock().await?;
                Ok((Self::Server(Box::new(store.jointly(clock))), clock))
            }
            file => Ok((file, clock)),
        }
    }

    pub(crate) async fn close(self) -> Done<()> {
        either!(self, |store| store.close().await)
    }

    pub(crate) async fn intend(&self, settings: &str) -> Done<()> {
        either!(self, |store| store.intend(settings).await)
    }

    pub(crate) async fn templates(&self) -> Done<Vec<String>> {
        either!(self, |store| store.templates().await)
    }

    pub(crate) async fn waits_for_template(&self, template: &str) -> Done<bool> {
        either!(self, |store| store.waits_for_template(template).await)
    }

    /// Writes down which jobs are being taken up to be processed again; `None`: all of them are.
    pub(crate) async fn mark(&self, condition: Option<&str>) -> Done<()> {
        either!(self, |store| store.mark(condition).await)
    }

    /// What is true of the jobs that were being taken up when somebody died or was stopped.
    pub(crate) async fn marking(&self) -> Done<Option<String>> {
        either!(self, |store| store.marking().await)
    }

    /// The runs that are going, where this is one of them: many are only on a server.
    pub(crate) async fn going(&self, run: i64) -> Done<Vec<i64>> {
        match self {
            Self::File(_) => Ok(vec![run]),
            #[cfg(feature = "postgres")]
            Self::Server(store) => store.going().await,
        }
    }

    /// The file that it is.
    pub(crate) fn file(&self) -> Option<&SqliteStore> {
        match self {
            Self::File(store) => Some(store),
            #[cfg(feature = "postgres")]
            Self::Server(_) => None,
        }
    }
}

/// What it remembers for the next run.
pub(crate) async fn remembered(db: &Path) -> Done<Remembered> {
    #[cfg(feature = "postgres")]
    if let Some(address) = server(db) {
        let store = PostgresStore::open_to_read(address.clone()).await?;
        let remembered = store.remembered().await?;
        store.close().await?;
        return Ok(remembered);
    }
    sqlite::remembered(db).await
}

/// How many jobs were never sent, and how many there are.
pub(crate) async fn count_unsent(db: &Path) -> Done<(u64, u64)> {
    #[cfg(feature = "postgres")]
    if let Some(address) = server(db) {
        let store = PostgresStore::open_to_read(address.clone()).await?;
        let counted = store.count_unsent().await?;
        store.close().await?;
        return Ok(counted);
    }
    sqlite::count_unsent(db).await
}

/// What there is to say about it now.
pub(crate) async fn overview(db: &Path, clock: Clock) -> Done<Overview> {
    let mut reader = Reader::open(db).await?;
    let overview = reader.overview(clock).await;
    let closed = reader.close().await;
    overview.and_then(|overview| closed.map(|()| overview))
}

impl Store for Database {
    fn shared(&self) -> Option<&Shared> {
        either!(self, |store| store.shared())
    }

    async fn begin_import(&self, source: &str, template: Option<&str>, now_us: Micros) -> Done<i64> {
        either!(self, |store| store.begin_import(source, template, now_us).await)
    }

    async fn import(&self, import: i64, chunk: &Chunk, now_us: Micros) -> Done<Imported> {
        either!(self, |store| store.import(import, chunk, now_us).await)
    }

    async fn import_whole<P: Parts>(&self, parts: &mut P, now_us: Micros) -> Done<bool> {
        either!(self, |store| store.import_whole(parts, now_us).await)
    }

    async fn rerender(
        &self,
        change: &Rerender<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        now_us: Micros,
    ) -> Done<Rerendered> {
        either!(self, |store| store.rerender(change, stop, now_us).await)
    }

    async fn rejected(&self, import: i64, after_line: u64, most: u32) -> Done<Vec<Reject>> {
        either!(self, |store| store.rejected(import, after_line, most).await)
    }

    async fn recover(&self, run: &NewRun, now_us: Micros) -> Done<Recovered> {
        either!(self, |store| store.recover(run, now_us).await)
    }

    async fn claim(&self, run: i64, want: &Want, spends: &[Micros], now_us: Micros) -> Done<Vec<Lease>> {
        either!(self, |store| store.claim(run, want, spends, now_us).await)
    }

    async fn commit(&self, run: i64, batch: &[WriteBack], minutes: &Minutes, now_us: Micros) -> Done<Committed> {
        either!(self, |store| store.commit(run, batch, minutes, now_us).await)
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
        either!(self, |store| store.exchange(run, batch, minutes, want, spends, now_us).await)
    }

    async fn spend(&self, run: i64, further: &[Further]) -> Done<Vec<Spent>> {
        either!(self, |store| store.spend(run, further).await)
    }

    async fn release(&self, run: i64, leases: &[(i64, u32)], spends: &[Micros]) -> Done<()> {
        either!(self, |store| store.release(run, leases, spends).await)
    }

    async fn accuse(&self, run: i64, job: i64, attempt: u32) -> Done<bool> {
        either!(self, |store| store.accuse(run, job, attempt).await)
    }

    async fn next_due(&self) -> Done<Option<Micros>> {
        either!(self, |store| store.next_due().await)
    }

    async fn next_to_process(&self) -> Done<Option<Micros>> {
        either!(self, |store| store.next_to_process().await)
    }

    async fn pause_limit(&self, limit: &Limit, until_us: Micros) -> Done<()> {
        either!(self, |store| store.pause_limit(limit, until_us).await)
    }

    async fn look(&self, run: i64, beat: Option<&Beat>) -> Done<Look> {
        either!(self, |store| store.look(run, beat).await)
    }

    async fn end(&self, run: i64, outcome: RunOutcome, now_us: Micros) -> Done<()> {
        either!(self, |store| store.end(run, outcome, now_us).await)
    }

    async fn ask_to_stop(&self, run: i64) -> Done<bool> {
        either!(self, |store| store.ask_to_stop(run).await)
    }

    async fn ask_to_pause(&self, run: i64, pause: bool) -> Done<bool> {
        either!(self, |store| store.ask_to_pause(run, pause).await)
    }

    async fn keep_limits(&self, limits: &[Limit]) -> Done<()> {
        either!(self, |store| store.keep_limits(limits).await)
    }

    async fn limits(&self) -> Done<Vec<Limit>> {
        either!(self, |store| store.limits().await)
    }

    async fn grant(&self, wish: Wish, jobs: &[i64], now_us: Micros) -> Done<Granted> {
        either!(self, |store| store.grant(wish, jobs, now_us).await)
    }

    async fn prune(&self, jobs: &[i64]) -> Done<u64> {
        either!(self, |store| store.prune(jobs).await)
    }

    async fn settings(&self) -> Done<Option<String>> {
        either!(self, |store| store.settings().await)
    }

    async fn template(&self) -> Done<Option<String>> {
        either!(self, |store| store.template().await)
    }

    async fn counts(&self) -> Done<Counts> {
        either!(self, |store| store.counts().await)
    }
}
