//! Moves jobs where somebody wants them. The decision is the one of [`job::wished`]; SQL only reads and writes.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::{Inner, pack};
use crate::attempt::ErrorType;
use crate::clock::Micros;
use crate::job::{self, Next, Standing, State, Wish};
use crate::store::{Granted, WriteBack};

/// A row of `standings.sql`: id, state, failures, generation, crashes, was, type of failure, leased, has a response.
type Row = (i64, String, u32, u32, u32, Option<String>, Option<String>, u8, u8);

/// The transaction of [`crate::store::Store::grant`].
pub(super) async fn grant(tx: &mut SqliteConnection, wish: Wish, jobs: &[i64], now_us: Micros) -> Inner<Granted> {
    // Named twice it would be counted twice.
    let wanted: BTreeSet<i64> = jobs.iter().copied().collect();
    let standings = sqlx::query_scalar(include_str!("standings.sql")).bind(pack::array(&wanted));
    let standings: String = standings.fetch_one(&mut *tx).await?;
    let standings: Vec<Row> = serde_json::from_str(&standings)?;
    let mut granted = Granted::default();
    let (mut from, mut batch) = (Vec::new(), Vec::new());
    for (job, state, failures, generation, crashes, was, error_type, leased, has_response) in standings {
        if leased != 0 {
            granted.held += 1;
            continue;
        }
        let was = was.as_deref().map(super::rows::state).transpose()?;
        let standing = Standing { state: super::rows::state(&state)?, failures, generation, crashes, was };
        let failure = error_type.clone().map(ErrorType::stored);
        let Some(standing) = job::wished(wish, standing, failure.as_ref(), has_response != 0) else {
            granted.unfit += 1;
            continue;
        };
        granted.add(standing.state);
        from.push(format!("{state} {}", error_type.unwrap_or_default()));
        batch.push(WriteBack { job, next: Next { standing, ..Next::default() }, ..WriteBack::default() });
    }
    if !batch.is_empty() {
        let (batch, from): (Vec<_>, Vec<_>) = (batch.iter().collect(), from.iter().map(String::as_str).collect());
        let counted = sqlx::query(include_str!("write_counts.sql")).bind(pack::counts(&batch, &from));
        counted.execute(&mut *tx).await?;
        let (again, others): (Vec<_>, Vec<_>) =
            batch.iter().copied().partition(|write| write.next.standing.was == Some(State::Succeeded));
        if !again.is_empty() {
            let ids: Vec<_> = again.iter().map(|write| write.job).collect();
            let moved = sqlx::query(include_str!("stored/take_up.sql")).bind(pack::array(&ids));
            moved.execute(&mut *tx).await?;
        }
        if !others.is_empty() {
            let moved = sqlx::query(include_str!("write_jobs.sql")).bind(pack::jobs(&others, 0, now_us));
            moved.execute(tx).await?;
        }
    }
    Ok(granted)
}
