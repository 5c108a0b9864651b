//! The way of stored responses through the store, where nothing else is claimed: as few values as possible, each as it is.

use bytes::Bytes;
use serde::Deserialize;
use sqlx::{Row, SqliteConnection};

use super::rows::state;
use super::{Inner, pack};
use crate::attempt::Measured;
use crate::clock::Micros;
use crate::job::{Job, Next, Standing, State};
use crate::request::Request;
use crate::response::Response;
use crate::store::{Lease, WriteBack, packing, within_bytes};

/// The numbers of a job in what `claimed.sql` gives.
#[derive(Deserialize)]
struct Numbers<'a>(
    i64,
    u32,
    u32,
    u32,
    u32,
    Option<&'a str>,
    u8,
    u16,
    Micros,
    Option<&'a str>,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    Option<usize>,
    usize,
);

/// Leases jobs whose response is stored, at most so many, and gives them with it.
pub(super) async fn claim(tx: &mut SqliteConnection, run: i64, most: usize, now_us: Micros) -> Inner<Vec<Lease>> {
    let ready = sqlx::query(include_str!("stored/ready.sql")).bind(now_us).bind(most as i64).bind(run);
    let ready = ready.fetch_one(&mut *tx).await?;
    let mut ids: Vec<i64> = serde_json::from_str(ready.try_get(0)?)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    ids.truncate(within_bytes(serde_json::from_str::<Vec<u64>>(ready.try_get(1)?)?)); // the others go first at the next claim
    let ids = pack::array(&ids);
    sqlx::query(include_str!("stored/lease.sql")).bind(&ids).bind(run).execute(&mut *tx).await?;
    let claimed = sqlx::query(include_str!("stored/claimed.sql")).bind(&ids).fetch_one(tx).await?;
    let numbers: Vec<Numbers<'_>> = serde_json::from_str(claimed.try_get(0)?)?;
    let mut texts = Parts(claimed.try_get::<Vec<u8>, _>(1)?.into());
    let mut bodies = Parts(claimed.try_get::<Vec<u8>, _>(2)?.into());
    numbers.iter().map(|numbers| lease(numbers, &mut texts, &mut bodies)).collect()
}

fn lease(numbers: &Numbers<'_>, texts: &mut Parts, bodies: &mut Parts) -> Inner<Lease> {
    let Numbers(job, attempt, failures, generation, crashes, was, suspect, status_code, fetched_at_us, encoding, ..) =
        *numbers;
    let Numbers(.., key, method, url, request_headers, row, headers, request_body, body) = *numbers;
    let was = was.map(state).transpose()?;
    let standing = Standing { state: State::Fetched, failures, generation, crashes, was };
    let (key, method, url) = (texts.text(key)?, texts.text(method)?, texts.text(url)?);
    let (request_headers, row) = (texts.object(request_headers)?, texts.object(row)?);
    let headers = texts.object(headers)?;
    let request_body = request_body.map(|length| bodies.next(length)).transpose()?;
    let body = match encoding {
        None => bodies.next(body)?,
        Some(_) => packing::unpack(bodies.next(body)?.into(), encoding)?.into(),
    };
    let request = Request { method, url, headers: request_headers, body: request_body, row };
    let response = Some(Response { status_code, headers, body, fetched_at_us }.into());
    let seen = Job::claimed(job, attempt, key, request);
    Ok(Lease { job, attempt, seen, standing, suspect: suspect == 1, response, due_us: 0, permit_us: None })
}

/// Values one after the other.
struct Parts(Bytes);

impl Parts {
    /// The next so many bytes, without a copy: all of a claim share one memory, which [`within_bytes`] bounds.
    fn next(&mut self, length: usize) -> Inner<Bytes> {
        if length > self.0.len() {
            return Err("the database gives less than it said".into());
        }
        Ok(self.0.split_to(length))
    }

    fn text(&mut self, length: usize) -> Inner<String> {
        Ok(String::from_utf8(self.next(length)?.into())?)
    }

    /// Most are empty.
    fn object(&mut self, length: usize) -> Inner<serde_json::Map<String, serde_json::Value>> {
        let json = self.next(length)?;
        if json == "{}" { Ok(serde_json::Map::new()) } else { Ok(serde_json::from_slice(&json)?) }
    }
}

/// Whether all there is to write of it is that a stored response was processed well: then its job keeps most of its columns, and
/// its attempt has few. By this processor, for that is told once for all.
pub(super) fn is_plain(write: &WriteBack, processor: &str) -> bool {
    let Next { standing, error, spared, .. } = &write.next;
    let Measured { started_at_us, queue_us, process_us, .. } = write.measured;
    let few = Measured { started_at_us, queue_us, process_us, ..Measured::default() };
    standing.state == State::Succeeded
        && (error.is_none() && spared.is_none())
        && write.output.as_ref().is_some_and(|output| &*output.processor == processor)
        && (write.response.is_none() && !write.drops_response && write.late_permit.is_none())
        && write.measured == few
}

/// Writes those that are plain.
pub(super) async fn finish(
    tx: &mut SqliteConnection,
    run: i64,
    batch: &[&WriteBack],
    processor: &str,
    finished_at_us: Micros,
    now_us: Micros,
) -> Inner<()> {
    let mut outputs = Vec::new();
    let rows: Vec<_> = batch
        .iter()
        .filter_map(|write| {
            let output = write.output.as_ref()?;
            let Measured { started_at_us, queue_us, process_us, .. } = write.measured;
            let offset = outputs.len();
            outputs.extend_from_slice(output.json.as_bytes());
            Some((write.job, write.attempt, started_at_us, queue_us, process_us, offset, output.json.len()))
        })
        .collect();
    let rows = pack::array(&rows);
    sqlx::query(include_str!("stored/finish_jobs.sql")).bind(&rows).bind(now_us).execute(&mut *tx).await?;
    sqlx::query(include_str!("stored/finish_attempts.sql")).bind(&rows).bind(run).execute(&mut *tx).await?;
    let results = sqlx::query(include_str!("stored/finish_results.sql")).bind(&rows).bind(outputs);
    results.bind(processor).bind(finished_at_us).execute(tx).await?;
    Ok(())
}
