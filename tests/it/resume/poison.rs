//! A job whose processing kills the process is given up, and nobody else is blamed.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};

use haul::clock::Clock;
use haul::job::Job;
use haul::pipeline::{self, Run};
use haul::process::Work;
use haul::response::Response;
use haul::settings::{Durability, Settings};
use haul::stop::Stop;
use haul::store::lock::RunLock;
use haul::store::sqlite::SqliteStore;

use super::bench::{Bench, CHILD, card};
use crate::server::{Script, Server};

/// Its processing aborts the process.
const BAD: &str = "0025";

/// A run over the library, in a process that it may kill.
#[test]
fn a_run_that_dies_of_one_job() {
    let Some(database) = std::env::var_os(CHILD) else { return };
    let processor = |_: &Response, job: &Job| {
        if job.key == BAD {
            std::process::abort();
        }
        Ok(job.id)
    };
    run_here(database.as_ref(), Work::of(processor), Stop::new());
}

/// A run over the library, in this process.
fn run_here(database: &Path, work: Work, stop: Stop) {
    let run = Run {
        secrets: std::sync::Arc::new(|_| Err("no secrets here".to_owned())),
        secret_headers: Vec::new(),
        settings: Settings { concurrency: 16, threads: 2, ..Settings::default() },
        work,
        sends: true,
        limit: None,
        lasts: None,
        max_requests: None,
        max_wait: None,
        max_failures: None,
        stop_if: None,
        stop,
        on_event: Box::new(|_| {}),
        clock: Clock::start(),
        host: "test".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let _lock = RunLock::take(database, "test").expect("the lock");
        let store = Arc::new(SqliteStore::open(database, Durability::PowerLoss, false).await.expect("the database"));
        pipeline::run(store.clone(), run).await.expect("an end");
        Arc::into_inner(store).expect("the run has ended").close().await.expect("closed");
    });
}

// Seen to fail with the guard dropped after the processing instead of after the commit: up to four neighbours were accused too.
#[test]
fn a_job_that_kills_the_process_is_given_up_and_its_neighbours_are_not() {
    let server = Server::start(Script::ok().latency(std::time::Duration::from_millis(5)));
    let bench = Bench::with_jobs(&server, 60);
    let mut starts = 0;
    loop {
        starts += 1;
        let mut again = Command::new(std::env::current_exe().expect("this program"));
        again.args(["resume::poison::a_run_that_dies_of_one_job", "--exact"]).env(CHILD, bench.db());
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

// Seen to fail without the accusation being taken back in `Context::process`: the second run left it accused.
#[test]
fn leaving_a_slow_suspect_again_and_again_makes_it_no_poison() {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, 2);
    for nth in 0..6 {
        let (begun, has_begun) = mpsc::channel();
        let (go, gone_on) = mpsc::channel::<()>();
        let gone_on = Mutex::new(gone_on);
        let endless = move |_: &Response, job: &Job| {
            // Both ends may be gone when the test is over.
            let _ = begun.send(());
            let _ = gone_on.lock().map(|gone_on| gone_on.recv());
            Ok(job.id)
        };
        let stop = Stop::new();
        let leaving = stop.clone();
        let leaver = std::thread::spawn(move || {
            has_begun.recv().expect("a job is processed");
            leaving.leave();
        });
        run_here(&bench.db(), Work::of(endless), stop);
        leaver.join().expect("it was left");
        drop(go);
        assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE crashes > 0 OR state = 'failed'"), 0, "run {nth}");
    }
    assert!(bench.number("SELECT count(*) FROM jobs WHERE error_type = 'interrupted'") > 0, "there were suspects");
    run_here(&bench.db(), Work::of(|_: &Response, job: &Job| Ok(job.id)), Stop::new());
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE state = 'succeeded'"), 2);
}
