//! Reads what became of a database over time: kept numbers and small indexes, never the jobs or all attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

use super::overview::{number, read as read_overview};
use super::{failed, pack};
use crate::clock::Micros;
use crate::report::history::{Example, History, Interrupted, MOST_RUNS, RunStory, Slot};
use crate::report::{phase, slots};
use crate::store::StoreError;

/// Runs whose time is shown, at most: the last ones.
pub(in crate::store) const MOST_SPANS: i64 = 10_000;

/// Types of failures with an example, at most. There are a few dozen status codes at worst.
pub(in crate::store) const MOST_TYPES: usize = 50;

type Read<T> = Result<T, sqlx::Error>;

/// What became of a database so far. Works while a run is going; takes as long as there are minutes and failures.
///
/// # Errors
/// Where the database cannot be read.
pub async fn history(conn: &mut SqliteConnection, now_us: Micros) -> Result<History, StoreError> {
    // One snapshot, or the numbers would not add up while a run writes.
    let read = async {
        let mut tx = conn.begin().await?;
        let history = read(&mut tx, now_us).await;
        tx.rollback().await?;
        history
    };
    read.await.map_err(failed("read the history of the database"))
}

async fn read(conn: &mut SqliteConnection, now_us: Micros) -> Read<History> {
    let overview = read_overview(conn, now_us).await?;
    let mut slots = slots::cut(&spans(conn).await?);
    fill(conn, &mut slots).await?;
    failures(conn, &mut slots).await?;
    let by_run = interrupted(conn).await?;
    let row = sqlx::query(include_str!("history/count_runs.sql")).fetch_one(&mut *conn).await?;
    let (all_runs, crashes) = (number(&row, 0)?, number(&row, 1)?);
    let interrupted = by_run.values().fold(Interrupted::default(), |all, run| Interrupted {
        jobs: all.jobs + run.jobs,
        stored: all.stored + run.stored,
    });
    let examples = examples(conn, &slots).await?;
    Ok(History { overview, slots, examples, runs: runs(conn, &by_run, now_us).await?, all_runs, crashes, interrupted })
}

async fn spans(conn: &mut SqliteConnection) -> Read<Vec<(Micros, Micros)>> {
    let rows = sqlx::query(include_str!("history/spans.sql")).bind(MOST_SPANS).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Hands over rows one by one: they may be many.
async fn each(
    conn: &mut SqliteConnection,
    query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    mut take: impl FnMut(&SqliteRow) -> Read<()>,
) -> Read<()> {
    let mut rows = query.fetch(conn);
    while let Some(row) = poll_fn(|cx| rows.as_mut().poll_next(cx)).await {
        take(&row?)?;
    }
    Ok(())
}

async fn fill(conn: &mut SqliteConnection, slots: &mut [Slot]) -> Read<()> {
    let spans: Vec<_> = slots.iter().map(|slot| (slot.from_us, slot.to_us)).collect();
    let query = sqlx::query(include_str!("history/slots.sql")).bind(pack::array(&spans));
    each(conn, query, |row| {
        let Some(slot) = usize::try_from(row.try_get::<i64, _>(0)?).ok().and_then(|i| slots.get_mut(i)) else {
            return Ok(());
        };
        let n = number(row, 3)?;
        let spread = slot.stages.entry(row.try_get(1)?).or_default();
        spread.n += n;
        spread.late += number(row, 4)?;
        spread.failed += number(row, 5)?;
        spread.buckets.insert(row.try_get(2)?, n);
        Ok(())
    })
    .await
}

async fn failures(conn: &mut SqliteConnection, slots: &mut [Slot]) -> Read<()> {
    each(conn, sqlx::query(include_str!("history/failed.sql")), |row| {
        // What never was sent has no time; it stands with the jobs.
        let Some(minute) = row.try_get::<Option<Micros>, _>(1)? else { return Ok(()) };
        if let Some(i) = slots::at(slots, minute) {
            *slots[i].failed.entry(row.try_get(0)?).or_default() += number(row, 2)?;
        }
        Ok(())
    })
    .await
}

async fn examples(conn: &mut SqliteConnection, slots: &[Slot]) -> Read<BTreeMap<String, Example>> {
    let types: BTreeSet<_> = slots.iter().flat_map(|slot| slot.failed.keys()).collect();
    let types: Vec<_> = types.into_iter().take(MOST_TYPES).collect();
    let query = sqlx::query(include_str!("history/examples.sql")).bind(pack::array(&types));
    let example = |row: &SqliteRow| Ok((row.try_get(0)?, Example { key: row.try_get(1)?, message: row.try_get(2)? }));
    query.fetch_all(conn).await?.iter().map(example).collect()
}

async fn interrupted(conn: &mut SqliteConnection) -> Read<BTreeMap<i64, Interrupted>> {
    let rows = sqlx::query(include_str!("history/interrupted.sql")).fetch_all(conn).await?;
    let run = |row: &SqliteRow| Ok((row.try_get(0)?, Interrupted { jobs: number(row, 1)?, stored: number(row, 2)? }));
    rows.iter().map(run).collect()
}

async fn runs(conn: &mut SqliteConnection, by_run: &BTreeMap<i64, Interrupted>, now_us: Micros) -> Read<Vec<RunStory>> {
    let rows = sqlx::query(include_str!("history/runs.sql")).bind(MOST_RUNS as i64).fetch_all(conn).await?;
    let run = |row: &SqliteRow| {
        let id = row.try_get(0)?;
        let (ended_at, heartbeat_at): (Option<Micros>, Micros) = (row.try_get(2)?, row.try_get(3)?);
        let outcome: Option<String> = row.try_get(4)?;
        // The end of a crashed run is when the next one noted it.
        let until = ended_at.filter(|_| outcome.as_deref() != Some("crashed")).unwrap_or(heartbeat_at);
        Ok(RunStory {
            id,
            started_at: row.try_get(1)?,
            until,
            phase: phase(heartbeat_at, ended_at, now_us),
            outcome,
            host: row.try_get(5)?,
            pid: row.try_get(6)?,
            version: row.try_get(7)?,
            settings: serde_json::from_str(row.try_get(8)?).ok(),
            requests: number(row, 9)?,
            results: number(row, 10)?,
            late: number(row, 11)?,
            interrupted: by_run.get(&id).copied().unwrap_or_default(),
        })
    };
    rows.iter().map(run).collect()
}
