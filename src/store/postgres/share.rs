//! Permits of all workers, handed out under one lock.

use std::collections::BTreeMap;

use sqlx::Row;

use super::*;
use crate::limit::joint::{HORIZON_US, Joint, schedule, void_after};

/// A claim asks again so long before the next permit falls due: in time, and not for every one.
const ASK_AHEAD_US: Micros = HORIZON_US / 2;

/// However long it is until then, what needs no permit is looked for so often.
const MOST_US: Micros = 1_000_000;

/// Workers that were told the same time do not all ask at once.
const APART_US: f64 = 10_000.0;

/// Takes the lock of the limits, before all others; gives them as they stand. To be called before anything is done to `spends`.
pub(super) async fn lock(tx: &mut Tx) -> Inner<Vec<Joint>> {
    let mut limits = Vec::new();
    for row in rows!(tx, "lock_limits.sql") {
        let permits = u32::try_from(row.try_get::<i64, _>(1)?)?;
        let limit = Limit { name: row.try_get(0)?, permits, window_us: row.try_get(2)?, jitter_us: row.try_get(3)? };
        let (paused_until_us, paced_until_us) = (row.try_get(4)?, row.try_get(5)?);
        limits.push(Joint { limit, paused_until_us, paced_until_us, counting: Vec::new() });
    }
    Ok(limits)
}

/// When a permit falls due and when it is void, by the server's clock.
pub(super) type Permit = (Micros, Micros);

/// At most so many permits of the next while, under the lock; `None`: no limit holds. What is used of them is then told to [`keep`].
pub(super) async fn permits(
    tx: &mut Tx,
    limits: &mut [Joint],
    most: usize,
    shared: &Shared,
) -> Inner<Option<Vec<Permit>>> {
    if limits.is_empty() {
        shared.permit_from(0);
        return Ok(None);
    }
    let (mut now_us, lead_us) = (0, shared.lead_us());
    let mut counting: BTreeMap<String, Vec<(Micros, u64)>> = BTreeMap::new();
    for row in rows!(tx, "counting.sql", HORIZON_US + lead_us) {
        let (name, free_us): (Option<String>, Micros) = (row.try_get(0)?, row.try_get(1)?);
        match name {
            None => now_us = free_us,
            Some(name) => counting.entry(name).or_default().push((free_us, row.try_get::<i64, _>(2)?.unsigned_abs())),
        }
    }
    for joint in &mut *limits {
        joint.counting = counting.remove(&joint.limit.name).unwrap_or_default();
    }
    let schedule = schedule(limits, most, now_us + lead_us);
    let apart = crate::backoff::chance(now_us.unsigned_abs(), 0, std::process::id()) * APART_US;
    // Where all that was asked for is to be had, there may be more.
    let full = schedule.due_us.len() == most;
    let next_us = (schedule.next_us - lead_us - ASK_AHEAD_US).min(now_us + MOST_US) + apart as Micros;
    let from_us = if full { 0 } else { next_us + shared.skew_us() };
    shared.permit_from(from_us);
    Ok(Some(schedule.due_us.into_iter().map(|due_us| (due_us, void_after(due_us + lead_us))).collect()))
}

/// Writes down that the permits up to this one are used.
pub(super) async fn keep(tx: &mut Tx, limits: &[Joint], used: &[Permit]) -> Inner<()> {
    let (Some(first), Some((due_us, _))) = (limits.first(), used.last()) else { return Ok(()) };
    if *due_us > first.paced_until_us {
        execute!(tx, "pace.sql", &first.limit.name, due_us);
    }
    spend(tx, used.iter().map(|(_, until_us)| *until_us)).await
}

/// Permits by the time after which they are void, as spend.sql and unspend.sql take them.
fn counted(until_us: impl Iterator<Item = Micros>) -> (Vec<Micros>, Vec<i64>) {
    let mut permits = BTreeMap::<Micros, i64>::new();
    for until in until_us {
        *permits.entry(until).or_default() += 1;
    }
    permits.into_iter().unzip()
}

/// Writes permits down in every limit; under the lock.
pub(super) async fn spend(tx: &mut Tx, until_us: impl Iterator<Item = Micros>) -> Inner<()> {
    let (until_us, permits) = counted(until_us);
    if !until_us.is_empty() {
        execute!(tx, "spend.sql", until_us, permits);
    }
    Ok(())
}

/// Gives permits back; under the lock.
pub(super) async fn unspend(tx: &mut Tx, until_us: impl Iterator<Item = Micros>) -> Inner<()> {
    let (until_us, permits) = counted(until_us);
    if !until_us.is_empty() {
        execute!(tx, "unspend.sql", until_us, permits);
    }
    Ok(())
}

/// Counts permits from another time than they were written down with: (then, now); under the lock.
pub(super) async fn move_permits(tx: &mut Tx, moved: &[(Micros, Micros)]) -> Inner<()> {
    unspend(tx, moved.iter().map(|(from, _)| *from)).await?;
    spend(tx, moved.iter().map(|(_, to)| *to)).await
}
