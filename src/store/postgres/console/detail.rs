//! Everything about one job, read in one snapshot.

use super::PostgresConsole;
use crate::status::StatusSet;
use crate::store::postgres::{Address, text};
use crate::store::sqlite::answers::Columns;
use crate::store::sqlite::console::QueryError;
use crate::store::sqlite::detail::{Found, Which, job, one_try};

/// Reads one job; works while runs are going.
///
/// # Errors
/// Where the database cannot be read.
pub async fn detail(address: &Address, which: &Which, retry_on: &StatusSet) -> Result<Found, QueryError> {
    let mut console = PostgresConsole::snapshot(address).await?;
    let found = find(&mut console, which, retry_on).await;
    console.close().await?;
    found
}

async fn find(console: &mut PostgresConsole, which: &Which, retry_on: &StatusSet) -> Result<Found, QueryError> {
    let mut id = None;
    match which {
        Which::Id(named) => id = Some(*named),
        Which::Key(key) => {
            let each = |row: &[_]| id = Columns(row.iter()).integer();
            console.look_up(include_str!("detail/id.sql"), &text::kept(key), each).await?;
        }
    }
    let (mut found, mut tries) = (None, Vec::new());
    if let Some(id) = id.map(|id| id.to_string()) {
        console.look_up(include_str!("detail/job.sql"), &id, |row| found = Some(job(row, retry_on))).await?;
        let each = |row: &[_]| tries.push(one_try(row, retry_on));
        console.look_up(include_str!("detail/tries.sql"), &id, each).await?;
    }
    match (found, which) {
        (Some(found), _) => {
            let mut found = found.map_err(std::io::Error::other)?;
            found.tries = tries.into_iter().rev().collect();
            Ok(Found::Job(Box::new(found)))
        }
        (None, Which::Id(_)) => Ok(Found::Near(Vec::new())),
        (None, Which::Key(key)) => {
            let mut near = Vec::new();
            for sql in [include_str!("detail/keys_before.sql"), include_str!("detail/keys_behind.sql")] {
                console.look_up(sql, &text::kept(key), |row| near.extend(Columns(row.iter()).text())).await?;
            }
            Ok(Found::Near(near))
        }
    }
}
