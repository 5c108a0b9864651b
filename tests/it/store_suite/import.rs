//! Promises of `begin_import` and `import`.

use haul::job::State;
use haul::request::Request;
use haul::store::{Chunk, Imported, NewJob, OnConflict, Store};

use serde_json::{Map, Value};

use super::Inspect;
use super::scene::{Scene, keys, new_job, reject, request};

/// New, known, updated and rejected rows.
fn imported(added: u64, known: u64, updated: u64, rejected: u64) -> Imported {
    Imported { added, known, updated, rejected }
}

pub(crate) async fn importing_twice_adds_nothing<T: Inspect>(at: Scene<T>) {
    assert_eq!(at.import(&["a", "b"]).await, imported(2, 0, 0, 0));
    let before = at.rows().await.jobs;
    assert_eq!(at.import(&["a", "b"]).await, imported(0, 2, 0, 0));
    assert_eq!(at.import(&["b", "c"]).await, imported(1, 1, 0, 0));
    let mut after = at.rows().await.jobs;
    assert!(after.remove("c").is_some());
    assert_eq!(after, before);
}

pub(crate) async fn a_known_key_with_another_request_is_rejected_with_a_reason<T: Inspect>(mut at: Scene<T>) {
    at.import(&["a"]).await;
    let other = NewJob { request: request("elsewhere"), ..new_job("a", 7) };
    let done = at.import_chunk(Chunk { jobs: vec![other], rejects: Vec::new() }).await;
    assert_eq!(done, imported(0, 0, 0, 1));
    let rows = at.rows().await;
    assert_eq!(rows.jobs.len(), 1);
    let (place, reason) = rows.rejected.first_key_value().expect("a rejected row");
    assert_eq!(*place, (2, 7));
    assert!(reason.contains('a') && reason.len() > 20, "a reason for people: {reason}");
    at.start().await;
    assert_eq!(at.claim_one().await.request, request("a"), "the first request stays");
}

pub(crate) async fn a_known_key_whose_row_alone_differs_is_the_same_job<T: Inspect>(mut at: Scene<T>) {
    at.import(&["a"]).await;
    let row = Map::from_iter([("id".to_owned(), Value::from("other"))]);
    let other = NewJob { request: Request { row, ..request("a") }, ..new_job("a", 7) };
    let done = at.import_chunk(Chunk { jobs: vec![other], rejects: Vec::new() }).await;
    assert_eq!(done, imported(0, 1, 0, 0));
    at.start().await;
    assert_eq!(at.claim_one().await.request, request("a"), "the first row stays");
}

pub(crate) async fn an_import_that_nobody_began_takes_no_rows<T: Inspect>(at: Scene<T>) {
    let chunk = Chunk { jobs: vec![new_job("a", 1)], rejects: vec![reject(2, "no url")] };
    assert!(at.store().import(7, &chunk, at.now_us).await.is_err());
    let rows = at.rows().await;
    assert!(rows.jobs.is_empty() && rows.rejected.is_empty());
}

pub(crate) async fn a_key_twice_in_one_chunk_makes_one_job<T: Inspect>(at: Scene<T>) {
    let other = NewJob { request: request("elsewhere"), ..new_job("a", 3) };
    let jobs = vec![new_job("a", 1), new_job("a", 2), other, new_job("b", 4)];
    let done = at.import_chunk(Chunk { jobs, rejects: Vec::new() }).await;
    assert_eq!(done, imported(2, 1, 0, 1));
    let rows = at.rows().await;
    assert_eq!(rows.jobs.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(rows.rejected.keys().collect::<Vec<_>>(), [&(1, 3)]);
}

pub(crate) async fn rejected_rows_are_kept_with_their_reason<T: Inspect>(at: Scene<T>) {
    let rejects = vec![reject(2, "no url"), reject(5, "no key")];
    let done = at.import_chunk(Chunk { jobs: vec![new_job("a", 1)], rejects }).await;
    assert_eq!(done, imported(1, 0, 0, 2));
    let kept: Vec<_> = at.rows().await.rejected.into_iter().collect();
    assert_eq!(kept, [((1, 2), "no url".to_owned()), ((1, 5), "no key".to_owned())]);
}

// Seen failing without the condition on the line: a page then began anew.
pub(crate) async fn the_rejected_rows_of_an_import_are_read_page_by_page<T: Inspect>(at: Scene<T>) {
    let rejects = |lines: [u64; 3]| lines.map(|line| reject(line, &format!("bad {line}"))).to_vec();
    at.import_chunk(Chunk { jobs: Vec::new(), rejects: rejects([1, 2, 3]) }).await;
    at.import_chunk(Chunk { jobs: Vec::new(), rejects: rejects([9, 2, 5]) }).await;
    let store = at.store();
    assert_eq!(store.rejected(2, 0, 2).await.expect("a page"), [reject(2, "bad 2"), reject(5, "bad 5")]);
    assert_eq!(store.rejected(2, 5, 2).await.expect("a page"), [reject(9, "bad 9")]);
    assert_eq!(store.rejected(2, 9, 2).await.expect("a page"), []);
}

pub(crate) async fn an_import_remembers_how_far_it_came<T: Inspect>(mut at: Scene<T>) {
    let store = at.store();
    let import = store.begin_import("rows.csv", None, at.now_us).await.expect("begin an import");
    assert_eq!(at.rows().await.imports[&import], (0, 0, 0));
    for chunk in [
        Chunk { jobs: vec![new_job("a", 1), new_job("b", 2)], rejects: vec![reject(3, "no url")] },
        Chunk { jobs: vec![new_job("b", 4), new_job("c", 5)], rejects: Vec::new() },
    ] {
        at.store().import(import, &chunk, at.now_us).await.expect("import");
    }
    at.stored.die().await;
    assert_eq!(at.rows().await.imports[&import], (5, 3, 1), "rows read, added, rejected");
}

pub(crate) async fn jobs_are_claimed_in_the_order_of_their_import<T: Inspect>(mut at: Scene<T>) {
    at.import(&["zebra", "ant", "mole"]).await;
    at.import(&["bee"]).await;
    at.start().await;
    assert_eq!(keys(&at.claim(3).await), ["zebra", "ant", "mole"]);
    assert_eq!(keys(&at.claim(3).await), ["bee"]);
}

pub(crate) async fn a_job_imported_again_after_it_finished_stays_finished<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    at.commit(&[at.done(&lease, "1")]).await;
    assert_eq!(at.import(&["a"]).await.known, 1);
    assert_eq!(at.rows().await.job("a").state, State::Succeeded);
    assert!(at.claim(1).await.is_empty());
}

/// A row for a known key that asks for something else.
fn elsewhere(key: &str, line: u64, on_conflict: OnConflict) -> NewJob {
    NewJob { request: request("elsewhere"), on_conflict, ..new_job(key, line) }
}

pub(crate) async fn a_known_key_with_another_request_is_known_where_that_is_no_conflict<T: Inspect>(mut at: Scene<T>) {
    at.import(&["a"]).await;
    let jobs = vec![elsewhere("a", 1, OnConflict::Skip)];
    assert_eq!(at.import_chunk(Chunk { jobs, rejects: Vec::new() }).await, imported(0, 1, 0, 0));
    assert!(at.rows().await.rejected.is_empty());
    at.start().await;
    assert_eq!(at.claim_one().await.request, request("a"), "the first request stays");
}

pub(crate) async fn a_job_that_was_not_sent_says_what_the_row_says_where_that_is_wanted<T: Inspect>(mut at: Scene<T>) {
    at.import(&["a", "b"]).await;
    let before = at.rows().await.jobs;
    let row = Map::from_iter([("id".to_owned(), Value::from("other"))]);
    let other_row =
        NewJob { request: Request { row, ..request("b") }, on_conflict: OnConflict::Update, ..new_job("b", 8) };
    let body = Some(b"\xff\0".as_slice().into());
    let mut with_body = elsewhere("a", 7, OnConflict::Update);
    with_body.request.body = body;
    let chunk = Chunk { jobs: vec![with_body.clone(), other_row.clone()], rejects: Vec::new() };
    assert_eq!(at.import_chunk(chunk.clone()).await, imported(0, 0, 2, 0));
    assert_eq!(at.import_chunk(chunk).await, imported(0, 2, 0, 0), "again it is known");
    assert_eq!(at.rows().await.jobs, before, "ids and places stay");
    at.stored.die().await;
    at.start().await;
    let leases = at.claim(2).await;
    assert_eq!(keys(&leases), ["a", "b"]);
    assert_eq!((&leases[0].request, &leases[1].request), (&with_body.request, &other_row.request));
}

// Seen failing with every pending job written over, and with those that were never claimed.
pub(crate) async fn a_job_that_was_sent_is_never_written_over<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["flying", "waiting", "done"]).await;
    let leases = at.claim(3).await;
    at.commit(&[at.retry_at(&leases[1], at.now_us), at.done(&leases[2], "1")]).await;
    let jobs = ["flying", "waiting", "done"].iter().zip(1..);
    let jobs = jobs.map(|(key, line)| elsewhere(key, line, OnConflict::Update)).collect();
    assert_eq!(at.import_chunk(Chunk { jobs, rejects: Vec::new() }).await, imported(0, 0, 0, 3));
    assert_eq!(at.rows().await.rejected.len(), 3);
    assert_eq!(at.claim_one().await.request, request("waiting"), "the first request stays");
}

// Seen failing with a claim taken for a sending.
pub(crate) async fn a_job_whose_claim_was_given_back_was_not_sent<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    at.store().release(at.run, &[(lease.job, lease.attempt)], &[]).await.expect("given back");
    let jobs = vec![elsewhere("a", 1, OnConflict::Update)];
    assert_eq!(at.import_chunk(Chunk { jobs, rejects: Vec::new() }).await, imported(0, 0, 1, 0));
    assert_eq!(at.claim_one().await.request, request("elsewhere"));
}

// Seen failing without the cut of the chunk: the first request stayed, as one statement saw both rows.
pub(crate) async fn of_a_key_twice_in_one_chunk_the_last_is_kept_where_that_is_wanted<T: Inspect>(mut at: Scene<T>) {
    let first = NewJob { on_conflict: OnConflict::Update, ..new_job("a", 1) };
    let jobs = vec![first.clone(), elsewhere("a", 2, OnConflict::Update), NewJob { line: 3, ..first }];
    assert_eq!(at.import_chunk(Chunk { jobs, rejects: Vec::new() }).await, imported(1, 0, 2, 0));
    at.start().await;
    assert_eq!(at.claim_one().await.request, request("a"));
}
