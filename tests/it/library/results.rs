//! Results come in the order of their commits: who has seen some never misses one that is committed later.

use haul::{Cursor, Haul, Job, OnConflict};

use super::{jobs, new, rows};
use crate::server::{Script, Server};

/// All keys behind the cursor, page by page, and where they end.
async fn read(haul: &Haul, mut cursor: Cursor) -> (Vec<String>, Cursor) {
    let mut keys = Vec::new();
    loop {
        let page = haul.results::<serde_json::Value>(cursor).await.expect("a page");
        assert!(page.results.len() <= 1_000, "{}", page.results.len());
        cursor = page.next.to_string().parse().expect("a cursor is a text");
        if page.results.is_empty() {
            return (keys, cursor);
        }
        keys.extend(page.results.into_iter().map(|result| result.key));
    }
}

async fn run(haul: &Haul, server: &Server, ids: std::ops::Range<u32>) {
    let jobs = ids.map(|id| Job::get(format!("{}/{id}", server.url())).key(id));
    haul.import(jobs, OnConflict::Skip).await.expect("an import");
    haul.runner().run().await.expect("an end");
}

#[tokio::test]
async fn pages_hold_every_result_once() {
    let server = Server::start(Script::ok());
    let (_folder, haul) = new().await;
    run(&haul, &server, 0..2_345).await;
    let (mut keys, end) = read(&haul, Cursor::default()).await;
    assert_eq!(keys.len(), 2_345);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 2_345, "none twice");
    assert_eq!(read(&haul, end).await, (Vec::new(), end), "the end stays where it is");
}

// Seen failing with the time of a result as the clock gave it: both were missed.
#[tokio::test]
async fn a_clock_that_is_set_back_hides_no_result() {
    let server = Server::start(Script::ok());
    let (folder, haul) = new().await;
    run(&haul, &server, 0..3).await;
    // As if the clock had been an hour ahead until now.
    rows::<(i64,)>(folder.path(), "UPDATE results SET finished_at_us = finished_at_us + 3600000000").await;
    let (_, end) = read(&haul, Cursor::default()).await;
    run(&haul, &server, 3..4).await;
    let (keys, end) = read(&haul, end).await;
    assert_eq!(keys, ["3"]);
    run(&haul, &server, 4..5).await;
    assert_eq!(read(&haul, end).await.0, ["4"]);
}

// Seen failing without the step of a microsecond: the job of the lower id was missed.
#[tokio::test]
async fn two_commits_in_the_same_microsecond_are_two_places() {
    let server = Server::start(Script::ok());
    let (folder, haul) = new().await;
    haul.import(jobs(&server, &["first", "second"]), OnConflict::Skip).await.expect("an import");
    rows::<(i64,)>(folder.path(), "UPDATE jobs SET due_at_us = 9000000000000000 WHERE id = 1").await;
    haul.runner().limit(1).run().await.expect("an end");
    // The next commit comes at a time that is taken, and has the lower id.
    rows::<(i64,)>(folder.path(), "UPDATE results SET finished_at_us = 9000000000000000").await;
    rows::<(i64,)>(folder.path(), "UPDATE jobs SET due_at_us = 0 WHERE id = 1").await;
    let (keys, end) = read(&haul, Cursor::default()).await;
    assert_eq!(keys, ["second"]);
    haul.runner().run().await.expect("an end");
    assert_eq!(read(&haul, end).await.0, ["first"]);
}

// Seen failing with the bytes of a page not counted.
#[tokio::test]
async fn a_page_of_large_results_is_short() {
    let body = format!("\"{}\"", "x".repeat(9 << 20));
    let server = Server::start(Script::new(move |_: &crate::server::Asked| crate::server::Answer::json(body.clone())));
    let (_folder, haul) = new().await;
    run(&haul, &server, 0..3).await;
    let page = haul.results::<String>(Cursor::default()).await.expect("a page");
    assert_eq!(page.results.len(), 2, "the second goes beyond 16 MiB");
    assert_eq!(haul.results::<String>(page.next).await.expect("a page").results.len(), 1);
}
