//! A thousand jobs, twenty of which do the worst that a processor can do: exactly those fail.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use haul::clock::Clock;
use haul::job::Job;
use haul::pipeline::{self, Run};
use haul::process::Work;
use haul::response::Response;
use haul::settings::{Durability, Settings};
use haul::stop::Stop;
use haul::store::lock::RunLock;
use haul::store::sqlite::SqliteStore;

use super::has;
use crate::resume::bench::{Bench, CHILD, card};
use crate::server::{Script, Server};

const JOBS: usize = 1_000;

/// What a job is up to: five each abort the process, never end, panic, and take all memory.
fn evil(key: &str) -> Option<&'static str> {
    let n: usize = key.parse().expect("a number");
    (n % 50 == 17).then(|| ["abort", "endless", "panic", "hog"][n / 50 % 4])
}

/// The jobs that failed, with their types; and most crashes of any job.
fn failed(bench: &Bench) -> (Vec<(String, String)>, i64) {
    let failed = bench.rows("SELECT key, error_type FROM jobs WHERE state = 'failed' ORDER BY key");
    (failed, bench.number("SELECT max(crashes) FROM jobs"))
}

/// The jobs that are to fail, with the type of failure that each kind of evil means.
fn expected(types: impl Fn(&str) -> &'static str) -> Vec<(String, String)> {
    let keys = (0..JOBS).map(|n| format!("{n:04}"));
    keys.filter_map(|key| evil(&key).map(|kind| (key, types(kind).to_owned()))).collect()
}

/// A run over the library, in a process that it may kill.
#[test]
fn a_run_of_evil_closures() {
    let Some(database) = std::env::var_os(CHILD) else { return };
    let processor = |_: &Response, job: &Job| match evil(&job.key) {
        Some("abort") => std::process::abort(),
        Some("endless") => loop {
            std::thread::park(); // no less endless than one that is busy
        },
        Some("panic") => panic!("job {} panics", job.key),
        Some(_) => {
            let mut taken: Vec<Vec<u8>> = Vec::new();
            loop {
                taken.push(std::hint::black_box(Vec::with_capacity(256 << 20)));
            }
        }
        None => Ok(job.id),
    };
    let settings = Settings {
        concurrency: 32,
        threads: 2,
        process_timeout: Duration::from_millis(1_500),
        durability: Durability::Crash,
        ..Settings::default()
    };
    let run = Run {
        secrets: Arc::new(|_| Err("no secrets here".to_owned())),
        secret_headers: Vec::new(),
        settings,
        work: Work::of(processor),
        limit: None,
        lasts: None,
        max_requests: None,
        max_wait: None,
        sends: true,
        max_failures: None,
        stop_if: None,
        stop: Stop::new(),
        on_event: Box::new(|_| {}),
        clock: Clock::start(),
        host: "test".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let ended = runtime.block_on(async {
        let _lock = RunLock::take(database.as_ref(), "test").expect("the lock");
        let store = SqliteStore::open(database.as_ref(), Durability::Crash, false).await.expect("the database");
        pipeline::run(Arc::new(store), run).await
    });
    runtime.shutdown_background();
    ended.expect("an end with threads left");
}

#[test]
fn of_a_thousand_closures_exactly_the_evil_twenty_fail() {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, JOBS);
    let mut starts = 0;
    loop {
        starts += 1;
        assert!(starts <= 60, "it does not come to an end");
        // Memory has an end, so that a process that takes it all is ended soon; 8 GiB are enough for all of its threads' stacks.
        let mut again = Command::new("sh");
        again
            .args(["-c", "ulimit -v 8000000; ulimit -c 0; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().expect("this program"));
        again.args(["processing::torture::a_run_of_evil_closures", "--exact"]).env(CHILD, bench.db());
        if bench.spawn(again).wait().status.success() {
            break;
        }
    }
    let (failed, crashes) = failed(&bench);
    card(&format!("torture, closures: {starts} starts, {} requests for {JOBS} jobs", server.total()));
    let types = |kind: &str| match kind {
        "endless" => "process_timeout",
        "panic" => "process_panic",
        _ => "poison",
    };
    assert_eq!(failed, expected(types));
    assert!(crashes <= 3, "{crashes} crashes of one job");
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE state = 'succeeded'"), JOBS as i64 - 20);
    assert_eq!(
        bench.number("SELECT count(*) FROM jobs WHERE crashes > 0 AND error_type IS NOT 'poison'"),
        0,
        "neighbours"
    );
}

/// Evil in a program. Its memory has an end, as the limit of a container would give it one.
const PROGRAM: &str = r#"
import json, os, sys, time
for line in sys.stdin:
    job = json.loads(line)
    n = int(job["key"])
    kind = ["abort", "endless", "panic", "hog"][n // 50 % 4] if n % 50 == 17 else None
    if kind == "abort":
        os.abort()
    elif kind == "endless":
        while True:
            time.sleep(1)
    elif kind == "panic":
        raise ValueError("job " + job["key"] + " raises")
    elif kind == "hog":
        taken = []
        while True:
            taken.append(bytearray(64 << 20))
    print(json.dumps({"id": job["id"], "output": job["id"]}), flush=True)
"#;

#[test]
fn of_a_thousand_jobs_of_a_program_exactly_the_evil_twenty_fail() {
    if !has("python3") {
        return;
    }
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, JOBS);
    let program = bench.db().with_file_name("evil.py");
    std::fs::write(&program, PROGRAM).expect("written");
    let limited = format!("cmd:sh -c 'ulimit -v 1000000; ulimit -c 0; exec python3 {}'", program.display());
    let args = ["run", "--threads", "2", "--process-timeout", "4s", "--durability", "crash", "--process", &limited];
    let ended = bench.run(&args).exits(3);
    assert!(ended.stdout.contains("980 succeeded, 20 failed"), "{}", ended.stdout);
    let (failed, crashes) = failed(&bench);
    let types = |kind: &str| if kind == "endless" { "process_timeout" } else { "process_error" };
    assert_eq!((failed, crashes), (expected(types), 0));
    assert_eq!(server.total(), JOBS as u64, "it cost no request");
    let messages = "SELECT count(*) FROM jobs WHERE error_message LIKE 'the program ended with exit code 1 before it answered; it said last: ValueError: job % raises'";
    assert_eq!(bench.number(messages), 5);
}
