//! What is tried again, when, and how failures are named.

use super::bench::{Bench, until, wall_us};
use crate::checker::arrivals_per_key;
use crate::server::{Answer, Asked, Reply, Script, Server};

// Control: with `--max-attempts 2` all of them fail.
#[test]
fn jobs_that_fail_twice_succeed_at_the_third_try() {
    let server = Server::start(Script::new(|asked: &Asked| match asked.nth {
        1 | 2 => Answer::status(503),
        _ => Answer::json("1"),
    }));
    // Fewer failures in a row than make the server the one in trouble.
    let bench = Bench::with_jobs(&server, 4);
    bench.run(&["run", "--backoff", "1ms..20ms"]).exits(0);
    bench.check_clean(4, &server);
    assert!(arrivals_per_key(&server.arrivals()).values().all(|times| *times == 3));
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE failures = 2 AND attempts = 3 AND error_type IS NULL"), 4);
    assert_eq!(bench.number("SELECT count(*) FROM attempts WHERE error_type = '503'"), 8);

    let bench = Bench::with_keys(&server, &["x", "y"]);
    bench.run(&["run", "--backoff", "1ms..20ms", "--max-attempts", "2"]).exits(3);
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE state = 'failed' AND failures = 2"), 2);
}

// Seen to fail with `due_at_us` left out of the branch for retries in claim.sql.
#[test]
fn the_schedule_of_retries_holds_across_a_crash() {
    let server = Server::start(Script::new(|asked: &Asked| match asked.nth {
        1 => Answer::status(503).header("retry-after", "2"),
        _ => Answer::json("1"),
    }));
    let bench = Bench::with_jobs(&server, 9);
    let run = bench.start(&["run", "--backoff", "1s..1s"]);
    let waiting = "SELECT count(*) FROM jobs WHERE failures = 1 AND due_at_us > 0 AND run_id IS NULL";
    until("all jobs wait for their second try", || bench.number(waiting) == 9);
    run.kill();
    let schedule: Vec<(String, i64)> = bench.rows("SELECT key, due_at_us FROM jobs");
    let resumed_us = wall_us(&server, server.now_ns());
    assert!(schedule.iter().all(|(_, due_us)| *due_us > resumed_us), "the kill came before they fell due");
    bench.run(&["resume"]).exits(0);

    let arrivals = server.arrivals();
    assert_eq!(arrivals.len(), 18);
    for arrival in &arrivals[9..] {
        let (key, due_us) = schedule.iter().find(|(key, _)| *key == arrival.key).expect("a job");
        let early_us = due_us - wall_us(&server, arrival.at_ns);
        assert!(early_us <= 1_000, "{key} was sent {early_us} us before it fell due");
    }
    bench.check_clean(9, &server);
}

/// One job for each way to fail, two tries each: what is given up at once has one attempt.
#[test]
fn failures_are_named_and_only_transient_ones_are_tried_again() {
    let big = Answer::json(vec![b'1'; 3_000]);
    let server = Server::start(Script::new(move |asked: &Asked| match asked.key.as_str() {
        "404" => Answer::status(404).into(),
        "500" => Answer::status(500).into(),
        "timeout" => Reply::Hang,
        "reset" => Reply::Reset,
        "closed" => Reply::Close,
        "partial" => Reply::Partial(Answer::json("[1,2,3]"), 3),
        "garbage" => Reply::Raw(b"garbage\r\n\r\n".to_vec()),
        "big" => big.clone().into(),
        _ => Answer::json("1").into(),
    }));
    let ways = [
        ("404", "404", 1),
        ("500", "500", 2),
        ("timeout", "timeout", 2),
        ("reset", "connect", 2),
        ("closed", "connect", 2),
        ("partial", "body_truncated", 2),
        ("garbage", "decode", 1),
        ("big", "body_too_large", 1),
    ];
    let keys: Vec<_> = ways.iter().map(|(key, ..)| *key).chain(["fine"]).collect();
    let bench = Bench::with_keys(&server, &keys);
    let how = ["--timeout", "500ms", "--max-body", "2KiB", "--max-attempts", "2", "--backoff", "1ms..1ms"];
    bench.run(&[&["run"], &how[..]].concat()).exits(3);

    let found: Vec<(String, String, i64, i64)> = bench.rows(
        "SELECT key, coalesce(a.error_type, ''), count(*), min(state = 'failed' AND jobs.error_type = a.error_type)
         FROM jobs JOIN attempts AS a ON job_id = id GROUP BY 1, 2 ORDER BY id",
    );
    let mut expected: Vec<_> = ways.iter().map(|(key, name, n)| (key.to_string(), name.to_string(), *n, 1)).collect();
    let fine = found.iter().position(|(key, ..)| key == "fine").map(|at| found[at].clone());
    assert_eq!(fine.map(|(_, error, n, _)| (error, n)), Some((String::new(), 1)), "its neighbours do it no harm");
    expected.sort();
    let mut failed: Vec<_> = found.into_iter().filter(|(key, ..)| key != "fine").collect();
    failed.sort();
    assert_eq!(failed, expected);
    for (key, _, times) in ways {
        let arrived = server.arrivals().iter().filter(|arrival| arrival.key == key).count();
        assert_eq!(arrived as i64, times, "{key}");
    }
}
