//! The transactions of [`Store::commit`] and [`Store::spend`].

use super::columns::Differences;
use super::*;

/// What was written of a batch, and is still to be counted.
pub(super) struct Written<'b> {
    committed: Committed,
    differences: Differences,
    batch: Vec<&'b WriteBack>,
}

/// A batch moves permits that it was written down with: then the limits are locked first.
pub(super) fn moves_permits(batch: &[WriteBack]) -> bool {
    batch.iter().any(|write| write.late_permit.is_some())
}

/// Writes what passes the fence.
pub(super) async fn outcomes<'b>(
    tx: &mut Tx,
    run: i64,
    batch: &'b [WriteBack],

    shared: Option<&Shared>,
    now_us: Micros,
) -> Inner<Written<'b>> {
    let standing = fence(tx, run, batch.iter().map(|write| (write.job, write.attempt))).await?;
    let mut written =
        Written { committed: Committed::default(), differences: Differences::default(), batch: Vec::new() };
    for (at, (write, stood)) in batch.iter().zip(&standing).enumerate() {
        match stood {
            None => written.committed.stale.push(at),
            Some((state, error_type)) => {
                written.differences.moved((*state, error_type), &write.next);
                written.batch.push(write);
            }
        }
    }
    let batch = &written.batch;
    if batch.is_empty() {
        return Ok(written);
    }
    columns::write_jobs(tx, batch, run, now_us).await?;
    columns::write_attempts(tx, batch, run).await?;
    columns::write_responses(tx, batch).await?;
    let dropped: Vec<_> = batch.iter().filter(|write| write.drops_response).map(|write| write.job).collect();
    if !dropped.is_empty() {
        execute!(tx, "prune.sql", dropped);
    }
    let moved: Vec<_> = batch.iter().filter_map(|write| write.late_permit).collect();
    share::move_permits(tx, &by_the_server(&moved, shared)).await?;
    Ok(written)
}

/// Writes results, histograms and counts: all that one transaction at a time may write.
pub(super) async fn numbers(tx: &mut Tx, written: Written<'_>, minutes: &Minutes, now_us: Micros) -> Inner<Committed> {
    let Written { committed, differences, batch } = written;
    execute!(tx, "lock_kept.sql");
    if batch.iter().any(|write| write.output.is_some()) {
        let finished_at_us: Micros = scalar!(tx, "result_time.sql", now_us);
        columns::write_results(tx, &batch, finished_at_us).await?;
    }
    columns::write_minutes(tx, minutes).await?;
    differences.write(tx).await?;
    Ok(committed)
}

/// Times of permits by the server's clock.
fn by_the_server(moved: &[(Micros, Micros)], shared: Option<&Shared>) -> Vec<(Micros, Micros)> {
    let Some(shared) = shared else { return moved.to_vec() };
    let skew_us = shared.skew_us();
    moved.iter().map(|(from, to)| (from - skew_us, to - skew_us)).collect()
}

/// Where jobs stand whose lease is still held, with the type of their last failure, in the order of the leases.
async fn fence(tx: &mut Tx, run: i64, held: impl Iterator<Item = (i64, u32)>) -> Inner<Vec<Option<(State, String)>>> {
    let (jobs, attempts) = columns::leases(held);
    let mut standing = vec![None; jobs.len()];
    for row in rows!(tx, "fence.sql", jobs, attempts, run) {
        let at = usize::try_from(row.try_get::<i64, _>(0)?)?.saturating_sub(1);
        standing[at] = Some((rows::state(row.try_get(1)?)?, row.try_get(2)?));
    }
    Ok(standing)
}

/// Writes permits down for further requests of jobs that are held.
pub(super) async fn further(tx: &mut Tx, run: i64, further: &[Further], shared: Option<&Shared>) -> Inner<Vec<Spent>> {
    let mut limits = share::lock(tx).await?;
    let standing = fence(tx, run, further.iter().map(|one| (one.job, one.attempt))).await?;
    let held = standing.iter().flatten().count();
    let mut permits = None;
    if let Some(shared) = shared {
        permits = share::permits(tx, &mut limits, held, shared).await?;
    }
    let skew_us = shared.map_or(0, Shared::skew_us);
    let mut handed_out = permits.iter().flatten().copied();
    let (mut spent, mut used) = (Vec::new(), Vec::new());
    let (mut jobs, mut voids, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for (one, stood) in further.iter().zip(&standing) {
        if stood.is_none() {
            spent.push(Spent::Stale);
            continue;
        }
        moved.extend(one.late_permit);
        // Where no limit holds by now, what was asked for under one is written down nowhere.
        let permit = if permits.is_some() { handed_out.next() } else { Some((0, one.permit_us - skew_us)) };
        let Some((due_us, until_us)) = permit else {
            spent.push(Spent::Early);
            continue;
        };
        used.push((due_us, until_us));
        jobs.push(one.job);
        voids.push(until_us);
        spent.push(if permits.is_some() { Spent::At(due_us + skew_us, until_us + skew_us) } else { Spent::Written });
    }
    if !jobs.is_empty() {
        execute!(tx, "further.sql", jobs, voids);
    }
    share::keep(tx, if permits.is_some() { &limits } else { &[] }, &used).await?;
    if permits.is_none() {
        share::spend(tx, used.iter().map(|(_, until_us)| *until_us)).await?;
    }
    share::move_permits(tx, &by_the_server(&moved, shared)).await?;
    Ok(spent)
}
