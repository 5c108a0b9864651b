//! What the database gives -> leases.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Inner;
use super::rows::state;
use crate::clock::Micros;
use crate::job::{Job, Standing, State};
use crate::request::Request;
use crate::response::Response;
use crate::store::{Lease, packing};

/// The jobs that `claim.sql` found.
pub(super) struct Claimed {
    /// In the order of the queue, what is fetched first.
    pub(super) leases: Vec<Lease>,
    /// Jobs whose request body is no text, and comes in a statement of its own.
    pub(super) binary: Vec<i64>,
}

/// A job in the array that `claim.sql` gives. JSON within it is text.
#[derive(Deserialize)]
struct Row15<'a>(
    i64,
    u32,
    String,
    &'a str,
    u32,
    u32,
    u32,
    Option<&'a str>,
    u8,
    String,
    String,
    std::borrow::Cow<'a, str>,
    std::borrow::Cow<'a, str>,
    Option<String>,
    u8,
);

/// Reads what `claim.sql` gave, handing out permits to those that ask, in their order.
pub(super) fn claimed(json: &str, permits: &[Micros]) -> Inner<Claimed> {
    let rows: Vec<Row15<'_>> = serde_json::from_str(json)?;
    let mut permits = permits.iter().copied();
    let mut found = Claimed { leases: Vec::with_capacity(rows.len()), binary: Vec::new() };
    for row in rows {
        let Row15(
            job,
            attempt,
            key,
            in_state,
            failures,
            generation,
            crashes,
            was,
            suspect,
            method,
            url,
            headers,
            cells,
            body,
            binary,
        ) = row;
        let was = was.map(state).transpose()?;
        let standing = Standing { state: state(in_state)?, failures, generation, crashes, was };
        let body = body.map(Bytes::from);
        let request = Request { method, url, headers: object(&headers)?, body, row: object(&cells)? };
        let seen = Job::claimed(job, attempt, key, request);
        if binary == 1 {
            found.binary.push(job);
        }
        let permit_us = if standing.state == State::Fetched { None } else { permits.next() };
        let suspect = suspect == 1;
        found.leases.push(Lease { job, attempt, seen, standing, suspect, response: None, due_us: 0, permit_us });
    }
    Ok(found)
}

/// Most are empty.
fn object(json: &str) -> Inner<Map<String, Value>> {
    if json == "{}" { Ok(Map::new()) } else { Ok(serde_json::from_str(json)?) }
}

/// Lays the rows of `claimed_responses.sql` over their leases.
pub(super) fn responses(leases: &mut [Lease], rows: &[SqliteRow]) -> Inner<()> {
    let mut stored = HashMap::with_capacity(rows.len());
    for row in rows {
        stored.insert(row.try_get::<i64, _>(0)?, Arc::new(response(row)?));
    }
    for lease in leases {
        lease.response = stored.remove(&lease.job);
    }
    Ok(())
}

fn response(row: &SqliteRow) -> Inner<Response> {
    Ok(Response {
        status_code: row.try_get(1)?,
        headers: serde_json::from_str(row.try_get(2)?)?,
        body: Bytes::from(packing::unpack(row.try_get(3)?, row.try_get(5)?)?),
        fetched_at_us: row.try_get(4)?,
    })
}

/// Lays the rows of `claimed_bodies.sql` over their leases.
pub(super) fn bodies(leases: &mut [Lease], rows: &[SqliteRow]) -> Inner<()> {
    let mut stored = HashMap::with_capacity(rows.len());
    for row in rows {
        stored.insert(row.try_get::<i64, _>(0)?, Bytes::from(row.try_get::<Vec<u8>, _>(1)?));
    }
    for lease in leases {
        if let Some(body) = stored.remove(&lease.job) {
            lease.seen.request.body = Some(body);
        }
    }
    Ok(())
}
