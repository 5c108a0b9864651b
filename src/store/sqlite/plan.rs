//! What a plan asks a database: what is known of an input already, what is sent first, what attempts took.

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Inner, failed, pack};
use crate::clock::Micros;
use crate::limit::Limit;
use crate::report::plan::Tried;
use crate::request::Request;
use crate::store::{NewJob, StoreError};

/// Attempts that are looked at, at most.
pub(in crate::store) const MOST: i64 = 1_000;

/// A row of an import whose key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its place among the rows.
    pub at: usize,
    /// The job asks something else.
    pub other: bool,
    /// The job was sent, or is done.
    pub sent: bool,
}

/// Those of these rows whose key is known.
///
/// # Errors
/// Where the database cannot be read.
pub async fn known(conn: &mut SqliteConnection, jobs: &[NewJob]) -> Result<Vec<Known>, StoreError> {
    let packed = pack::new_jobs(jobs);
    let read = async {
        let asked = sqlx::query(include_str!("plan/known.sql")).bind(packed.rows).bind(packed.blob);
        let known = |row: &SqliteRow| -> Inner<Known> {
            let at = usize::try_from(row.try_get::<i64, _>(0)?)?;
            Ok(Known { at, other: row.try_get(1)?, sent: row.try_get(2)? })
        };
        asked.fetch_all(conn).await?.iter().map(known).collect::<Inner<_>>()
    };
    read.await.map_err(failed("look for the rows of the input"))
}

/// The newest attempts, at most a thousand.
///
/// # Errors
/// Where the database cannot be read.
pub async fn tried(conn: &mut SqliteConnection) -> Result<Vec<Tried>, StoreError> {
    let read = async {
        let tried = |row: &SqliteRow| -> Inner<Tried> {
            let (fetch_us, process_us, latency_us) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
            Ok(Tried { job: row.try_get(0)?, sent: row.try_get(1)?, fetch_us, process_us, latency_us })
        };
        let rows = sqlx::query(include_str!("plan/tried.sql")).bind(MOST).fetch_all(conn).await?;
        rows.iter().map(tried).collect::<Inner<_>>()
    };
    read.await.map_err(failed("read the attempts"))
}

/// The requests that a run sends first, at most so many.
///
/// # Errors
/// Where the database cannot be read.
pub async fn first(conn: &mut SqliteConnection, most: usize) -> Result<Vec<Request>, StoreError> {
    let read = async {
        let request = |row: &SqliteRow| -> Inner<Request> {
            // Text is stored as text, which is read as bytes all the same.
            let body: Option<Vec<u8>> = row.try_get_unchecked(3)?;
            let headers = serde_json::from_str(row.try_get(2)?)?;
            let (method, url) = (row.try_get(0)?, row.try_get(1)?);
            Ok(Request { method, url, headers, body: body.map(Bytes::from), ..Request::default() })
        };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = sqlx::query(include_str!("plan/first.sql")).bind(most).fetch_all(conn).await?;
        rows.iter().map(request).collect::<Inner<_>>()
    };
    read.await.map_err(failed("read the first requests"))
}

/// When the oldest permit of this limit that counts now no longer does.
///
/// # Errors
/// Where the database cannot be read.
pub async fn frees_at(
    conn: &mut SqliteConnection,
    limit: &Limit,
    now_us: Micros,
) -> Result<Option<Micros>, StoreError> {
    let counts_for_us = limit.window_us.saturating_add(limit.jitter_us);
    let oldest = sqlx::query_scalar(include_str!("overview/spends.sql")).bind(&limit.name).bind(now_us - counts_for_us);
    let oldest: Result<Option<Micros>, _> = oldest.fetch_optional(conn).await;
    Ok(oldest.map_err(failed("read the permits"))?.map(|until_us| until_us + counts_for_us))
}
