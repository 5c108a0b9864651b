//! The transaction of [`Store::claim`].

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::share::Permit;
use super::*;
use crate::job::Job;
use crate::request::Request;
use crate::response::Response;

/// Leases what is due; under the lock of the limits.
pub(super) async fn claim(
    tx: &mut Tx,
    mut limits: Vec<Joint>,
    run: i64,
    want: &Want,
    spends: &[Micros],
    shared: Option<&Shared>,
    now_us: Micros,
) -> Inner<Vec<Lease>> {
    let mut requests = want.requests.min(want.slots);
    let mut permits = Some(spends.iter().map(|until_us| (0, *until_us)).collect::<Vec<Permit>>());
    if let Some(shared) = shared
        && requests > 0
    {
        permits = share::permits(tx, &mut limits, requests, shared).await?;
        requests = permits.as_ref().map_or(requests, Vec::len);
    }
    let mut leases = Vec::new();
    let mut handed_out = permits.iter().flatten().copied();
    let mut used = Vec::new();
    let skew_us = shared.map_or(0, Shared::skew_us);
    for row in rows!(tx, "claim.sql", now_us, want.slots as i64, requests as i64, run) {
        let mut lease = lease(&row)?;
        if lease.standing.state == State::Pending
            && let Some((due_us, until_us)) = handed_out.next()
        {
            used.push((due_us, until_us));
            (lease.due_us, lease.permit_us) = (due_us + skew_us, Some(until_us + skew_us));
        }
        leases.push(lease);
    }
    let fetched = leases.partition_point(|lease: &Lease| lease.standing.state == State::Fetched);
    let ids: Vec<_> = leases[..fetched].iter().map(|lease| lease.job).collect();
    if fetched > 1 {
        let mut sizes = Vec::new();
        for row in rows!(tx, "claimed_sizes.sql", &ids) {
            sizes.push(rows::large(&row, 0)?);
        }
        let fit = within_bytes(sizes);
        if fit < fetched {
            leases.truncate(fit); // the others go first at the next claim, before those that need a request
            used.clear();
        }
    }
    if leases.is_empty() {
        return Ok(leases);
    }
    let jobs: Vec<_> = leases.iter().map(|lease| lease.job).collect();
    let voids: Vec<_> = leases.iter().map(|lease| lease.permit_us.map(|until_us| until_us - skew_us)).collect();
    execute!(tx, "lease.sql", jobs, voids, run);
    match shared {
        Some(_) => share::keep(tx, &limits, &used).await?,
        None => share::spend(tx, used.iter().map(|(_, until_us)| *until_us)).await?,
    }
    responses(tx, &mut leases, &ids[..fetched.min(ids.len())]).await?;
    Ok(leases)
}

fn lease(row: &PgRow) -> Inner<Lease> {
    let (job, attempt, standing) = (row.try_get(0)?, rows::small(row, 1)?, rows::standing(row, 3)?);
    let request = Request {
        method: row.try_get(9)?,
        url: text::read(row.try_get(10)?),
        headers: object(row.try_get(11)?)?,
        row: object(row.try_get(12)?)?,
        body: text::joined(row.try_get(13)?, row.try_get(14)?),
    };
    let seen = Job::claimed(job, attempt, text::read(row.try_get(2)?), request);
    Ok(Lease { job, attempt, seen, standing, suspect: row.try_get(8)?, response: None, due_us: 0, permit_us: None })
}

/// Most are empty.
pub(super) fn object(json: &str) -> Inner<Map<String, Value>> {
    if json == "{}" { Ok(Map::new()) } else { Ok(serde_json::from_str(json)?) }
}

/// Lays the stored responses over the leases of fetched jobs.
async fn responses(tx: &mut Tx, leases: &mut [Lease], ids: &[i64]) -> Inner<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut stored = HashMap::with_capacity(ids.len());
    for row in rows!(tx, "claimed_responses.sql", ids) {
        stored.insert(row.try_get::<i64, _>(0)?, Arc::new(response(&row)?));
    }
    for lease in leases {
        lease.response = stored.remove(&lease.job);
    }
    Ok(())
}

fn response(row: &PgRow) -> Inner<Response> {
    let body = text::joined(row.try_get(3)?, row.try_get(4)?).unwrap_or_default();
    let encoding: Option<&str> = row.try_get(6)?;
    Ok(Response {
        status_code: u16::try_from(row.try_get::<i32, _>(1)?)?,
        headers: serde_json::from_str(row.try_get(2)?)?,
        body: if encoding.is_some() { Bytes::from(packing::unpack(body.to_vec(), encoding)?) } else { body },
        fetched_at_us: row.try_get(5)?,
    })
}
