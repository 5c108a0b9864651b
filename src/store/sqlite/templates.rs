//! How requests were made, as imports remember it. Read without writing, before anything is changed.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row, query, query_scalar};

use super::{failed, open_read_only, probe};
use crate::store::StoreError;

/// The first version of the schema that remembers templates.
const SINCE: i64 = 3;

/// How the newest import made its requests, as JSON, if it began after the last run.
///
/// # Errors
/// As of [`open_read_only`].
pub async fn last_template(path: &Path) -> Result<Option<String>, StoreError> {
    let Some(mut connection) = reader(path).await? else { return Ok(None) };
    let template = newest(&mut connection).await.map_err(failed("read the template of the last import"));
    connection.close().await.map_err(failed("close the database"))?;
    template
}

/// All the ways in which imports made requests, as JSON; few, as each is a decision of somebody's.
///
/// # Errors
/// As of [`open_read_only`].
pub async fn templates(path: &Path) -> Result<Vec<String>, StoreError> {
    let Some(mut connection) = reader(path).await? else { return Ok(Vec::new()) };
    let all = query_scalar(include_str!("templates.sql")).fetch_all(&mut connection).await;
    connection.close().await.map_err(failed("close the database"))?;
    all.map_err(failed("read the templates of the imports"))
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

/// `None`: there is nothing yet, or it was made before templates were remembered.
async fn reader(path: &Path) -> Result<Option<SqliteConnection>, StoreError> {
    match probe::look(path).await? {
        probe::Found::Ours { version } if version >= SINCE => Ok(Some(open_read_only(path).await?)),
        _ => Ok(None),
    }
}

pub(super) async fn newest(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let Some(row) = query(include_str!("template.sql")).fetch_optional(connection).await? else { return Ok(None) };
    let newer: bool = row.try_get(1)?;
    Ok(if newer { Some(row.try_get(0)?) } else { None })
}
