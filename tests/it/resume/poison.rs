//! A job whose processing kills the process is given up, and nobody else is blamed.

use std::process::Command;
use std::sync::Arc;

use haul::clock::Clock;
use haul::lock::RunLock;
use haul::pipeline::{self, Run};
use haul::process::{JobRef, Work};
use haul::response::Response;
use haul::settings::{Durability, Settings};
use haul::stop::Stop;
use haul::store::sqlite::SqliteStore;

use super::bench::{Bench, CHILD, card};
use crate::server::{Script, Server};

/// Its processing aborts the process.
const BAD: &str = "0025";

/// A run over the library, in a process that it may kill.
#[test]
#[ignore = "started by the test below, in a process of its own"]
fn a_run_that_dies_of_one_job() {
    let Some(database) = std::env::var_os(CHILD) else { return };
    let processor = |_: &Response, job: JobRef<'_>| {
        if job.key == BAD {
            std::process::abort();
        }
        Ok(job.id)
    };
    let run = Run {
        settings: Settings { concurrency: 16, threads: 2, ..Settings::default() },
        work: Work::of(processor),
        limit: None,
        lasts: None,
        stop: Stop::new(),
        on_event: Box::new(|_| {}),
        clock: Clock::start(),
        host: "test".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let _lock = RunLock::take(database.as_ref(), "test").expect("the lock");
        let store = SqliteStore::open(database.as_ref(), Durability::PowerLoss, false).await.expect("the database");
        pipeline::run(Arc::new(store), run).await.expect("an end");
    });
}

#[test]
fn a_job_that_kills_the_process_is_given_up_and_its_neighbours_are_not() {
    let server = Server::start(Script::ok().latency(std::time::Duration::from_millis(5)));
    let bench = Bench::with_jobs(&server, 60);
    let mut starts = 0;
    loop {
        starts += 1;
        let mut again = Command::new(std::env::current_exe().expect("this program"));
        again.args(["resume::poison::a_run_that_dies_of_one_job", "--exact", "--ignored"]).env(CHILD, bench.db());
        let ended = bench.spawn(again).wait();
        let blamed: Vec<(String, i64)> = bench.rows("SELECT key, crashes FROM jobs WHERE crashes > 0");
        assert!(blamed.iter().all(|(key, _)| key == BAD), "blamed without reason: {blamed:?}");
        if ended.status.success() {
            assert!(ended.stdout.contains("1 passed"), "{}", ended.stdout);
            break;
        }
        assert!(starts < 10, "it does not come to an end: {}", ended.stderr);
    }
    card(&format!("poison: {starts} starts, {} requests for 60 jobs", server.total()));
    assert!((4..=5).contains(&starts), "{} restarts", starts - 1);
    let failed: Vec<(String, String, i64)> =
        bench.rows("SELECT key, error_type, crashes FROM jobs WHERE state = 'failed'");
    assert_eq!(failed, [(BAD.to_owned(), "poison".to_owned(), 3)]);
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE state = 'succeeded'"), 59);
    // Its response was stored before its processing: the three deaths after the first cost no request of its own.
    let asked = server.arrivals().iter().filter(|arrival| arrival.key == BAD).count();
    assert!(asked <= 2, "{asked} requests for the one that was stored");
}
