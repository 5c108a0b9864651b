//! The library: a database, its jobs, and runs over them. The command line stands beside it, on the same parts.

mod page;
mod reprocess;
mod runner;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::error::Error;
use crate::import::{Added, OnConflict, import_built};
use crate::job::Job;
use crate::settings::Durability;
use crate::store::sqlite::{SqliteStore, results};
use crate::store::{Counts, Store, to_its_end};

pub use page::{Cursor, CursorError, JobResult, Page};
pub use runner::Runner;
pub use summary::Summary;

/// Results of a page, at most.
const PAGE: usize = 1_000;

/// A database of jobs. Cheap to clone: clones share it, also between threads and tasks, while a run goes.
///
/// Its futures need a tokio runtime with time and I/O enabled. They may be dropped: a transaction under way is finished all
/// the same.
///
/// ```
/// # mod server { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/library/tiny_server.rs")); }
/// use std::time::Duration;
///
/// use haul::{Cursor, Failure, Haul, Job, OnConflict, Response};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Geo {
///     city: String,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("backfill.db");
/// # let url = server::start(r#"{"city": "Bern"}"#);
/// let haul = Haul::open(file).await?;
/// let jobs = (1..=3).map(|id| Job::post(&url).json(&id).key(id));
/// haul.import(jobs, OnConflict::Skip).await?; // the same again adds nothing
///
/// let summary = haul
///     .runner()
///     .rate("200/s")
///     .concurrency(16)
///     .sla(Duration::from_millis(500))
///     .process(|response: &Response, job: &Job| -> Result<_, Failure> { Ok(response.json::<Geo>()?) })
///     .run()
///     .await?;
/// assert_eq!((summary.succeeded, summary.failed, summary.left), (3, 0, 0));
///
/// let mut cursor = Cursor::default();
/// loop {
///     let page = haul.results::<Geo>(cursor).await?;
///     if page.results.is_empty() {
///         break;
///     }
///     for result in &page.results {
///         println!("{}: {}", result.key, result.output.city);
///     }
///     cursor = page.next;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Haul {
    store: Arc<SqliteStore>,
    path: Arc<PathBuf>,
}

impl Haul {
    /// Opens the database, creating it, readable by its owner alone, where there is none.
    ///
    /// # Errors
    /// Where the file belongs to something else or to a newer haul (it is not touched then), or cannot be written.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = Arc::new(path.as_ref().to_owned());
        let file = path.clone();
        let store = to_its_end(async move { SqliteStore::open(&file, Durability::PowerLoss, true).await }).await?;
        Ok(Self { store: Arc::new(store), path })
    }

    /// Adds these jobs, those that are not there yet: importing the same again adds nothing, so an import that was cut off is
    /// made whole by another. A run that goes, here or in another process, sees them.
    ///
    /// The iterator is asked for a transaction's worth at a time (5,000 jobs or about 4 MB), on the thread of the caller: it
    /// may be endless in memory, but should not wait for something that this thread has to do. A job that cannot be sent stops
    /// nothing: it is refused, with the reason. Jobs without a key that make the same request are one job.
    ///
    /// # Errors
    /// Where the store fails. What was imported before stays.
    pub async fn import<I>(&self, jobs: I, on_conflict: OnConflict) -> Result<Added, Error>
    where
        I: IntoIterator<Item = Job>,
    {
        let tell = || self.store.told_of_jobs();
        Ok(import_built(&self.store, jobs.into_iter(), on_conflict, Clock::start(), tell).await?)
    }

    /// Sets a run up, with the settings of the last one until it is told others.
    pub fn runner(&self) -> Runner {
        Runner::new(self.clone())
    }

    /// The next results, at most 1,000, in the order in which they were committed. A page without results is the end for now;
    /// its cursor goes on when there are more. Begin with `Cursor::default()`, also while a run goes.
    ///
    /// A result that is made anew comes again, at its new place.
    ///
    /// # Errors
    /// Where the store fails, or a result is not of this shape.
    pub async fn results<T: DeserializeOwned>(&self, cursor: Cursor) -> Result<Page<T>, Error> {
        let path = self.path.clone();
        Page::read(cursor, to_its_end(async move { results(&path, cursor.place(), PAGE).await }).await?)
    }

    /// How many jobs there are, by state and type of failure. Kept, not counted: as fast at ten million as at ten.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn counts(&self) -> Result<Counts, Error> {
        let store = self.store.clone();
        Ok(to_its_end(async move { store.counts().await }).await?)
    }
}
