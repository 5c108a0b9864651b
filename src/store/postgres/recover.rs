//! How a run begins beside others: what dead ones held is freed, the limits are made those of the newest.

use super::columns::Differences;
use super::*;
use crate::limit::Spend;

/// The transaction of [`Store::recover`]. Runs that live are workers of the same table, and are left alone. There is no wall clock to
/// be followed: times are those of the server.
pub(super) async fn recover(tx: &mut Tx, run: &NewRun, now_us: Micros) -> Inner<Recovered> {
    let mut found = free_the_dead(tx, 0, run.on_uncertain, now_us).await?;
    pass(Point::LeasesFreed);
    let (host, version) = (text::kept(&run.host), &run.version);
    found.run = scalar!(tx, "begin_run.sql", now_us, &*host, i64::from(run.pid), version, &run.settings);
    pass(Point::RunBegun);
    found.database_id = scalar!(tx, "database_id.sql");
    keep_limits(tx, &run.limits).await?;
    execute!(tx, "forget_spends.sql", now_us);
    for row in rows!(tx, "spends.sql", now_us) {
        let permits = u32::try_from(row.try_get::<i64, _>(2)?)?;
        found.spends.push(Spend { limit: row.try_get(0)?, until_us: row.try_get(1)?, permits });
    }
    found.limits = limits(tx).await?;
    execute!(tx, "tell_of_change.sql");
    Ok(found)
}

/// Makes the table of limits hold exactly these; under its lock. A new one takes over what was sent under the old ones.
async fn keep_limits(tx: &mut Tx, limits: &[Limit]) -> Inner<()> {
    let names: Vec<String> = limits.iter().map(|limit| limit.name.clone()).collect();
    execute!(tx, "carry_spends.sql", &names);
    execute!(tx, "drop_limits.sql", &names);
    execute!(
        tx,
        "write_limits.sql",
        &names,
        limits.iter().map(|limit| i64::from(limit.permits)).collect::<Vec<_>>(),
        limits.iter().map(|limit| limit.window_us).collect::<Vec<_>>(),
        limits.iter().map(|limit| limit.jitter_us).collect::<Vec<_>>()
    );
    execute!(tx, "drop_spends.sql");
    Ok(())
}

/// The transaction of [`Store::keep_limits`].
pub(super) async fn steer_limits(tx: &mut Tx, limits: &[Limit]) -> Inner<()> {
    share::lock(tx).await?;
    let paused_until_us: Micros = scalar!(tx, "longest_pause.sql");
    keep_limits(tx, limits).await?;
    execute!(tx, "pause_limits.sql", paused_until_us);
    let remembered = columns::json(&limits);
    execute!(tx, "remember_limits.sql", &remembered);
    execute!(tx, "remember_intended_limits.sql", &remembered);
    execute!(tx, "lock_kept.sql");
    execute!(tx, "tell_of_change.sql");
    Ok(())
}

/// The limits, each with the time before which nothing is sent.
pub(super) async fn limits(tx: &mut Tx) -> Inner<Vec<(Limit, Micros)>> {
    let mut limits = Vec::new();
    for row in rows!(tx, "limits.sql") {
        let permits = u32::try_from(row.try_get::<i64, _>(1)?)?;
        let limit = Limit { name: row.try_get(0)?, permits, window_us: row.try_get(2)?, jitter_us: row.try_get(3)? };
        limits.push((limit, row.try_get(4)?));
    }
    Ok(limits)
}

/// Frees what dead runs held, other than this one, each job by the rule of [`job::next`], and notes the attempts they lost. Leaves
/// the limits and what is kept locked.
pub(super) async fn free_the_dead(tx: &mut Tx, run: i64, again: OnUncertain, now_us: Micros) -> Inner<Recovered> {
    share::lock(tx).await?;
    let dead: Vec<i64> =
        rows!(tx, "lock_dead.sql", run).iter().map(|row| row.try_get(0)).collect::<Result<_, sqlx::Error>>()?;
    let mut differences = Differences::default();
    let mut freed = Vec::new();
    let mut late = Vec::new();
    let mut lost = 0;
    // Rules of retries do not matter here: an interruption is no failure of the job.
    let rules = RetryRules { max_attempts: 1, backoff: crate::backoff::Backoff::default(), seed: 0 };
    if !dead.is_empty() {
        for row in rows!(tx, "leased.sql", &dead) {
            let (job, attempt, standing) = (row.try_get(0)?, rows::small(&row, 1)?, rows::standing(&row, 2)?);
            let (error_type, permit_us): (Option<String>, Micros) = (row.try_get(7)?, row.try_get(8)?);
            if standing.state == State::Pending && permit_us < now_us {
                // Its request may have left as late as the run died: on a connection that was long in opening, say.
                late.push((permit_us, now_us));
            }
            let event = Event::of_death(standing.state, row.try_get(9)?, again);
            lost += u64::from(event == Event::Lost);
            let next = job::next(standing, &event, &rules, job, attempt, now_us);
            differences.moved((standing.state, error_type.as_deref().unwrap_or_default()), &next);
            freed.push(WriteBack { job, attempt, next, ..WriteBack::default() });
        }
    }
    let batch: Vec<_> = freed.iter().collect();
    let spared: Vec<_> = batch.iter().copied().filter(|write| write.next.spared.is_some()).collect();
    if !batch.is_empty() {
        execute!(tx, "note_interrupted.sql", &dead);
        note_spared(tx, &spared).await?;
        columns::write_jobs(tx, &batch, 0, now_us).await?;
        share::move_permits(tx, &late).await?;
    }
    execute!(tx, "end_dead_runs.sql", &dead, now_us);
    execute!(tx, "lock_kept.sql");
    differences.write(tx).await?;
    let failed = batch.iter().filter(|write| write.next.standing.state == State::Failed).count() as u64;
    let spared = spared.len() as u64;
    let interrupted = batch.len() as u64 - failed - spared;
    if run != 0 {
        execute!(tx, "tell_of_change.sql");
    }
    Ok(Recovered { interrupted, poisoned: failed - lost + spared, lost, ..Recovered::default() })
}

/// How attempts ended whose jobs keep their old result.
async fn note_spared(tx: &mut Tx, spared: &[&WriteBack]) -> Inner<()> {
    if spared.is_empty() {
        return Ok(());
    }
    let (jobs, attempts) = columns::leases(spared.iter().map(|write| (write.job, write.attempt)));
    let said = |write: &&WriteBack| {
        let (error_type, message) = write.next.spared.as_ref()?;
        Some((error_type.as_str().to_owned(), text::kept(message).into_owned()))
    };
    let (types, messages): (Vec<_>, Vec<_>) = spared.iter().filter_map(said).unzip();
    execute!(tx, "note_spared.sql", jobs, attempts, types, messages);
    Ok(())
}
