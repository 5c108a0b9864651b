//! Results, in the order in which they were committed.

use std::future::poll_fn;
use std::path::Path;

use sqlx::{Connection, Row};

use super::{failed, open_read_only};
use crate::clock::Micros;
use crate::store::StoreError;

/// Bytes of the results that are read at once; the one that goes beyond them is the last.
const MOST_BYTES: usize = 16 << 20;

/// A result as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// When its transaction wrote it: the first part of its place in the order.
    pub finished_at_us: Micros,
    /// The job: the second part.
    pub job: i64,
    /// Its key.
    pub key: String,
    /// The claim that made it.
    pub attempt: u32,
    /// Name and version of what made it.
    pub processor: String,
    /// JSON.
    pub output: String,
}

/// The results after this time and job, in the order of their commits: at most `most`, and about 16 MiB; none = there are
/// no more for now.
///
/// # Errors
/// As of [`open_read_only`].
pub async fn results(path: &Path, after: (Micros, i64), most: usize) -> Result<Vec<Finished>, StoreError> {
    let mut reader = open_read_only(path).await?;
    let query = sqlx::query(include_str!("results.sql")).bind(after.0).bind(after.1).bind(most as i64);
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut rows = query.fetch(&mut reader);
    let read = async {
        while bytes < MOST_BYTES
            && let Some(row) = poll_fn(|cx| rows.as_mut().poll_next(cx)).await.transpose()?
        {
            let finished = Finished {
                finished_at_us: row.try_get(0)?,
                job: row.try_get(1)?,
                key: row.try_get(2)?,
                attempt: row.try_get(3)?,
                processor: row.try_get(4)?,
                output: row.try_get(5)?,
            };
            bytes += finished.output.len();
            found.push(finished);
        }
        Ok(())
    };
    let read = read.await.map_err(failed::<sqlx::Error>("read the results"));
    drop(rows);
    read.and(reader.close().await.map_err(failed("close the database")))?;
    Ok(found)
}
