//! Imports of jobs that a program builds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use haul::{Job, OnConflict};

use super::{jobs, new, rows, until};
use crate::resume::bench::done;
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

// Seen failing with chunks of 50,000 jobs.
#[tokio::test]
async fn an_import_takes_from_its_iterator_what_one_transaction_needs_and_no_more() {
    let (folder, haul) = new().await;
    let path = folder.path().to_owned();
    let durable = Arc::new(AtomicU64::new(0));
    let seen = durable.clone();
    let counted = move |id: u64| {
        if id == 5_001 || id == 10_001 {
            let path = path.clone();
            let counting = std::thread::spawn(move || done(rows::<(i64,)>(&path, "SELECT count(*) FROM jobs")));
            let counted = counting.join().expect("a number")[0].0;
            assert_eq!(counted as u64, id - 1, "what came before is durable");
            seen.fetch_add(1, Ordering::Relaxed);
        }
        Job::get(format!("http://x/{id}")).key(id)
    };
    let added = haul.import((1..=12_000).map(counted), OnConflict::Skip).await.expect("an import");
    assert_eq!((added.rows, added.added, durable.load(Ordering::Relaxed)), (12_000, 12_000, 2));

    let again = (1..=12_001).map(|id| Job::get(format!("http://x/{id}")).key(id));
    let added = haul.import(again, OnConflict::Skip).await.expect("an import");
    assert_eq!((added.added, added.known, added.rejected), (1, 12_000, 0), "the same again adds nothing");
}

// Seen failing with the bytes of a chunk not counted.
#[tokio::test]
async fn large_jobs_come_in_transactions_of_few() {
    let (folder, haul) = new().await;
    let path = folder.path().to_owned();
    let jobs = (1..=20).map(move |id| {
        if id == 20 {
            let path = path.clone();
            let counting = std::thread::spawn(move || done(rows::<(i64,)>(&path, "SELECT count(*) FROM jobs")));
            assert!(counting.join().expect("a number")[0].0 >= 15, "more than 4 MB are held back");
        }
        Job::post(format!("http://x/{id}")).body(vec![b'x'; 1_000_000])
    });
    assert_eq!(haul.import(jobs, OnConflict::Skip).await.expect("an import").added, 20);
}

#[tokio::test]
async fn a_job_that_cannot_be_sent_is_refused_and_the_others_are_not() {
    let (folder, haul) = new().await;
    let jobs = [Job::get("http://x/1"), Job::get("x"), Job::get("http://x/1"), Job::get("http://x/2")];
    let added = haul.import(jobs, OnConflict::Reject).await.expect("an import");
    assert_eq!((added.rows, added.added, added.known, added.rejected), (4, 2, 1, 1), "equal requests are one job");
    let reason = "its URL is not absolute; it begins with http:// or https://";
    assert_eq!(added.examples.iter().map(|r| (r.line, &*r.reason)).collect::<Vec<_>>(), [(2, reason)]);
    let rejected: Vec<(i64, String, String)> = rows(folder.path(), "SELECT line, reason, text FROM rejected").await;
    assert_eq!(rejected, [(2, reason.to_owned(), "GET x".to_owned())]);
}

#[tokio::test]
async fn a_known_key_with_another_request_is_as_one_says() {
    let (_folder, haul) = new().await;
    haul.import([Job::get("http://x/1").key(1)], OnConflict::Reject).await.expect("an import");
    let other = || [Job::get("http://x/2").key(1)];
    let skipped = haul.import(other(), OnConflict::Skip).await.expect("an import");
    assert_eq!((skipped.added, skipped.known, skipped.rejected), (0, 1, 0));
    let rejected = haul.import(other(), OnConflict::Reject).await.expect("an import");
    assert_eq!((rejected.added, rejected.known, rejected.rejected), (0, 0, 1));
    for (updated, known) in [(1, 0), (0, 1)] {
        let again = haul.import(other(), OnConflict::Update).await.expect("an import");
        assert_eq!((again.updated, again.known, again.rejected), (updated, known, 0));
    }
}

// Seen failing with `told_of_jobs` doing nothing: what the run's own connection writes is no change to it.
#[tokio::test]
async fn jobs_that_are_added_while_a_run_goes_are_sent_by_it() {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Arc::new(Server::start(Script::new(move |asked: &Asked| {
        let answer = Reply::from(Answer::json("{}"));
        if asked.key == "first" { Reply::Held(held.clone(), Box::new(answer)) } else { answer }
    })));
    let (_folder, haul) = new().await;
    haul.import(jobs(&server, &["first"]), OnConflict::Skip).await.expect("an import");
    let running = tokio::spawn(haul.runner().run());
    let seen = server.clone();
    until("the first is sent", move || seen.total() == 1).await;
    // By the handle of the run, then by another one, which stands for another process.
    haul.import(jobs(&server, &["second"]), OnConflict::Skip).await.expect("an import beside the run");
    let seen = server.clone();
    until("the second is sent while the first is held", move || seen.total() == 2).await;
    let other = haul::Haul::open(_folder.path().join("jobs.db")).await.expect("the same database");
    other.import(jobs(&server, &["third"]), OnConflict::Skip).await.expect("an import");
    let seen = server.clone();
    until("the third is sent while the first is held", move || seen.total() == 3).await;
    gate.open();
    let summary = running.await.expect("no panic").expect("an end");
    assert_eq!((summary.succeeded, summary.left), (3, 0));
}
