//! Reads the numbers of a database: a handful of kept rows and small indexes, never the jobs themselves.

use super::*;
use crate::limit::is_long;
use crate::report::{FailureKind, Jobs, LimitNow, Overview, Phase, Rate, Run, Sla, StageLatency};
use crate::report::{over_last_minute, phase};

const MINUTE_US: Micros = 60_000_000;

impl PostgresStore {
    /// What there is to say about the database now, by the server's clock. As quick at ten million jobs as at ten; works while runs are
    /// going: of these, the newest is shown.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn overview(&self) -> Result<Overview, StoreError> {
        transaction!(self, "read the numbers of the database", session::BEGIN_SNAPSHOT, false, |tx| read(tx).await?)
    }
}

pub(super) async fn read(tx: &mut Tx) -> Inner<Overview> {
    let now_us: Micros = scalar!(tx, "clock.sql");
    let jobs = jobs(tx).await?;
    let run = run(tx, now_us).await?;
    let since = run.as_ref().map_or(0, |run| run.started_at - run.started_at.rem_euclid(MINUTE_US));
    let [requests, results] = rates(tx, run.as_ref(), since, now_us).await?;
    let going = results.now_per_s.filter(|per_s| *per_s > 0.0 && jobs.left() > 0);
    let id = run.as_ref().map_or(0, |run| run.id);
    Ok(Overview {
        schema: 1,
        at: now_us,
        source: optional!(tx, "overview/source.sql"),
        limits: limits(tx, now_us).await?,
        failures: rows!(tx, "overview/failures.sql").iter().map(failure).collect::<Inner<_>>()?,
        latency: rows!(tx, "overview/latency.sql", since, id).iter().map(stage).collect::<Inner<_>>()?,
        sla: rows!(tx, "overview/sla.sql").first().map(sla).transpose()?,
        run_sla: rows!(tx, "overview/run_sla.sql", since, id).first().map(sla).transpose()?,
        eta_s: going.map(|per_s| jobs.left() as f64 / per_s),
        jobs,
        run,
        requests,
        results,
    })
}

async fn jobs(tx: &mut Tx) -> Inner<Jobs> {
    let mut jobs = Jobs::default();
    for row in rows!(tx, "overview/counts.sql") {
        let (state, troubled, n) = (rows::state(row.try_get(0)?)?, row.try_get::<bool, _>(1)?, rows::large(&row, 2)?);
        jobs.total += n;
        match state {
            State::Pending => jobs.pending += n,
            State::Fetched => jobs.fetched += n,
            State::Succeeded => jobs.succeeded += n,
            State::Failed => jobs.failed += n,
            State::Cancelled => jobs.cancelled += n,
        }
        if troubled && !state.is_final() {
            jobs.retrying += n;
        }
    }
    let row = &rows!(tx, "overview/in_flight.sql")[0];
    jobs.in_flight = rows::large(row, 0)?;
    jobs.retrying = jobs.retrying.saturating_sub(rows::large(row, 1)?); // those are at it again
    jobs.rejected = rows::large(&rows!(tx, "overview/rejected.sql")[0], 0)?;
    Ok(jobs)
}

async fn run(tx: &mut Tx, now_us: Micros) -> Inner<Option<Run>> {
    let found = rows!(tx, "overview/run.sql");
    let Some(row) = found.first() else { return Ok(None) };
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

async fn limits(tx: &mut Tx, now_us: Micros) -> Inner<Vec<LimitNow>> {
    let mut limits = Vec::new();
    for (limit, paused_until) in recover::limits(tx).await? {
        let Limit { name, permits, window_us, jitter_us } = limit;
        let paused_until = (paused_until > now_us).then_some(paused_until);
        let permits = i64::from(permits);
        let mut now = LimitNow { name, permits, window_us, paused_until, left: None, next_at: None };
        if is_long(window_us) {
            what_is_left(tx, &mut now, window_us + jitter_us, now_us).await?;
        }
        limits.push(now);
    }
    Ok(limits)
}

/// A permit is used up to the time at which it is void, and counts for so long after it.
async fn what_is_left(tx: &mut Tx, limit: &mut LimitNow, counts_for_us: Micros, now_us: Micros) -> Inner<()> {
    let mut spends: Vec<(Micros, i64)> = Vec::new();
    for row in rows!(tx, "overview/spends.sql", &limit.name, now_us - counts_for_us) {
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
async fn rates(tx: &mut Tx, run: Option<&Run>, since: Micros, now_us: Micros) -> Inner<[Rate; 2]> {
    let mut rates = [Rate::default(); 2];
    let Some(run) = run else { return Ok(rates) };
    let this_minute = now_us - now_us.rem_euclid(MINUTE_US);
    let running = run.phase == Phase::Running;
    if running {
        rates = [Rate { now_per_s: Some(0.0), ..Rate::default() }; 2];
    }
    let until = match run.phase {
        Phase::Running => now_us,
        Phase::Gone | Phase::Ended => run.ended_at.unwrap_or(run.heartbeat_at),
    };
    for row in rows!(tx, "overview/rate.sql", since, this_minute, run.id) {
        let n = rows::large(&row, 1)?;
        let rate = &mut rates[usize::from(row.try_get::<&str, _>(0)? == "latency")];
        rate.n = n;
        rate.mean_per_s = (until > run.started_at).then(|| n as f64 / ((until - run.started_at) as f64 / 1e6));
        if running {
            rate.now_per_s = over_last_minute(rows::large(&row, 2)?, rows::large(&row, 3)?, run.started_at, now_us);
        }
    }
    Ok(rates)
}

fn failure(row: &PgRow) -> Inner<FailureKind> {
    Ok(FailureKind {
        error_type: row.try_get(0)?,
        failed: rows::large(row, 1)?,
        retrying: rows::large(row, 2)?,
        percent: row.try_get(3)?,
        example_key: row.try_get::<Option<String>, _>(4)?.map(text::read),
        example_message: row.try_get::<Option<String>, _>(5)?.map(text::read),
    })
}

fn stage(row: &PgRow) -> Inner<StageLatency> {
    Ok(StageLatency {
        stage: row.try_get(0)?,
        n: rows::large(row, 1)?,
        p50_ms: row.try_get(2)?,
        p90_ms: row.try_get(3)?,
        p99_ms: row.try_get(4)?,
        max_ms: row.try_get(5)?,
    })
}

fn sla(row: &PgRow) -> Inner<Sla> {
    Ok(Sla {
        sla_ms: row.try_get(0)?,
        within: rows::large(row, 1)?,
        late: rows::large(row, 2)?,
        percent: row.try_get(3)?,
    })
}
