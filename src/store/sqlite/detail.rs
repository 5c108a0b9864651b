//! Everything about one job, read in one snapshot.

use std::path::Path;

use serde_json::{Map, Value as Json};
use sqlx::{Connection, SqliteConnection};

use super::answers::{Columns, Stored, line, stored};
use super::console::{Value, values};
use super::{failed, open_read_only};
use crate::report::iso_8601;
use crate::result_line::{LineError, ResultLine, Timings};
use crate::status::StatusSet;
use crate::store::StoreError;

/// How a job is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// By its key.
    Key(String),
    /// By its number.
    Id(i64),
}

/// One job.
#[derive(Debug)]
pub struct Detail {
    /// What programs want of it.
    pub line: ResultLine,
    /// A run works on it now, or died while it did.
    pub running: bool,
    /// When it was imported, ISO 8601.
    pub created_at: Option<String>,
    /// Not before this time, ISO 8601.
    pub due_at: Option<String>,
    /// When it was done, ISO 8601.
    pub finished_at: Option<String>,
    /// What made its result.
    pub processor: Option<String>,
    /// The input that it came from.
    pub source: String,
    /// The line of that input.
    pub source_line: i64,
    /// Its URL as it is stored, with marks around the names of secrets.
    pub url: String,
    /// Headers of its request, as they are stored.
    pub headers: Map<String, Json>,
    /// Body of its request, as it is stored.
    pub body: Option<Vec<u8>>,
    /// Its last attempts, at most a thousand, in their order.
    pub tries: Vec<Try>,
    /// Status code of the stored response.
    pub response_status: Option<i64>,
    /// The stored response.
    pub response: Option<Stored>,
}

/// One attempt.
#[derive(Debug)]
pub struct Try {
    /// The how many-th.
    pub attempt: i64,
    /// The run that made it.
    pub run: i64,
    /// When it was sent, ISO 8601; `None` = lost to a crash.
    pub started_at: Option<String>,
    /// Milliseconds by stage.
    pub timings: Timings,
    /// Whether it was in time.
    pub within_sla: Option<bool>,
    /// HTTP status code.
    pub status_code: Option<i64>,
    /// Of the body.
    pub bytes: Option<i64>,
    /// How it failed.
    pub error: Option<LineError>,
}

/// What was found under a name.
#[derive(Debug)]
pub enum Found {
    /// The job.
    Job(Box<Detail>),
    /// None; these keys stand next to where it would be.
    Near(Vec<String>),
}

/// Reads one job; works while a run is going.
///
/// # Errors
/// Where the database cannot be read.
pub async fn detail(path: &Path, which: &Which, retry_on: &StatusSet) -> Result<Found, StoreError> {
    let mut conn = open_read_only(path).await?;
    let read = async {
        let mut tx = conn.begin().await?;
        let found = find(&mut tx, which, retry_on).await;
        tx.rollback().await?;
        found
    };
    let found = read.await.map_err(failed("read the job"));
    conn.close().await.map_err(failed("close the database"))?;
    found
}

type Read<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

async fn find(conn: &mut SqliteConnection, which: &Which, retry_on: &StatusSet) -> Read<Found> {
    let id = match which {
        Which::Id(id) => Some(*id),
        Which::Key(key) => {
            sqlx::query_scalar(include_str!("detail/id.sql")).bind(key).fetch_optional(&mut *conn).await?
        }
    };
    let row = match id {
        Some(id) => sqlx::query(include_str!("detail/job.sql")).bind(id).fetch_optional(&mut *conn).await?,
        None => None,
    };
    match (row, which) {
        (Some(row), _) => {
            let mut found = job(&values(&row)?, retry_on)?;
            let tries = sqlx::query(include_str!("detail/tries.sql")).bind(id).fetch_all(conn).await?;
            let tries = tries.iter().rev().map(|row| Ok(one_try(&values(row)?, retry_on)));
            found.tries = tries.collect::<Result<_, sqlx::Error>>()?;
            Ok(Found::Job(Box::new(found)))
        }
        (None, Which::Id(_)) => Ok(Found::Near(Vec::new())),
        (None, Which::Key(key)) => {
            let mut near: Vec<String> = Vec::new();
            for sql in [include_str!("detail/keys_before.sql"), include_str!("detail/keys_behind.sql")] {
                near.extend(sqlx::query_scalar(sql).bind(key).fetch_all(&mut *conn).await?);
            }
            Ok(Found::Near(near))
        }
    }
}

/// Reads a row of `job.sql`.
pub(in crate::store) fn job(values: &[Value], retry_on: &StatusSet) -> Result<Detail, String> {
    let mut columns = Columns(values.iter());
    let line = line(&mut columns, retry_on);
    Ok(Detail {
        line,
        running: columns.flag().unwrap_or(false),
        created_at: columns.text(),
        due_at: columns.text(),
        finished_at: columns.text(),
        processor: columns.text(),
        source: columns.text().unwrap_or_default(),
        source_line: columns.integer().unwrap_or(0),
        url: columns.text().unwrap_or_default(),
        headers: serde_json::from_str(&columns.text().unwrap_or_default()).unwrap_or_default(),
        body: columns.bytes(),
        tries: Vec::new(),
        response_status: columns.integer(),
        response: stored(&mut columns)?,
    })
}

/// Reads a row of `tries.sql`.
pub(in crate::store) fn one_try(values: &[Value], retry_on: &StatusSet) -> Try {
    let mut columns = Columns(values.iter());
    Try {
        attempt: columns.integer().unwrap_or(0),
        run: columns.integer().unwrap_or(0),
        started_at: columns.integer().map(iso_8601),
        timings: columns.timings(),
        within_sla: columns.flag(),
        status_code: columns.integer(),
        bytes: columns.integer(),
        error: columns.error(retry_on),
    }
}
