//! Reads the numbers of a database: a handful of kept rows and small indexes, never the jobs themselves.

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

use super::failed;
use crate::clock::Micros;
use crate::job::State;
use crate::limit::is_long;
use crate::report::{FailureKind, Jobs, LimitNow, Overview, Phase, Rate, Run, Sla, StageLatency};
use crate::report::{over_last_minute, phase};
use crate::store::StoreError;

const MINUTE_US: Micros = 60_000_000;

type Read<T> = Result<T, sqlx::Error>;

/// What there is to say about a database now. As quick at ten million jobs as at ten; works while a run is going.
///
/// # Errors
/// Where the database cannot be read.
pub async fn overview(conn: &mut SqliteConnection, now_us: Micros) -> Result<Overview, StoreError> {
    // One snapshot, or the numbers would not add up while a run writes.
    let read = async {
        let mut tx = conn.begin().await?;
        let overview = read(&mut tx, now_us).await;
        tx.rollback().await?;
        overview
    };
    read.await.map_err(failed("read the numbers of the database"))
}

pub(super) async fn read(conn: &mut SqliteConnection, now_us: Micros) -> Read<Overview> {
    let jobs = jobs(conn).await?;
    let run = run(conn, now_us).await?;
    let since = run.as_ref().map_or(0, |run| run.started_at - run.started_at.rem_euclid(MINUTE_US));
    let [requests, results] = rates(conn, run.as_ref(), since, now_us).await?;
    let going = results.now_per_s.filter(|per_s| *per_s > 0.0 && jobs.left() > 0);
    Ok(Overview {
        schema: 1,
        at: now_us,
        source: source(conn).await?,
        limits: limits(conn, now_us).await?,
        failures: failures(conn).await?,
        latency: latency(conn, since, run.as_ref().map_or(0, |run| run.id)).await?,
        sla: sla(sqlx::query(include_str!("overview/sla.sql")).fetch_optional(&mut *conn).await?)?,
        run_sla: run_sla(conn, since, run.as_ref()).await?,
        eta_s: going.map(|per_s| jobs.left() as f64 / per_s),
        jobs,
        run,
        requests,
        results,
    })
}

async fn jobs(conn: &mut SqliteConnection) -> Read<Jobs> {
    let mut jobs = Jobs::default();
    for row in sqlx::query(include_str!("overview/counts.sql")).fetch_all(&mut *conn).await? {
        let n: u64 = number(&row, 2)?;
        let troubled: bool = row.try_get(1)?;
        jobs.total += n;
        match State::parse(row.try_get(0)?) {
            Some(State::Pending) => jobs.pending += n,
            Some(State::Fetched) => jobs.fetched += n,
            Some(State::Succeeded) => jobs.succeeded += n,
            Some(State::Failed) => jobs.failed += n,
            Some(State::Cancelled) => jobs.cancelled += n,
            None => continue,
        }
        if troubled && State::parse(row.try_get(0)?).is_some_and(|state| !state.is_final()) {
            jobs.retrying += n;
        }
    }
    let row = sqlx::query(include_str!("overview/in_flight.sql")).fetch_one(&mut *conn).await?;
    jobs.in_flight = number(&row, 0)?;
    jobs.retrying = jobs.retrying.saturating_sub(number(&row, 1)?); // those are at it again
    jobs.rejected = number(&sqlx::query(include_str!("overview/rejected.sql")).fetch_one(conn).await?, 0)?;
    Ok(jobs)
}

async fn source(conn: &mut SqliteConnection) -> Read<Option<String>> {
    sqlx::query_scalar(include_str!("overview/source.sql")).fetch_optional(conn).await
}

async fn run(conn: &mut SqliteConnection, now_us: Micros) -> Read<Option<Run>> {
    let row = sqlx::query(include_str!("overview/run.sql")).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    let (heartbeat_at, ended_at) = (row.try_get(5)?, row.try_get(6)?);
    Ok(Some(Run {
        id: row.try_get(0)?,
        phase: phase(heartbeat_at, ended_at, now_us),
        outcome: row.try_get(1)?,
        host: row.try_get(2)?,
        pid: row.try_get(3)?,
        started_at: row.try_get(4)?,
        heartbeat_at,
        ended_at,
        asked_to: row.try_get(7)?,
    }))
}

async fn limits(conn: &mut SqliteConnection, now_us: Micros) -> Read<Vec<LimitNow>> {
    let rows = sqlx::query(include_str!("overview/limits.sql")).fetch_all(&mut *conn).await?;
    let mut limits = Vec::new();
    for row in rows {
        let paused_until: Micros = row.try_get(3)?;
        let (name, permits, window_us) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let paused_until = (paused_until > now_us).then_some(paused_until);
        let mut limit = LimitNow { name, permits, window_us, paused_until, left: None, next_at: None };
        if is_long(window_us) {
            let counts_for_us = window_us + row.try_get::<Micros, _>(4)?;
            what_is_left(conn, &mut limit, counts_for_us, now_us).await?;
        }
        limits.push(limit);
    }
    Ok(limits)
}

/// A permit is used up to the time at which it is void, and counts for so long after it.
async fn what_is_left(
    conn: &mut SqliteConnection,
    limit: &mut LimitNow,
    counts_for_us: Micros,
    now_us: Micros,
) -> Read<()> {
    let counting = sqlx::query(include_str!("overview/spends.sql")).bind(&limit.name).bind(now_us - counts_for_us);
    let mut spends: Vec<(Micros, i64)> = Vec::new();
    for row in counting.fetch_all(conn).await? {
        spends.push((row.try_get(0)?, row.try_get(1)?));
    }
    // Of a limit that is new more may be used than there are.
    let mut over = spends.iter().map(|(_, permits)| permits).sum::<i64>() - limit.permits;
    limit.left = Some((-over).max(0).unsigned_abs());
    if over >= 0 {
        let frees = |(_, permits): &&(Micros, i64)| {
            over -= permits;
            over < 0
        };
        limit.next_at = spends.iter().find(frees).map(|(until_us, _)| until_us + counts_for_us);
    }
    Ok(())
}

/// Requests and results.
async fn rates(conn: &mut SqliteConnection, run: Option<&Run>, since: Micros, now_us: Micros) -> Read<[Rate; 2]> {
    let mut rates = [Rate::default(); 2];
    let Some(run) = run else { return Ok(rates) };
    let this_minute = now_us - now_us.rem_euclid(MINUTE_US);
    let query = sqlx::query(include_str!("overview/rate.sql")).bind(since).bind(this_minute).bind(run.id);
    let running = run.phase == Phase::Running;
    if running {
        rates = [Rate { now_per_s: Some(0.0), ..Rate::default() }; 2];
    }
    let until = match run.phase {
        Phase::Running => now_us,
        Phase::Gone | Phase::Ended => run.ended_at.unwrap_or(run.heartbeat_at),
    };
    for row in query.fetch_all(conn).await? {
        let n = number(&row, 1)?;
        let rate = &mut rates[usize::from(row.try_get::<&str, _>(0)? == "latency")];
        rate.n = n;
        rate.mean_per_s = (until > run.started_at).then(|| n as f64 / ((until - run.started_at) as f64 / 1e6));
        if running {
            rate.now_per_s = over_last_minute(number(&row, 2)?, number(&row, 3)?, run.started_at, now_us);
        }
    }
    Ok(rates)
}

async fn failures(conn: &mut SqliteConnection) -> Read<Vec<FailureKind>> {
    let rows = sqlx::query(include_str!("overview/failures.sql")).fetch_all(conn).await?;
    let kind = |row: &SqliteRow| {
        Ok(FailureKind {
            error_type: row.try_get(0)?,
            failed: number(row, 1)?,
            retrying: number(row, 2)?,
            percent: row.try_get(3)?,
            example_key: row.try_get(4)?,
            example_message: row.try_get(5)?,
        })
    };
    rows.iter().map(kind).collect()
}

async fn latency(conn: &mut SqliteConnection, since: Micros, run: i64) -> Read<Vec<StageLatency>> {
    let rows = sqlx::query(include_str!("overview/latency.sql")).bind(since).bind(run).fetch_all(conn).await?;
    let stage = |row: &SqliteRow| {
        Ok(StageLatency {
            stage: row.try_get(0)?,
            n: number(row, 1)?,
            p50_ms: row.try_get(2)?,
            p90_ms: row.try_get(3)?,
            p99_ms: row.try_get(4)?,
            max_ms: row.try_get(5)?,
        })
    };
    rows.iter().map(stage).collect()
}

/// Results in time of the run that began in this minute.
async fn run_sla(conn: &mut SqliteConnection, since: Micros, run: Option<&Run>) -> Read<Option<Sla>> {
    let Some(run) = run else { return Ok(None) };
    let asked = sqlx::query(include_str!("overview/run_sla.sql")).bind(since).bind(run.id);
    sla(asked.fetch_optional(conn).await?)
}

fn sla(row: Option<SqliteRow>) -> Read<Option<Sla>> {
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Sla {
        sla_ms: row.try_get(0)?,
        within: number(&row, 1)?,
        late: number(&row, 2)?,
        percent: row.try_get(3)?,
    }))
}

/// A count. The tables keep them from being negative.
pub(super) fn number(row: &SqliteRow, i: usize) -> Read<u64> {
    row.try_get::<i64, _>(i).map(|n| u64::try_from(n).unwrap_or(0))
}
