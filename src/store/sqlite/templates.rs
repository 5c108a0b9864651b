//! How requests were made, as imports remember it. Read without writing, before anything is changed.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row, query, query_scalar};

use super::{SqliteStore, failed, open, open_read_only, probe};
use crate::store::StoreError;

/// The first version of the schema that remembers templates.
const SINCE: i64 = 3;

/// What a database remembers for the next run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remembered {
    /// The settings of the last run, begun or still importing when it died, as JSON; `None` before the first.
    pub settings: Option<String>,
    /// How the newest import made its requests, as JSON, if it began after that run.
    pub template: Option<String>,
    /// All the ways in which imports made requests, as JSON; few, as each is a decision of somebody's.
    pub imported: Vec<String>,
}

/// Reads what a database remembers, without writing.
///
/// # Errors
/// As of [`open_read_only`].
pub async fn remembered(path: &Path) -> Result<Remembered, StoreError> {
    let probe::Found::Ours { version } = look(path).await? else { return Ok(Remembered::default()) };
    let mut connection = open_read_only(path).await?;
    let read = async {
        let intended = query_scalar(include_str!("intended.sql")).fetch_optional(&mut connection).await?;
        let last = query_scalar(include_str!("settings.sql")).fetch_optional(&mut connection).await?;
        let settings = intended.or(last);
        let (mut template, mut imported) = (None, Vec::new());
        if version >= SINCE {
            template = newest(&mut connection).await?;
            imported = query_scalar(include_str!("templates.sql")).fetch_all(&mut connection).await?;
        }
        Ok(Remembered { settings, template, imported })
    };
    let read = read.await.map_err(failed::<sqlx::Error>("read what the last run was told"));
    connection.close().await.map_err(failed("close the database"))?;
    read
}

/// What is there; an error where there is nothing.
async fn look(path: &Path) -> Result<probe::Found, StoreError> {
    match probe::look(path).await? {
        probe::Found::Absent => Err(StoreError::Missing { path: path.display().to_string() }),
        found => Ok(found),
    }
}

impl SqliteStore {
    /// Writes down what a run is told that imports first, so that whoever goes on after its death keeps its limits too.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn intend(&self, settings: &str) -> Result<(), StoreError> {
        let connection = &mut self.writer().await.connection;
        let written = query(include_str!("intend.sql")).bind(settings).execute(connection).await;
        written.map(drop).map_err(failed("write the settings of the run down"))
    }

    /// Writes down which jobs are being taken up to be processed again, in many transactions; `None`: all of them are. From
    /// here on the table is gone through, as by the run that follows: a large cache would only fill.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn mark(&self, condition: Option<&str>) -> Result<(), StoreError> {
        let connection = &mut self.writer().await.connection;
        let written = match condition {
            Some(condition) => {
                let marked = query(include_str!("begin_marking.sql")).bind(condition).execute(&mut *connection).await;
                query(open::SMALL_CACHE).execute(connection).await.and(marked)
            }
            None => query(include_str!("end_marking.sql")).execute(connection).await,
        };
        written.map(drop).map_err(failed("write down which jobs are processed again"))
    }

    /// What is true of the jobs that were being taken up when somebody died or was stopped.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn marking(&self) -> Result<Option<String>, StoreError> {
        let connection = &mut self.writer().await.connection;
        let marking = query_scalar(include_str!("marking.sql")).fetch_optional(connection).await;
        marking.map_err(failed("look which jobs are to be processed again"))
    }

    /// All the ways in which imports made requests, as JSON.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn templates(&self) -> Result<Vec<String>, StoreError> {
        let connection = &mut self.writer().await.connection;
        let all = query_scalar(include_str!("templates.sql")).fetch_all(connection).await;
        all.map_err(failed("read the templates of the imports"))
    }

    /// Whether a job that an import made with this template is not finished. Takes longer the more jobs wait.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn waits_for_template(&self, template: &str) -> Result<bool, StoreError> {
        let connection = &mut self.writer().await.connection;
        let waits = query_scalar(include_str!("waits_for_template.sql")).bind(template).fetch_one(connection).await;
        waits.map_err(failed("look for jobs of an import"))
    }
}

/// How many jobs were never sent, and how many there are. Takes longer the more wait to be sent.
///
/// # Errors
/// As of [`open_read_only`].
pub async fn count_unsent(path: &Path) -> Result<(u64, u64), StoreError> {
    if !matches!(probe::look(path).await?, probe::Found::Ours { .. }) {
        return Ok((0, 0));
    }
    let mut connection = open_read_only(path).await?;
    let counted = async {
        let unsent: i64 = query_scalar(include_str!("count_unsent.sql")).fetch_one(&mut connection).await?;
        let kept = query(include_str!("counts.sql")).fetch_all(&mut connection).await?;
        let all = kept.iter().map(|row| row.try_get::<i64, _>(2)).sum::<Result<i64, _>>()?;
        Ok((unsent.unsigned_abs(), all.unsigned_abs()))
    };
    let counted = counted.await.map_err(failed::<sqlx::Error>("count the jobs that were not sent"));
    connection.close().await.map_err(failed("close the database"))?;
    counted
}

pub(super) async fn newest(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let Some(row) = query(include_str!("template.sql")).fetch_optional(connection).await? else { return Ok(None) };
    let newer: bool = row.try_get(1)?;
    Ok(if newer { Some(row.try_get(0)?) } else { None })
}
