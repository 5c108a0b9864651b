//! A run that cannot succeed stops by itself: exit 5, what is left stays pending, and the next run counts anew.
//!
//! What must stop was seen going on with `Hope::judge` and the rule never heeded; what must go on was seen stopping with each
//! number one lower.

use super::bench::{Bench, Ended, until};
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

/// Answers the n-th request, from 1, with this status; 200 has a body.
fn by_number(status: impl Fn(u64) -> u16 + Send + Sync + 'static) -> Server {
    let arrived = std::sync::atomic::AtomicU64::new(0);
    Server::start(Script::new(move |_: &Asked| {
        match status(arrived.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1) {
            200 => Answer::json("1"),
            status => Answer::status(status),
        }
    }))
}

fn left(bench: &Bench) -> i64 {
    bench.number("SELECT count(*) FROM jobs WHERE state = 'pending' AND run_id IS NULL")
}

fn outcome(bench: &Bench) -> String {
    let rows: Vec<(String,)> = bench.rows("SELECT outcome FROM runs ORDER BY id DESC LIMIT 1");
    rows.into_iter().map(|(outcome,)| outcome).collect()
}

impl Ended {
    /// Words of the summary.
    #[track_caller]
    fn says(self, words: &str) -> Self {
        assert!(self.stdout.contains(words), "no `{words}` in:\n{}", self.stdout);
        self
    }
}

#[test]
fn ten_refusals_in_a_row_stop_the_run_and_the_next_one_counts_anew() {
    let server = by_number(|n| if n <= 10 { 401 } else { 200 });
    let bench = Bench::with_jobs(&server, 40);
    let ended = bench.run(&["run", "-c", "1"]).exits(5);
    assert_eq!((server.total(), left(&bench), outcome(&bench)), (10, 30, "hopeless".to_owned()));
    assert!(
        ended.stderr.contains("giving up: the server refuses the credentials: 10 answers in a row were 401"),
        "{}",
        ended.stderr
    );
    let db = bench.db();
    ended
        .says("jobs.db: stopped: it could not succeed after ")
        .says("\n  because   the server refuses the credentials: 10 answers in a row were 401\n  do        mend the credentials")
        .says(&format!("\nnext: haul --db {0} retry --status 401 && haul --db {0} resume\n", db.display()));
    bench.run(&["resume"]).exits(3);
    assert_eq!((server.total(), left(&bench), outcome(&bench)), (40, 0, "drained".to_owned()));
}

#[test]
fn nine_refusals_in_a_row_do_not_stop_a_run() {
    let server = by_number(|n| if n % 10 == 0 { 200 } else { 403 });
    let bench = Bench::with_jobs(&server, 40);
    bench.run(&["run", "-c", "1"]).exits(3).says("4 succeeded, 36 failed");
    assert_eq!((server.total(), left(&bench)), (40, 0));
}

#[test]
fn the_first_twenty_jobs_failed_for_good_stop_the_run() {
    let server = by_number(|_| 404);
    let bench = Bench::with_jobs(&server, 50);
    bench
        .run(&["run", "-c", "1"])
        .exits(5)
        .says("\n  because   none of the first 20 jobs succeeded, all failed for good\n")
        .says("query 'SELECT * FROM failures'\n");
    assert_eq!((server.total(), left(&bench)), (20, 30));
    // It looks at itself only, and again: 20 of its own.
    bench.run(&["resume", "-c", "1"]).exits(5);
    assert_eq!((server.total(), left(&bench)), (40, 10));
    // Ten are too few to tell, and then nothing is left.
    bench.run(&["resume", "-c", "1"]).exits(3);
    assert_eq!((server.total(), left(&bench), outcome(&bench)), (50, 0, "drained".to_owned()));
}

#[test]
fn nineteen_failures_and_a_success_do_not_stop_a_run() {
    let server = by_number(|n| if n == 20 { 200 } else { 404 });
    let bench = Bench::with_jobs(&server, 60);
    bench.run(&["run", "-c", "1"]).exits(3).says("1 succeeded, 59 failed");
}

#[test]
fn a_table_whose_twenty_jobs_all_fail_is_drained() {
    let server = by_number(|_| 404);
    let bench = Bench::with_jobs(&server, 20);
    let ended = bench.run(&["run"]).exits(3).says("jobs.db: drained after ");
    assert!(!ended.stdout.contains("because"), "{}", ended.stdout);
    assert_eq!(outcome(&bench), "drained");
}

#[test]
fn a_number_of_failures_stops_the_run_where_it_was_told_to() {
    let server = by_number(|n| if n % 2 == 0 { 404 } else { 200 });
    let bench = Bench::with_jobs(&server, 30);
    bench
        .run(&["run", "-c", "1", "--max-failures", "5"])
        .exits(5)
        .says("because   5 of the 10 jobs finished failed for good, and it was to stop at 5\n");
    assert_eq!((server.total(), left(&bench)), (10, 20));
    bench.run(&["resume", "-c", "1", "--max-failures", "11"]).exits(3);
    assert_eq!((server.total(), left(&bench)), (30, 0));
}

#[test]
fn a_share_of_failures_counts_from_twenty_jobs_on() {
    let server = by_number(|n| if n % 2 == 0 { 404 } else { 200 });
    let bench = Bench::with_jobs(&server, 60);
    bench.run(&["run", "-c", "1", "--max-failures", "50%"]).exits(5).says("10 of the 20 jobs finished failed for good");
    assert_eq!((server.total(), left(&bench)), (20, 40));
    bench.run(&["resume", "-c", "1", "--max-failures", "51%"]).exits(3);
}

#[test]
fn a_given_number_of_failures_bears_more_than_the_first_twenty() {
    let server = by_number(|_| 404);
    let bench = Bench::with_jobs(&server, 40);
    bench.run(&["run", "-c", "1", "--max-failures", "31"]).exits(5);
    assert_eq!((server.total(), left(&bench)), (31, 9));
}

// Seen failing with claims going on while it lands.
#[test]
fn what_is_in_flight_lands_and_no_more_than_that_is_sent() {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Server::start(Script::new(move |asked: &Asked| match asked.key.as_str() {
        "0000" | "0001" | "0002" => Reply::Held(held.clone(), Box::new(Answer::json("1").into())),
        _ => Answer::status(404).into(),
    }));
    let bench = Bench::with_jobs(&server, 200);
    let run = bench.start(&["run", "-c", "8", "--rate", "100/s"]);
    run.says("giving up: none of the first ");
    run.says(" in flight may land");
    let (then, said) = (server.total(), run.said());
    let flying: u64 =
        said.split("stopping: ").nth(1).and_then(|said| said.split(' ').next()?.parse().ok()).expect("a number");
    gate.open();
    run.wait().exits(5).says("3 succeeded, ");
    // What had its permit may have been on its way; three of those in flight had arrived.
    let sent = server.total();
    assert!(flying <= 8 && sent <= then + flying - 3, "{sent} sent, {then} before, {flying} in flight");
    // Three were held; of the other five at most four more can have been on their way when the twentieth failed.
    assert!((23..=27).contains(&sent), "{sent} sent");
    assert_eq!(left(&bench), 200 - sent as i64);
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE run_id IS NOT NULL"), 0);
}

#[test]
fn a_hundred_at_once_stop_within_those_in_flight() {
    let server = by_number(|_| 403);
    let bench = Bench::with_jobs(&server, 1_000);
    bench.run(&["run", "-c", "64"]).exits(5).says("answers in a row were 403");
    let sent = server.total();
    assert!((10..=10 + 64 + 64).contains(&sent), "{sent} sent");
    assert_eq!(left(&bench), 1_000 - sent as i64);
}

// Seen failing with failed responses not asked about.
#[test]
fn a_body_that_meets_the_rule_stops_the_run_whatever_its_status() {
    for status in [200, 404, 503] {
        let server = Server::start(Script::new(move |asked: &Asked| match asked.key.as_str() {
            "0007" => Answer { body: br#"{"error":"no quota"}"#.to_vec(), ..Answer::status(status) },
            _ => Answer::json(r#"{"error":null}"#),
        }));
        let bench = Bench::with_jobs(&server, 30);
        let ended = bench.run(&["run", "-c", "1", "--stop-if", "jq:.error"]).exits(5);
        let words =
            format!("because   the response to job 0007 (status {status}) meets the rule to stop if `jq:.error`\n");
        ended.says(&words);
        assert_eq!((server.total(), left(&bench)), (8, if status == 503 { 23 } else { 22 }), "{status}");
        let state = match status {
            200 => "SELECT count(*) FROM jobs WHERE key = '0007' AND state = 'succeeded'",
            404 => "SELECT count(*) FROM jobs WHERE key = '0007' AND state = 'failed' AND error_type = '404'",
            _ => "SELECT count(*) FROM jobs WHERE key = '0007' AND state = 'pending' AND failures = 1",
        };
        assert_eq!(bench.number(state), 1, "its own outcome is as it would be: {status}");
        // The rule is not remembered.
        bench.run(&["resume", "--max-attempts", "1", "-c", "1"]).exits(if status == 200 { 0 } else { 3 });
    }
}

// Seen failing with an error judged as met, and with every one told.
#[test]
fn a_rule_that_fails_on_a_body_is_not_met_and_says_so_once() {
    let server = Server::start(Script::new(|_: &Asked| Answer::json("[1]")));
    let bench = Bench::with_jobs(&server, 10);
    let ended = bench.run(&["run", "--stop-if", "jq:.error", "--fail-if", "jq:.failed"]).exits(0);
    for (rule, error) in [("jq:.error", r#"with \"error\""#), ("jq:.failed", r#"with \"failed\""#)] {
        let said: Vec<_> = ended.stderr.lines().filter(|line| line.contains(&format!("rule=\"{rule}\""))).collect();
        assert!(said.len() == 1 && said[0].contains("WARN") && said[0].contains(error), "{rule}: {}", ended.stderr);
    }
}

// Seen failing with permits not counted where there is no limit, and not where there is one.
#[test]
fn exactly_so_many_requests_are_sent_retries_and_refusals_included() {
    for rate in [&[][..], &["--rate", "1000/s"]] {
        let server = by_number(|n| match n {
            3 => 429,
            n if n % 4 == 0 => 503,
            _ => 200,
        });
        let bench = Bench::with_jobs(&server, 100);
        let how = ["-c", "8", "--backoff", "1ms..2ms", "--max-attempts", "100"];
        let most = |verb, n| bench.run(&[&[verb, "--max-requests", n], &how[..], rate].concat());
        most("run", "37").exits(75).says("because   it has sent as many requests as it was to: 37\n");
        assert_eq!((server.total(), outcome(&bench)), (37, "stopped".to_owned()), "{rate:?}");
        assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE run_id IS NOT NULL"), 0);
        most("resume", "1").exits(75);
        assert_eq!(server.total(), 38, "{rate:?}");
        // More than are needed.
        most("resume", "1000").exits(0);
        bench.check_clean(100, &server);
    }
}

// Seen failing without the last look at what is left in `Drain::land`.
#[test]
fn as_many_requests_as_there_are_jobs_drain_the_table() {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, 30);
    bench.run(&["run", "--max-requests", "30"]).exits(0).says("jobs.db: drained");
    assert_eq!(server.total(), 30);
}

// Seen failing with permits not counted where there is no limit.
#[test]
fn what_is_fetched_is_processed_though_no_request_may_be_sent_any_more() {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, 12);
    let run = bench.start(&["run", "--max-requests", "5", "--threads", "1", "--process", "jq:last(range(30000000))"]);
    until("five responses are stored", || bench.number("SELECT count(*) FROM responses") == 5);
    run.kill();
    bench.run(&["resume", "--max-requests", "1", "--process", "jq:.key"]).exits(75).says("6 succeeded");
    assert_eq!((server.total(), left(&bench)), (6, 6));
}
