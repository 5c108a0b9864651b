//! Moves jobs where somebody wants them. The decision is the one of [`job::wished`]; SQL only reads and writes.

use std::collections::BTreeSet;

use super::columns::Differences;
use super::*;
use crate::job::Next;

/// The transaction of [`Store::grant`].
pub(super) async fn grant(tx: &mut Tx, wish: Wish, jobs: &[i64], now_us: Micros) -> Inner<Granted> {
    // Named twice it would be counted twice.
    let wanted: Vec<i64> = jobs.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut granted = Granted::default();
    let mut differences = Differences::default();
    let mut batch = Vec::new();
    for row in rows!(tx, "standings.sql", wanted) {
        let (leased, has_response): (bool, bool) = (row.try_get(7)?, row.try_get(8)?);
        if leased {
            granted.held += 1;
            continue;
        }
        let (job, standing): (i64, _) = (row.try_get(0)?, rows::standing(&row, 1)?);
        let error_type: Option<String> = row.try_get(6)?;
        let failure = error_type.clone().map(ErrorType::stored);
        let Some(to) = job::wished(wish, standing, failure.as_ref(), has_response) else {
            granted.unfit += 1;
            continue;
        };
        granted.add(to.state);
        let next = Next { standing: to, ..Next::default() };
        differences.moved((standing.state, error_type.as_deref().unwrap_or_default()), &next);
        batch.push(WriteBack { job, next, ..WriteBack::default() });
    }
    if !batch.is_empty() {
        columns::write_jobs(tx, &batch.iter().collect::<Vec<_>>(), 0, now_us).await?;
        execute!(tx, "lock_kept.sql");
        differences.write(tx).await?;
        execute!(tx, "tell_of_change.sql");
    }
    Ok(granted)
}
