//! Long windows: what is left of them is told, and so is the wait for them.

use haul::clock::{Clock, SECOND_US};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::bench::{Bench, done};
use crate::server::{Answer, Asked, Script, Server};

const RATES: [&str; 4] = ["--rate", "100/s", "--rate", "10000/d"];

/// So many of 10,000 requests were sent nearly an hour ago, beside one just now; so many jobs wait.
fn used(server: &Server, used: i64, jobs: usize) -> Bench {
    let bench = Bench::with_keys(server, &["first"]);
    bench.run(&[&["run"], &RATES[..]].concat()).exits(0);
    let keys: Vec<_> = (0..jobs).map(|n| format!("{n:04}")).collect();
    bench.import(server, &keys);
    let until_us = Clock::start().now_us() - 3_500 * SECOND_US;
    done(async {
        let options = SqliteConnectOptions::new().filename(bench.db());
        let mut writer = SqliteConnection::connect_with(&options).await.expect("a database");
        let insert = sqlx::query("INSERT INTO spends VALUES ('10000/d', ?1, ?2)").bind(until_us).bind(used - 1);
        insert.execute(&mut writer).await.expect("a row");
        writer.close().await.expect("closed");
    });
    bench
}

fn server() -> Server {
    Server::start(Script::new(|_: &Asked| Answer::json("1")))
}

// Seen failing with no row from `spends.sql`.
#[test]
fn after_9000_of_10000_a_day_a_run_says_that_1000_are_left_and_when_more_come() {
    let server = server();
    let bench = used(&server, 9_000, 3);
    let status = bench.run(&["status"]).exits(0).stdout;
    assert!(status.contains("10000/d, 1,000 of 10,000 permits left\n"), "{status}");
    let ended = bench.run(&["resume", "--limit", "2"]).exits(75);
    let left = "10000/d: 1,000 of 10,000 permits left; more come from 2";
    assert!(ended.stderr.contains(left) && ended.stderr.contains("Z on (in 23h 1m)"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("100/s"), "a second is not worth a word: {}", ended.stderr);
    let status = bench.run(&["status", "--json"]).exits(0).stdout;
    assert!(status.contains(r#""left": 998,"#) && status.contains(r#""next_at": null"#), "{status}");
}

// Seen failing with no row from `spends.sql`.
#[test]
fn a_run_that_would_wait_longer_than_it_is_to_stops_with_75_and_says_when_it_goes_on() {
    let server = server();
    let bench = used(&server, 9_996, 9);
    let ended = bench.run(&["resume", "--max-wait", "10m"]).exits(75);
    assert_eq!(server.total(), 5, "one before, and what was left");
    assert!(ended.stdout.contains("because   10000/d allows the next request at 2"), "{}", ended.stdout);
    assert!(ended.stdout.contains("Z, and it was to wait 10m at most\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("4 succeeded") && ended.stdout.contains("5 left"), "{}", ended.stdout);
    assert!(ended.stdout.ends_with(" resume\n"), "{}", ended.stdout);
    let ended = bench.run(&["resume", "--max-wait", "1h", "--json"]).exits(75);
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert!(summary["goes_on_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{summary}");
    let status = bench.run(&["status"]).exits(0).stdout;
    assert!(status.contains("10000/d, 0 of 10,000 permits left: the next at 2"), "{status}");
    // With more patience than the wait it waits, says for what, and stops when it is told to.
    let run = bench.start(&["resume", "--max-wait", "24h", "--progress", "json"]);
    run.says(r#""waits_for":"10000/d","waits_until":"2"#);
    assert!(run.said().contains("none of 10,000 permits left"), "{}", run.said());
    bench.run(&["stop"]).exits(0);
    run.wait().exits(75);
    assert_eq!(server.total(), 5);
    bench.run(&["rate", "none"]).exits(0);
    bench.run(&["resume"]).exits(0);
    bench.check_clean(10, &server);
}

// Seen failing with the pause of the server left out of `Pacer::wait`.
#[test]
fn a_pause_that_the_server_asks_for_counts_too() {
    let server = Server::start(Script::new(|asked: &Asked| match asked.key.as_str() {
        "0001" if asked.nth == 1 => Answer::status(429).header("retry-after", "600"),
        _ => Answer::json("1"),
    }));
    let bench = Bench::with_jobs(&server, 3);
    let ended = bench.run(&["run", "-c", "1", "--rate", "50/s", "--max-wait", "5m"]).exits(75);
    assert!(ended.stdout.contains("because   the server takes the next request at 2"), "{}", ended.stdout);
    assert_eq!(server.total(), 2);
    let run = bench.start(&["resume", "--progress", "json"]);
    run.says(r#""waits_for":"server","waits_until":"2"#);
    bench.run(&["stop"]).exits(0);
    run.wait().exits(75);
}
