//! How a run begins: what dead runs held is freed, the wall clock is followed, the limits are made those of the run.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::rows::standing;
use super::*;

/// The transaction of [`Store::recover`].
pub(super) async fn recover(tx: &mut SqliteConnection, run: &NewRun, now_us: Micros) -> Inner<Recovered> {
    let wall_clock = follow_wall_clock(tx, run.boot.as_ref(), now_us).await?;
    let mut found = free_dead_leases(tx, run.on_uncertain, wall_clock, now_us).await?;
    pass(Point::LeasesFreed);
    execute!(tx, "end_dead_runs.sql", now_us);
    let (boot, boot_us) = run.boot.as_ref().map(|boot| (&boot.boot, boot.us)).unzip();
    let begun = execute!(tx, "begin_run.sql", now_us, &run.host, run.pid, &run.version, &run.settings, boot, boot_us);
    found.run = begun.last_insert_rowid();
    pass(Point::RunBegun);
    found.database_id = scalar!(tx, "database_id.sql");
    keep_limits(tx, &run.limits).await?;
    let rest_until_us = wall_clock.rest_until_us(&run.limits, now_us);
    if rest_until_us > now_us {
        // Kept, so that a start after this one waits as long.
        for limit in &run.limits {
            execute!(tx, "pause_limit.sql", &limit.name, rest_until_us, limit.jitter_us);
        }
    }
    execute!(tx, "forget_spends.sql", now_us);
    for row in rows!(tx, "spends.sql", now_us) {
        let (limit, until_us, permits) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        found.spends.push(Spend { limit, until_us, permits });
    }
    found.limits = limits(tx).await?;
    Ok(found)
}

/// Makes the table of limits hold exactly these. A new one takes over what was sent under the old ones.
async fn keep_limits(tx: &mut SqliteConnection, limits: &[Limit]) -> Inner<()> {
    let limits: Vec<_> = limits.iter().map(|l| (&l.name, l.permits, l.window_us, l.jitter_us)).collect();
    let limits = pack::array(&limits);
    execute!(tx, "carry_spends.sql", &limits);
    execute!(tx, "drop_limits.sql", &limits);
    execute!(tx, "write_limits.sql", &limits);
    execute!(tx, "drop_spends.sql");
    Ok(())
}

/// The transaction of [`Store::keep_limits`].
pub(super) async fn steer_limits(tx: &mut SqliteConnection, limits: &[Limit]) -> Inner<()> {
    let paused_until_us: Micros = scalar!(tx, "longest_pause.sql");
    keep_limits(tx, limits).await?;
    execute!(tx, "pause_limits.sql", paused_until_us);
    let remembered = serde_json::to_string(limits)?;
    execute!(tx, "remember_limits.sql", &remembered);
    execute!(tx, "remember_intended_limits.sql", &remembered);
    Ok(())
}

/// The limits, each with the time before which nothing is sent.
pub(super) async fn limits(connection: &mut SqliteConnection) -> Inner<Vec<(Limit, Micros)>> {
    let mut limits = Vec::new();
    for row in rows!(connection, "limits.sql") {
        let (name, permits) = (row.try_get(0)?, row.try_get(1)?);
        let limit = Limit { name, permits, window_us: row.try_get(2)?, jitter_us: row.try_get(3)? };
        limits.push((limit, row.try_get(4)?));
    }
    Ok(limits)
}

/// Moves permits, pauses and retries along with a wall clock that was set since the last sign of life of the last run.
async fn follow_wall_clock(tx: &mut SqliteConnection, boot: Option<&BootTime>, now_us: Micros) -> Inner<WallClock> {
    let Some(boot) = boot else { return Ok(WallClock::Same) };
    let last: Vec<SqliteRow> = rows!(tx, "last_beat.sql");
    let Some(last) = last.first() else { return Ok(WallClock::Rebooted(boot.us)) };
    let then = BootTime { boot: last.try_get(1)?, us: last.try_get(2)? };
    let Some(step_us) = wall_step(last.try_get(0)?, &then, now_us, boot) else {
        return Ok(WallClock::Rebooted(boot.us));
    };
    if step_us.abs() < LEAST_STEP_US {
        return Ok(WallClock::Same);
    }
    let mut moved: Vec<(String, Micros, u32)> = Vec::new();
    for row in rows!(tx, "all_spends.sql") {
        moved.push((row.try_get(0)?, row.try_get::<Micros, _>(1)?.saturating_add(step_us), row.try_get(2)?));
    }
    execute!(tx, "drop_all_spends.sql");
    execute!(tx, "write_spends.sql", pack::array(&moved));
    execute!(tx, "move_pauses.sql", step_us);
    execute!(tx, "move_due.sql", step_us);
    Ok(WallClock::Set(step_us))
}

/// Frees what dead runs held, each job by the rule of [`job::next`], and notes the attempts they lost.
async fn free_dead_leases(
    tx: &mut SqliteConnection,
    again: OnUncertain,
    wall_clock: WallClock,
    now_us: Micros,
) -> Inner<Recovered> {
    // Rules of retries do not matter here: an interruption is no failure of the job.
    let rules = RetryRules { max_attempts: 1, backoff: crate::backoff::Backoff::default(), seed: 0 };
    execute!(tx, "note_interrupted.sql");
    let mut from = Vec::new();
    let mut batch = Vec::new();
    let mut late = Vec::new();
    let mut lost = 0;
    for row in rows!(tx, "leased.sql") {
        let (job, attempt) = (row.try_get(0)?, row.try_get(1)?);
        let standing = standing(&row, 2)?;
        let (error_type, permit_us): (Option<String>, Micros) = (row.try_get(7)?, row.try_get(8)?);
        let permit_us = permit_us.saturating_add(wall_clock.step_us());
        if standing.state == State::Pending && permit_us < now_us {
            // Its request may have left as late as the run died: on a connection that was long in opening, say.
            late.push((permit_us, now_us));
        }
        from.push(format!("{} {}", standing.state.as_str(), error_type.unwrap_or_default()));
        let event = Event::of_death(standing.state, row.try_get(9)?, again);
        lost += u64::from(event == Event::Lost);
        let next = job::next(standing, &event, &rules, job, attempt, now_us);
        batch.push(WriteBack { job, attempt, next, ..WriteBack::default() });
    }
    move_permits(tx, &late).await?;
    let freed: Vec<_> = batch.iter().collect();
    let failed = freed.iter().filter(|write| write.next.standing.state == State::Failed).count() as u64;
    let spared: Vec<_> = freed
        .iter()
        .filter_map(|WriteBack { job, attempt, next, .. }| {
            let (error_type, message) = next.spared.as_ref()?;
            Some((job, attempt, error_type.as_str(), message))
        })
        .collect();
    if !spared.is_empty() {
        execute!(tx, "note_spared.sql", pack::array(&spared));
    }
    if !freed.is_empty() {
        execute!(tx, "write_jobs.sql", pack::jobs(&freed, 0, now_us));
        execute!(tx, "write_counts.sql", pack::counts(&freed, &from.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    let spared = spared.len() as u64;
    let interrupted = freed.len() as u64 - failed - spared;
    Ok(Recovered { interrupted, poisoned: failed - lost + spared, lost, wall_clock, ..Recovered::default() })
}
