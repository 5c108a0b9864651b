//! What haul adds to a job, as a table: the real program against a server that answers after 100 ms.
//!
//! `cargo bench --bench latency` takes about two and a half minutes, `.. -- --quick` half a minute. Added is what lies between the
//! sending of a request and its result beyond the 100 ms of the server and the processor's own time: the network, the waits for a
//! CPU and whatever the machinery takes. The first row runs at 20/s. In the second one each response takes a CPU 5 ms, and as many
//! come as nine tenths of all cores can take: a pool full of such tasks.

#![expect(clippy::print_stdout, reason = "a table is for people")]

use std::process::ExitCode;
use std::time::Duration;

use haul::clock::Clock;
use haul::job::Job;
use haul::process::Work;
use haul::response::Response;

// The server and the databases of the integration tests.
#[path = "../tests/it"]
#[expect(dead_code, unused_imports, reason = "shared with tests that need more of it")]
mod it {
    pub(crate) mod checker;
    pub(crate) mod server;
    pub(crate) mod resume {
        pub(crate) mod bench;
    }
    pub(crate) mod rate {
        pub(crate) mod busy;
    }
}
use it::rate::busy;
use it::resume::bench::Bench;
use it::server::{Answer, Asked, Reply, Script, Server};
use it::{checker, server};

const PER_S: usize = 20;

/// What a response takes a CPU where all are saturated.
const TASK_US: f64 = 5_000.0;

/// The share of all cores that processing takes there.
const SATURATED: f64 = 0.9;

const SERVER_US: i64 = 100_000;
const SLA_US: i64 = 500_000;

/// What is required: the added time in 99 of 100 cases, in milliseconds; 99.9 % within the SLA everywhere.
struct Row {
    name: &'static str,
    per_s: usize,
    process: String,
    added_p99_ms: f64,
    saturated: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        println!("a measurement: run it with `cargo bench --bench latency`");
        return ExitCode::SUCCESS;
    }
    let seconds = if args.iter().any(|arg| arg == "--quick") { 10 } else { 60 };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = (SATURATED * cores as f64 / (TASK_US / 1e6)) as usize;
    let rows = [
        Row { name: "idle", per_s: PER_S, process: "jq:.".to_owned(), added_p99_ms: 5.0, saturated: false },
        Row { name: "cores saturated", per_s: most, process: burning(), added_p99_ms: 20.0, saturated: true },
    ];
    println!(
        "row | per s | jobs | added p50 ms | added p99 ms | added max ms | queue p99 ms | within 500 ms % | process p50 ms | cores busy | load |"
    );
    let missed = rows.iter().filter(|row| !measured(row, seconds)).count();
    println!("{}", if missed == 0 { "all passed".to_owned() } else { format!("{missed} missed") });
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the row passed.
fn measured(row: &Row, seconds: usize) -> bool {
    let jobs = row.per_s * seconds;
    let answer = |asked: &Asked| {
        let answer = Answer::json(format!(r#"{{"key":{:?}}}"#, asked.key));
        Reply::After(Duration::from_micros(SERVER_US.unsigned_abs()), Box::new(answer.into()))
    };
    let server = Server::start(Script::new(answer).goes_first());
    let keys: Vec<_> = (0..jobs).map(|n| format!("{n:06}")).collect();
    let bench = Bench::with_keys(&server, &keys);
    let rate = format!("{}/s", row.per_s);
    // As many are in flight as the server's time asks for, and some more.
    let concurrency = (row.per_s / 5).max(64).to_string();
    let flags = [
        "run",
        "--progress",
        "none",
        "--rate",
        &rate,
        "--sla",
        "500ms",
        "--process",
        &row.process,
        "--concurrency",
        &concurrency,
    ];
    let ends_ns = server.now_ns() + 3_000_000_000 * seconds as u64 + 60_000_000_000;
    let busy = busy::Busy::begin();
    let mut run = bench.start(&flags);
    while run.runs() && server.now_ns() < ends_ns {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (cores, of_cores) = busy.end();
    let spans: Vec<(i64, i64, i64)> =
        bench.rows("SELECT latency_us, process_us, queue_us FROM attempts WHERE latency_us IS NOT NULL");
    let sorted = |of: &dyn Fn(&(i64, i64, i64)) -> i64| {
        let mut all: Vec<_> = spans.iter().map(of).collect();
        all.sort_unstable();
        all
    };
    let added = sorted(&|(latency_us, process_us, _)| latency_us - SERVER_US - process_us);
    let within = spans.iter().filter(|(latency_us, ..)| *latency_us <= SLA_US).count() as f64 / jobs as f64 * 100.0;
    let p99_ms = share(&added, 0.99);
    let mut wrong = Vec::new();
    if spans.len() < jobs {
        wrong.push("does not count: not all are there");
    }
    if row.saturated && cores < 0.9 * of_cores {
        wrong.push("does not count: not saturated");
    }
    if p99_ms > row.added_p99_ms {
        wrong.push("MISSED: added");
    }
    if within < 99.9 {
        wrong.push("MISSED: within the SLA");
    }
    println!(
        "{} | {} | {} | {:.1} | {p99_ms:.1} [<= {}] | {:.1} | {:.1} | {within:.2} [>= 99.9] | {:.1} | {cores:.2} of {of_cores} | {:.1} | {}",
        row.name,
        row.per_s,
        spans.len(),
        share(&added, 0.5),
        row.added_p99_ms,
        share(&added, 1.0),
        share(&sorted(&|(.., queue_us)| *queue_us), 0.99),
        share(&sorted(&|(_, process_us, _)| *process_us), 0.5),
        busy::load(),
        if wrong.is_empty() { "pass".to_owned() } else { wrong.join(", ") },
    );
    wrong.is_empty()
}

/// Milliseconds that this share of the spans stays below.
fn share(sorted_us: &[i64], share: f64) -> f64 {
    let at = ((sorted_us.len() as f64 * share).ceil() as usize).clamp(1, sorted_us.len().max(1)) - 1;
    sorted_us.get(at).map_or(f64::INFINITY, |us| *us as f64 / 1_000.0)
}

/// A filter that takes a CPU so long.
fn burning() -> String {
    let filter = |n: f64| format!("jq:[range({n:.0})] | add");
    let took_us = |n: f64| {
        let work = Work::from_setting(&filter(n)).expect("a filter");
        let response =
            Response { status_code: 200, headers: serde_json::Map::new(), body: "0".into(), fetched_at_us: 0 };
        let clock = Clock::start();
        let times = std::iter::repeat_with(|| {
            let began_us = clock.now_us();
            work.run(&response, &Job::get("http://localhost/")).expect("a result");
            clock.now_us() - began_us
        });
        times.take(5).min().unwrap_or(1).max(1) as f64
    };
    let mut n = 5_000.0;
    for _ in 0..4 {
        n *= TASK_US / took_us(n);
    }
    filter(n)
}
