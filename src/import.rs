//! The first step: rows of an input become jobs.
//!
//! Reading and rendering run on a thread of their own, a chunk ahead of the store. A chunk is durable whole or not at all,
//! and importing the same input again adds what is missing, so an import may end at any moment.

mod built;
mod csv;
mod encoding;
mod input;
mod jobs;
mod json;
mod jsonl;
mod lines;
mod packed;
mod records;
mod repeat;
mod rerender;
mod stream;
mod strict;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use self::built::Added;
pub(crate) use self::built::import_built;
pub use self::encoding::Encoding;
pub use self::input::{Format, Input, Options, Source};
use self::jobs::{Ended, Jobs};
pub use self::rerender::judge;
pub use self::strict::{Strict, import_strictly};
use crate::clock::Clock;
use crate::fail_point::{Point, pass};
pub use crate::store::OnConflict;
use crate::store::{Chunk, Imported, NewJob, Reject, Store, StoreError};
use crate::template::{Raw, Template};

/// Rows of a chunk, at most.
const CHUNK_ROWS: usize = 5_000;
/// Bytes of a chunk's requests; the row that goes beyond them is its last.
const CHUNK_BYTES: usize = 4 << 20;
/// Chunks that wait for the store, at most.
const CHUNKS_AHEAD: usize = 2;
/// How often an import that waits for its input looks whether it should stop.
const LOOK: Duration = Duration::from_millis(200);
/// Rejected rows that a summary shows, at most.
const EXAMPLES: usize = 3;

/// Why an import could not go on. What was imported before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The input is not there or may not be read. Nothing was created.
    #[error("failed to open the input {name}")]
    Open {
        /// The path, as given.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The input is not what it should be. Nothing was created.
    #[error("the input {name} cannot be used: {why}")]
    Unusable {
        /// The path, as given.
        name: String,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// The input broke off.
    #[error("failed to read the input {name}; what was read before is imported, import it again for the rest")]
    Read {
        /// The path, as given.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The input broke off, and all of it was wanted or nothing.
    #[error("failed to read the input {name}; nothing is imported, import it again")]
    ReadStrictly {
        /// The path, as given.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Equal requests that may do harm can no longer be told from different ones.
    #[error(
        "the input {name} has too many different requests to see which are equal, and to send one twice may do harm; {so_far} \
         is imported. Say --merge-duplicates to go on (equal ones are one job), or begin a new database with a --key that \
         tells the jobs apart"
    )]
    TooManyDifferent {
        /// The path, as given.
        name: String,
        /// What was imported before that was seen.
        so_far: &'static str,
    },
    /// The thread that reads died.
    #[error("the reader of the input {name} broke down; this is a bug of haul")]
    Reader {
        /// The path, as given.
        name: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A row of the input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Line on which it begins, from 1.
    pub(crate) line: u64,
    /// Its columns.
    pub(crate) values: Map<String, Value>,
    /// What a line of JSON has beside them.
    pub(crate) raw: Option<Box<Raw>>,
}

/// An input in one of the formats. Holds one row at a time.
pub(crate) trait Rows: Send {
    /// The next row, or why it is none; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Result<Row, Reject>>>;

    /// The last row as it stood in the input.
    fn text(&self) -> &[u8];

    /// Its columns in their order, where all rows have the same.
    fn columns(&self) -> &[String] {
        &[]
    }
}

/// What becomes of equal requests of one input. Those that are given keys are told apart by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// GET and HEAD are one job; of other methods all but the first are rejected.
    #[default]
    Refuse,
    /// They are one job.
    Merge,
    /// Each is a job; the key tells which of its kind it is.
    Keep,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The import, as the store knows it.
    pub import: i64,
    /// Rows whose chunk is durable.
    pub rows: u64,
    /// Jobs that were new.
    pub added: u64,
    /// Bytes of the input read, a chunk or two ahead of the rows.
    pub bytes: u64,
    /// Bytes of the input; `None` where it is a stream.
    pub bytes_total: Option<u64>,
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Rows read, whatever became of them.
    pub rows: u64,
    /// Jobs that were new.
    pub added: u64,
    /// Rows whose job was there before.
    pub known: u64,
    /// Rows whose job was there before, not sent yet, and says now what they say.
    pub updated: u64,
    /// Rows that joined the job of an earlier row, whose request is the same. Counted up to 900,000 different requests.
    pub joined: u64,
    /// Rows that made no job. They are in the table `rejected`.
    pub rejected: u64,
    /// Of these, rows refused because an earlier row makes the same request, and to repeat it might do harm.
    pub refused_duplicates: u64,
    /// The first of the rejected rows; not those that the store refused.
    pub examples: Vec<Reject>,
    /// It was asked to stop before the end of the input.
    pub interrupted: bool,
}

/// A chunk on its way to the store.
#[derive(Default)]
struct Batch {
    chunk: Chunk,
    bytes: usize,
    about: About,
}

/// What is known of a chunk beyond its rows.
#[derive(Default)]
struct About {
    rows: u64,
    joined: u64,
    refused: u64,
    bytes_read: u64,
    examples: Vec<Reject>,
}

/// Imports an input. `stop` is asked between chunks, and while the input is waited for.
///
/// A reader that waits for a stream cannot be woken: after an interruption its thread lives on until the stream gives
/// something or ends, and the process should end without waiting for it.
///
/// # Errors
/// The input broke off, or the store failed.
pub async fn import<S: Store>(
    store: &S,
    input: Input,
    template: Arc<Template>,
    clock: &Clock,
    stop: &(dyn Fn() -> bool + Sync),
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Summary, ImportError> {
    let remembered = template.given().to_json();
    let reading = Reading::start(input, template);
    let import = store.begin_import(&reading.name, Some(&remembered), clock.now_us()).await?;
    pass(Point::ImportBegun);
    let mut taker = Importer { store, import, clock: *clock };
    reading.hand_over(&mut taker, stop, &mut |now| on_progress(Progress { import, ..now })).await
}

/// Hands the chunks of an input to somebody who does with them what an import would, but keeps nothing. `stop` as of [`import`].
///
/// # Errors
/// The input broke off, or what the taker says.
pub async fn survey(
    input: Input,
    template: Arc<Template>,
    taker: &mut impl Taker,
    stop: &(dyn Fn() -> bool + Sync),
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Summary, ImportError> {
    Reading::start(input, template).hand_over(taker, stop, on_progress).await.map_err(|error| match error {
        ImportError::Read { name, source } => ImportError::ReadStrictly { name, source },
        ImportError::TooManyDifferent { name, .. } => ImportError::TooManyDifferent { name, so_far: "nothing" },
        error => error,
    })
}

/// Who takes the chunks of an input.
pub trait Taker: Send {
    /// Takes a chunk, and tells what became of its rows.
    fn take(&mut self, chunk: &Chunk) -> impl Future<Output = Result<Imported, StoreError>> + Send;
}

/// Has a store import them.
struct Importer<'a, S> {
    store: &'a S,
    import: i64,
    clock: Clock,
}

impl<S: Store> Taker for Importer<'_, S> {
    async fn take(&mut self, chunk: &Chunk) -> Result<Imported, StoreError> {
        let done = self.store.import(self.import, chunk, self.clock.now_us()).await?;
        pass(Point::ChunkImported);
        Ok(done)
    }
}

/// An input that is being read, on a thread of its own.
struct Reading {
    name: String,
    batches: mpsc::Receiver<Batch>,
    reader: JoinHandle<Result<(), Ended>>,
    bytes_total: Option<u64>,
}

impl Reading {
    fn start(input: Input, template: Arc<Template>) -> Self {
        let Input { name, rows, duplicates, on_conflict, bytes_total, bytes_read } = input;
        let (sender, batches) = mpsc::channel(CHUNKS_AHEAD);
        let jobs = Jobs::new(rows, template, duplicates, on_conflict);
        let reader = tokio::task::spawn_blocking(move || read(jobs, &bytes_read, &sender));
        Self { name, batches, reader, bytes_total }
    }

    async fn hand_over(
        mut self,
        taker: &mut impl Taker,
        stop: &(dyn Fn() -> bool + Sync),
        on_progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Summary, ImportError> {
        let mut summary = Summary::default();
        loop {
            if stop() {
                summary.interrupted = true;
                return Ok(summary);
            }
            // Only the waiting is cut short: receiving loses nothing when it is dropped, and the taker's future never is.
            let batch: Batch = match tokio::time::timeout(LOOK, self.batches.recv()).await {
                Err(_) => continue,
                Ok(None) => break,
                Ok(Some(batch)) => batch,
            };
            let done = taker.take(&batch.chunk).await?;
            let bytes = batch.about.bytes_read;
            summary.add(batch.about, done);
            let Summary { rows, added, .. } = summary;
            on_progress(Progress { import: 0, rows, added, bytes, bytes_total: self.bytes_total });
        }
        let name = self.name;
        match self.reader.await {
            Ok(Ok(())) => Ok(summary),
            Ok(Err(Ended::Broken(source))) => Err(ImportError::Read { name, source }),
            Ok(Err(Ended::TooMany)) => Err(ImportError::TooManyDifferent { name, so_far: "what was read before" }),
            Err(_) => Err(ImportError::Reader { name }),
        }
    }
}

/// Reads to the end, or until nobody listens any more.
fn read(mut jobs: Jobs, bytes_read: &AtomicU64, sender: &mpsc::Sender<Batch>) -> Result<(), Ended> {
    let mut batch = Batch::default();
    let (mut joined, mut refused) = (0, 0);
    let mut end = None;
    while end.is_none() {
        match jobs.next() {
            Some(Ok(Ok(job))) => batch.push(job),
            Some(Ok(Err(reject))) => batch.reject(reject),
            Some(Err(error)) => end = Some(Err(error)),
            None => end = Some(Ok(())),
        }
        let full = batch.rows() >= CHUNK_ROWS || batch.bytes >= CHUNK_BYTES;
        if batch.rows() > 0 && (full || end.is_some()) {
            batch.about = About {
                rows: batch.rows() as u64,
                joined: jobs.joined - joined,
                refused: jobs.refused - refused,
                bytes_read: bytes_read.load(Ordering::Relaxed),
                examples: batch.chunk.rejects.iter().take(EXAMPLES).cloned().collect(),
            };
            (joined, refused) = (jobs.joined, jobs.refused);
            if sender.blocking_send(std::mem::take(&mut batch)).is_err() {
                return Ok(());
            }
        }
    }
    end.unwrap_or(Ok(()))
}

impl Batch {
    fn push(&mut self, job: NewJob) {
        let request = &job.request;
        let lengths = |map: &Map<String, Value>| -> usize { map.iter().map(|(n, v)| n.len() + text_length(v)).sum() };
        let row = lengths(&request.row) + lengths(&request.headers);
        self.bytes += job.key.len() + request.url.len() + request.body.as_ref().map_or(0, |body| body.len()) + row;
        self.chunk.jobs.push(job);
    }

    fn reject(&mut self, reject: Reject) {
        self.bytes += reject.text.len() + reject.reason.len();
        self.chunk.rejects.push(reject);
    }

    fn rows(&self) -> usize {
        self.chunk.jobs.len() + self.chunk.rejects.len()
    }
}

/// About how long a value is as JSON.
fn text_length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(text_length).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + text_length(value)).sum(),
        _ => 8,
    }
}

impl Summary {
    fn add(&mut self, about: About, done: Imported) {
        self.rows += about.rows;
        self.added += done.added;
        self.updated += done.updated;
        self.rejected += done.rejected;
        self.joined += about.joined;
        self.known += done.known.saturating_sub(about.joined);
        self.refused_duplicates += about.refused;
        self.show(about.examples);
    }

    /// The first of the rejected rows are kept to be shown.
    fn show(&mut self, rejects: Vec<Reject>) {
        let free = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(rejects.into_iter().take(free));
    }
}

/// A row of an input, and the job that an import makes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Keyed {
    /// Its columns; `None` where it could not be read.
    pub row: Option<Map<String, Value>>,
    /// Its job, or why there is none.
    pub job: Result<NewJob, Reject>,
}

/// The rows of an input with their jobs, as an import sees them; nothing is stored. Holds one row at a time.
pub struct Keys(Jobs);

/// Reads an input again, to find out which row is which job.
#[must_use]
pub fn keys(input: Input, template: Arc<Template>) -> Keys {
    Keys(Jobs::new(input.rows, template, input.duplicates, input.on_conflict))
}

impl Keys {
    /// The columns of the input in their order, where all rows have the same; else none.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        self.0.rows.columns()
    }
}

impl Iterator for Keys {
    type Item = io::Result<Keyed>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.0.rows.next().transpose()?;
        Some(row.and_then(|row| match row {
            Err(reject) => Ok(Keyed { row: None, job: Err(reject) }),
            Ok(row) => {
                let values = row.values.clone();
                let job = self.0.job(row).map_err(|ended| match ended {
                    Ended::Broken(error) => error,
                    Ended::TooMany => io::Error::other("there are too many different requests to tell which are equal"),
                })?;
                let row = job.as_ref().map_or(values, |job| job.request.row.clone());
                Ok(Keyed { row: Some(row), job })
            }
        }))
    }
}
