//! Rust values -> what one constant statement a batch takes: a JSON array of rows, and one blob that holds all long fields.

use serde::Serialize;

use crate::attempt::Measured;
use crate::job::State;
use crate::minutes::Minutes;
use crate::request::Request;
use crate::store::{NewJob, OnConflict, WriteBack, packing};

/// Rows, and the bytes they point into.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// A JSON array.
    pub(super) rows: String,
    /// What `[offset, length]` in the rows mean.
    pub(super) blob: Vec<u8>,
}

/// A JSON array of no rows.
pub(super) const NONE: &str = "[]";

/// A JSON array of `rows`.
pub(super) fn array(rows: &impl Serialize) -> String {
    // cannot fail: the rows are numbers, strings and tuples of these, and a String takes all that is written to it
    serde_json::to_string(rows).unwrap_or_default()
}

impl Packed {
    /// An empty blob would be bound as NULL, and every `substr` of it be NULL too: a response without a body could not be stored.
    fn new(rows: String, mut blob: Vec<u8>) -> Self {
        if blob.is_empty() {
            blob.push(0);
        }
        Self { rows, blob }
    }
}

/// Appends bytes and tells where they are: (offset, length).
fn put(blob: &mut Vec<u8>, bytes: &[u8]) -> (usize, usize) {
    let offset = blob.len();
    blob.extend_from_slice(bytes);
    (offset, bytes.len())
}

/// Rows of `import_jobs.sql` and `import_requests.sql`.
pub(super) fn new_jobs(jobs: &[NewJob]) -> Packed {
    let mut blob = Vec::new();
    let rows: Vec<_> = jobs
        .iter()
        .map(|NewJob { key, line, request, on_conflict }| {
            let Request { method, url, headers, body, row } = request;
            let (offset, length, text) = put_body(&mut blob, body.as_ref());
            let rule = match on_conflict {
                OnConflict::Reject => 0,
                OnConflict::Skip => 1,
                OnConflict::Update => 2,
            };
            (key, line, method, url, array(headers), array(row), offset, length, text, rule)
        })
        .collect();
    Packed::new(array(&rows), blob)
}

/// Rows of `replace_requests.sql`.
pub(super) fn requests(requests: &[(i64, &Request)]) -> Packed {
    let mut blob = Vec::new();
    let rows: Vec<_> = requests
        .iter()
        .map(|(job, Request { method, url, headers, body, row })| {
            let (offset, length, text) = put_body(&mut blob, body.as_ref());
            (job, method, url, array(headers), array(row), offset, length, text)
        })
        .collect();
    Packed::new(array(&rows), blob)
}

/// Appends a body, and tells where it is and whether it is text; nothing of each where there is none.
fn put_body(blob: &mut Vec<u8>, body: Option<&bytes::Bytes>) -> (Option<usize>, Option<usize>, Option<u8>) {
    let place = body.map(|body| put(blob, body));
    (place.map(|p| p.0), place.map(|p| p.1), body.map(|body| u8::from(is_text(body))))
}

/// Text is stored as text, readable in SQL: UTF-8 without NUL, at which SQL's text functions would stop.
fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'))
}

/// Rows of `write_jobs.sql`.
pub(super) fn jobs(batch: &[&WriteBack], run: i64, now_us: i64) -> String {
    let rows: Vec<_> = batch
        .iter()
        .map(|write| {
            let next = &write.next;
            let standing = next.standing;
            let (error_type, message) = next.error.as_ref().map(|(t, m)| (t.as_str(), m.as_str())).unzip();
            (
                write.job,
                write.attempt,
                standing.state.as_str(),
                standing.failures,
                standing.generation,
                standing.crashes,
                next.due_at_us,
                error_type,
                message,
                standing.state.is_final().then_some(now_us),
                next.keep_lease.then_some(run),
                standing.was.map(State::as_str),
            )
        })
        .collect();
    array(&rows)
}

/// Rows of `write_attempts.sql`.
pub(super) fn attempts(batch: &[&WriteBack]) -> String {
    let rows: Vec<_> = batch
        .iter()
        .map(|write| {
            let Measured { started_at_us, rate_wait_us, ttfb_us, fetch_us, queue_us, process_us, .. } = write.measured;
            let Measured { latency_us, within_sla, status_code, bytes, .. } = write.measured;
            let (error_type, message) = write.next.fault().map(|(t, m)| (t.as_str(), m.as_str())).unzip();
            (
                write.job,
                write.attempt,
                started_at_us,
                rate_wait_us,
                ttfb_us,
                fetch_us,
                queue_us,
                process_us,
                latency_us,
                within_sla.map(u8::from),
                status_code,
                bytes,
                error_type,
                message,
            )
        })
        .collect();
    array(&rows)
}

/// Rows of `write_responses.sql`.
pub(super) fn responses(batch: &[&WriteBack]) -> Packed {
    let mut blob = Vec::new();
    let rows: Vec<_> = batch
        .iter()
        .filter_map(|write| {
            let response = write.response.as_deref()?;
            let (offset, length) = put(&mut blob, write.packed.as_ref().unwrap_or(&response.body));
            let encoding = write.packed.as_ref().map(|_| packing::ZSTD);
            let (headers, text) = (array(&response.headers), u8::from(encoding.is_none() && is_text(&response.body)));
            Some((
                write.job,
                write.attempt,
                response.status_code,
                headers,
                offset,
                length,
                text,
                response.fetched_at_us,
                encoding,
            ))
        })
        .collect();
    Packed::new(array(&rows), blob)
}

/// Rows of `write_results.sql`.
pub(super) fn results(batch: &[&WriteBack]) -> Packed {
    let mut blob = Vec::new();
    let rows: Vec<_> = batch
        .iter()
        .filter_map(|write| {
            let output = write.output.as_ref()?;
            let (offset, length) = put(&mut blob, output.json.as_bytes());
            Some((write.job, write.attempt, offset, length, &*output.processor))
        })
        .collect();
    Packed::new(array(&rows), blob)
}

/// Rows of `write_minutes.sql`.
pub(super) fn minutes(minutes: &Minutes) -> String {
    let rows: Vec<_> =
        minutes.0.iter().map(|((minute, stage, bound), b)| (minute, stage, bound, b.n, b.late, b.failed)).collect();
    array(&rows)
}

/// What a batch does to the kept counts: rows of `write_counts.sql`. `from` names where each job stood: `state error_type`.
pub(super) fn counts(batch: &[&WriteBack], from: &[&str]) -> String {
    let mut differences = std::collections::BTreeMap::<(&str, &str), i64>::new();
    for (write, from) in batch.iter().zip(from) {
        let old = from.split_once(' ').unwrap_or((from, ""));
        let error_type = write.next.error.as_ref().map_or("", |(error_type, _)| error_type.as_str());
        *differences.entry(old).or_default() -= 1;
        *differences.entry((write.next.standing.state.as_str(), error_type)).or_default() += 1;
    }
    let rows: Vec<_> = differences.into_iter().filter(|(_, n)| *n != 0).map(|((s, e), n)| (s, e, n)).collect();
    array(&rows)
}

/// Rows of `write_counts.sql` for new jobs.
pub(super) fn added(n: u64) -> String {
    array(&[(State::Pending.as_str(), "", n)])
}

/// Permits by the time after which they are void: rows of `spend.sql` and `unspend.sql`.
pub(super) fn spends(until_us: impl Iterator<Item = i64>) -> String {
    let mut permits = std::collections::BTreeMap::<i64, u32>::new();
    for until in until_us {
        *permits.entry(until).or_default() += 1;
    }
    array(&permits.into_iter().collect::<Vec<_>>())
}
