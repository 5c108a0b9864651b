//! What never ends holds its thread, and nothing else, until no thread is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use haul::{Haul, Job, Response, RunEvent};

use crate::resume::bench::{Bench, done, until};
use crate::server::{Script, Server};

/// A filter that comes to no end on the first jobs, and takes no memory for it.
fn endless_on(first: usize) -> String {
    format!("jq:if .key < \"{first:04}\" then (def f: f; f) else .key end")
}

const TIMEOUTS: &str = "SELECT count(*) FROM jobs WHERE state = 'failed' AND error_type = 'process_timeout'";
const LEASED: &str = "SELECT count(*) FROM jobs WHERE run_id IS NOT NULL";

// Seen failing (hanging) with `Threads::run` without its limit.
#[test]
fn a_filter_that_never_ends_fails_its_job_and_no_other() {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, 30);
    bench.run(&["run", "--threads", "2", "--process-timeout", "700ms", "--process", &endless_on(1)]).exits(3);
    let failed: Vec<(String, String, String)> =
        bench.rows("SELECT key, error_type, error_message FROM jobs WHERE state = 'failed'");
    let message =
        "no result within 700ms (--process-timeout); it cannot be stopped, so its CPU thread is lost to this run";
    assert_eq!(failed, [("0000".to_owned(), "process_timeout".to_owned(), message.to_owned())]);
    bench.check_clean(30, &server);
}

#[test]
fn where_no_thread_is_left_the_run_commits_and_says_so() {
    let server = Server::start(Script::ok());
    for (threads, endless) in [("1", 1), ("2", 4), ("4", 8), ("8", 8)] {
        let bench = Bench::with_jobs(&server, 60);
        let args = ["run", "--threads", threads, "--process-timeout", "500ms", "--process", &endless_on(endless)];
        let ended = bench.run(&args).exits(1);
        let said = format!("no CPU thread is left: {threads} of {threads} work on a job for longer than 500ms");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        assert_eq!(bench.number(TIMEOUTS).to_string(), threads, "as many jobs as threads");
        assert_eq!(bench.number(LEASED), 0, "all others were given back");
        let before = server.total();
        let stored = bench.number("SELECT count(*) FROM responses");
        bench.run(&["resume", "--process", "jq:.key"]).exits(3);
        bench.run(&["retry", "-y", "--error", "process_timeout"]).exits(0);
        bench.run(&["resume"]).exits(0);
        assert_eq!(server.total() - before, (60 - stored) as u64, "what was stored is not asked for again");
    }
}

/// A table that was drained by `jq:.key`, so that all of it can be processed again.
fn drained(server: &Server, jobs: usize) -> Bench {
    let bench = Bench::with_jobs(server, jobs);
    bench.run(&["run", "--process", "jq:.key"]).exits(0);
    bench
}

const NEW: &str = "SELECT count(*) FROM results WHERE processor <> (SELECT processor FROM results WHERE job_id = 1)";
const KEPT: &str = "SELECT count(*) FROM attempts WHERE error_type = 'process_timeout'";

#[test]
fn in_a_reprocess_too_what_never_ends_holds_up_no_other_job() {
    let server = Server::start(Script::ok());
    let bench = drained(&server, 300);
    let again = ["reprocess", "--threads", "2", "--process-timeout", "700ms", "--process", &endless_on(1)];
    let ended = bench.run(&again).exits(3);
    assert!(ended.stdout.contains("299 succeeded, 1 failed"), "{}", ended.stdout);
    assert_eq!((bench.number(KEPT), bench.number(NEW), bench.number(LEASED)), (1, 299, 0));
    assert_eq!(server.total(), 300);
}

#[test]
fn where_a_reprocess_has_no_thread_left_it_says_so_and_another_goes_on() {
    let server = Server::start(Script::ok());
    let bench = drained(&server, 300);
    let again = ["reprocess", "--threads", "2", "--process-timeout", "500ms", "--process", &endless_on(5)];
    let ended = bench.run(&again).exits(1);
    assert!(
        ended.stderr.contains("no CPU thread is left: 2 of 2") && ended.stderr.contains("`haul reprocess`"),
        "{}",
        ended.stderr
    );
    assert_eq!((bench.number(KEPT), bench.number(LEASED), bench.number(TIMEOUTS)), (2, 0, 0), "old results stay");
    // Seen failing with those who stood in line noted as interrupted: they would be processed one at a time.
    assert_eq!(bench.number("SELECT count(*) FROM attempts WHERE error_type = 'interrupted'"), 0);
    bench.run(&["reprocess", "--rest", "--process", "jq:.key"]).exits(0);
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE state <> 'succeeded'"), 0);
    assert_eq!(server.total(), 300);
}

// Seen failing with the thread counted as lost for good.
#[test]
fn a_thread_that_was_only_slow_comes_back() {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, 4);
    let failed = Arc::new(AtomicU64::new(0));
    let (told, asked) = (failed.clone(), AtomicU64::new(0));
    // Each takes until it has failed for that.
    let slow = move |_: &Response, job: &Job| {
        let nth = asked.fetch_add(1, Ordering::SeqCst) + 1;
        until("it has failed", || failed.load(Ordering::SeqCst) >= nth);
        Ok(job.id)
    };
    let summary = done(async {
        let haul = Haul::open(bench.db()).await.expect("the database");
        let runner = haul.runner().threads(2).concurrency(1).process_timeout(Duration::from_millis(500)).process(slow);
        let tell = move |event: &RunEvent<'_>| {
            if let RunEvent::Committed(tally) = event {
                told.store(tally.failed, Ordering::SeqCst);
            }
        };
        runner.on_event(tell).run().await.expect("two threads were enough, one after the other")
    });
    assert_eq!((summary.failed, bench.number(TIMEOUTS)), (4, 4));
}

#[test]
fn a_rule_that_never_ends_does_not_hold_up_the_run() {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, 10);
    let rule = r#"jq:if .key == "0003" then (def f: f; f) else false end"#;
    let ended = bench.run(&["run", "--threads", "2", "--process-timeout", "500ms", "--stop-if", rule]).exits(0);
    assert!(ended.stderr.contains("a rule comes to no end"), "{}", ended.stderr);
    let bench = Bench::with_jobs(&server, 10);
    bench.run(&["run", "--threads", "2", "--process-timeout", "500ms", "--fail-if", rule]).exits(3);
    assert_eq!(bench.number(TIMEOUTS), 1);
}
