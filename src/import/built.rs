//! Jobs that a program builds. They come one by one, and are never all in memory.

use std::sync::Arc;

use http::{HeaderName, Method};

use super::{Batch, CHUNK_BYTES, CHUNK_ROWS, EXAMPLES};
use crate::clock::Clock;
use crate::job::Job;
use crate::secret::{has_marker, literal_credential, literal_credential_in_url};
use crate::store::{NewJob, OnConflict, Reject, Store, StoreError, to_its_end};
use crate::template::{address, check_header_value, cut, hash};

/// What `imports.source` says of them.
const SOURCE: &str = "library";
/// Bytes of a request and its row, at most: a claim reads many of them at once.
const LARGEST: usize = 1 << 20;

/// What became of jobs that a program imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Added {
    /// Jobs given, whatever became of them.
    pub rows: u64,
    /// Jobs that were new.
    pub added: u64,
    /// Jobs that were there before, and stay as they are.
    pub known: u64,
    /// Jobs that were there before, not sent yet, and have the new request now.
    pub updated: u64,
    /// Jobs that were refused; they are in the table `rejected`, with the reason.
    pub rejected: u64,
    /// The first of these; not those whose key is known with another request.
    pub examples: Vec<Reject>,
}

/// Imports what the iterator gives, in transactions of at most 5,000 jobs or about 4 MB. It is asked between two of them,
/// and `tell` is called after each that brought new jobs.
///
/// # Errors
/// Where the store fails; what was imported before stays.
pub(crate) async fn import_built<S: Store>(
    store: &Arc<S>,
    jobs: impl Iterator<Item = Job>,
    on_conflict: OnConflict,
    clock: Clock,
    tell: impl Fn(),
) -> Result<Added, StoreError> {
    let mut rows = (1..).zip(jobs);
    let mut all = Added::default();
    let mut import = None;
    loop {
        let batch = next_batch(&mut rows, on_conflict);
        if batch.rows() == 0 {
            return Ok(all);
        }
        let id = match import {
            Some(id) => id,
            None => {
                let store = store.clone();
                *import.insert(to_its_end(async move { store.begin_import(SOURCE, None, clock.now_us()).await }).await?)
            }
        };
        let given = batch.rows() as u64;
        let free = EXAMPLES.saturating_sub(all.examples.len());
        all.examples.extend(batch.chunk.rejects.iter().take(free).cloned());
        let (store, chunk) = (store.clone(), batch.chunk);
        let done = to_its_end(async move { store.import(id, &chunk, clock.now_us()).await }).await?;
        if done.added > 0 {
            tell();
        }
        all.rows += given;
        all.added += done.added;
        all.known += done.known;
        all.updated += done.updated;
        all.rejected += done.rejected;
    }
}

fn next_batch(rows: &mut impl Iterator<Item = (u64, Job)>, on_conflict: OnConflict) -> Batch {
    let mut batch = Batch::default();
    while batch.rows() < CHUNK_ROWS
        && batch.bytes < CHUNK_BYTES
        && let Some((line, job)) = rows.next()
    {
        match new_job(line, job, on_conflict) {
            Ok(job) => batch.push(job),
            Err(reject) => batch.reject(reject),
        }
    }
    batch
}

/// The job as it is stored, or why it is not.
fn new_job(line: u64, job: Job, on_conflict: OnConflict) -> Result<NewJob, Reject> {
    match stored(&job) {
        Ok((method, url)) => {
            let Job { key, mut request, .. } = job;
            (request.method, request.url) = (method, url);
            // A hash says all of its request: with another one it is known where templates have changed, which is no conflict.
            let (key, on_conflict) =
                if key.is_empty() { (hash(&request), OnConflict::Skip) } else { (key, on_conflict) };
            Ok(NewJob { key, line, request, on_conflict })
        }
        Err(reason) => {
            // What stands behind the `?` may be a secret.
            let url = address::masked(job.request.url.split('?').next().unwrap_or_default());
            let text = cut(&format!("{} {url}", job.request.method), 1_000).replace('\0', "\u{fffd}");
            Err(Reject { line, reason, text })
        }
    }
}

/// Method and URL as they are stored.
fn stored(job: &Job) -> Result<(String, String), String> {
    if let Some(why) = job.wrong() {
        return Err(why.to_owned());
    }
    let request = &job.request;
    if job.key.contains('\0') {
        return Err("its key holds a NUL".to_owned());
    }
    if has_marker(&job.key) {
        return Err("its key holds a character between U+FDD0 and U+FDD2, which haul keeps for itself".to_owned());
    }
    let method = request.method.to_ascii_uppercase();
    match Method::from_bytes(method.as_bytes()) {
        Ok(Method::CONNECT) => return Err("CONNECT opens a tunnel; it is not a request".to_owned()),
        Ok(_) => {}
        Err(_) => return Err(format!("{:?} is not an HTTP method, such as GET or POST", cut(&method, 20))),
    }
    // Those characters name secrets, which only a template may do.
    let body = request.body.as_deref().unwrap_or_default();
    if has_marker(&request.url) || std::str::from_utf8(body).is_ok_and(has_marker) {
        return Err("it holds a character between U+FDD0 and U+FDD2, which haul keeps for itself".to_owned());
    }
    if let Some(name) = literal_credential_in_url(&request.url) {
        return Err(format!("{name}=.. in its URL is a secret, which would be stored; send it as a secret header"));
    }
    let url = address::check(&request.url).map_err(|why| format!("its URL {why}"))?;
    for (name, values) in &request.headers {
        let one = std::slice::from_ref(values);
        for value in values.as_array().map_or(one, Vec::as_slice) {
            check_header(name, value.as_str().unwrap_or_default())?;
        }
    }
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + super::text_length(value)).sum();
    let row: usize = request.row.iter().map(|(name, value)| name.len() + super::text_length(value)).sum();
    let bytes = job.key.len() + url.len() + headers + body.len() + row;
    if bytes > LARGEST {
        return Err(format!("it is {bytes} bytes long, its row included; {LARGEST} are the most"));
    }
    Ok((method, url))
}

fn check_header(name: &str, value: &str) -> Result<(), String> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(format!("{:?} is not the name of a header", cut(name, 50)));
    }
    // Of names like this the one is known that holds no secret.
    if !name.eq_ignore_ascii_case("idempotency-key") && literal_credential(&format!("{name}: {value}")) {
        return Err(format!(
            "its header {name} is a secret, which would be stored; give it with `secret_header` of the runner"
        ));
    }
    if has_marker(value) {
        return Err(format!(
            "its header {name} holds a character between U+FDD0 and U+FDD2, which haul keeps for itself"
        ));
    }
    check_header_value(value).map_err(|why| format!("its header {name} {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn new_job(line: u64, job: Job) -> Result<NewJob, Reject> {
        super::new_job(line, job, OnConflict::Update)
    }

    fn refused(job: Job) -> String {
        new_job(7, job).expect_err("it is wrong").reason
    }

    #[test]
    fn a_job_is_stored_as_it_was_built_and_equal_ones_have_one_key() {
        let built = || Job::new("patch", "http://x/ä").json(&json!({"a": [1]})).row(json!({"n": 1}));
        let NewJob { key, line, request, .. } =
            new_job(7, built().header("Accept", "a").header("accept", "b")).expect("fine");
        assert_eq!((line, &*request.method, &*request.url), (7, "PATCH", "http://x/%C3%A4"));
        assert_eq!(request.body.as_deref(), Some(br#"{"a":[1]}"#.as_slice()));
        let headers = json!({"content-type": "application/json", "Accept": ["a", "b"]});
        assert_eq!((json!(request.headers), json!(request.row)), (headers, json!({"n": 1})));
        assert_eq!(key.len(), 64, "a hash");
        assert_ne!(new_job(7, built()).expect("fine").key, key, "another request");
        assert_eq!(new_job(1, built().key(17)).expect("fine").key, "17");
    }

    // Seen failing with the checks of the URL's and of the header's credentials left out.
    #[test]
    fn what_is_wrong_with_a_job_is_said_and_no_secret_with_it() {
        let no_json = std::collections::BTreeMap::from([(vec![1], 1)]);
        let large = "x".repeat(LARGEST);
        for (job, reason) in [
            (Job::get("x"), "its URL is not absolute"),
            (Job::get("http://x/\u{fdd0}{{ env(A) }}\u{fdd1}"), "U+FDD0"),
            (Job::post("http://x/").body("\u{fdd0}{{ env(A) }}\u{fdd1}"), "U+FDD0"),
            (Job::get("http://x/").header("a", "\u{fdd0}"), "U+FDD0"),
            (Job::new("G T", "http://x/"), "\"G T\" is not an HTTP method"),
            (Job::new("CONNECT", "http://x/"), "tunnel"),
            (Job::get("http://x/").header("a b", "c"), "\"a b\" is not the name"),
            (Job::get("http://x/").header("a", "b\r\nc"), "its header a holds '\\r'"),
            (Job::get("http://x/").header("authorization", "Bearer hush"), "`secret_header`"),
            (Job::get("http://x/?api_key=hush"), "api_key=.. in its URL is a secret"),
            (Job::post("http://x/").json(&no_json), "cannot be written as JSON"),
            (Job::get("http://x/").row(1), "its row has no columns"),
            (Job::get("http://x/").row(json!({"a": large.clone()})), "1048576 are the most"),
            (Job::post("http://x/").body(large), "1048576 are the most"),
            (Job::get("http://x/").key(""), "its key is empty"),
            (Job::get("http://x/").key("a\0"), "NUL"),
            (Job::get("http://x/").key("\u{fdd2}a"), "its key holds a character between U+FDD0"),
        ] {
            let reject = new_job(7, job).expect_err(reason);
            assert!(reject.reason.contains(reason), "{reason}: {reject:?}");
            assert!(!format!("{reject:?}").contains("hush"), "{reject:?}");
        }
        assert_eq!(
            refused(Job::get("http://x/").key("").row(1)),
            "its key is empty; a key tells jobs apart",
            "the first"
        );
        assert!(new_job(1, Job::get("http://x/").header("Idempotency-Key", "7")).is_ok());
    }
}
