//! What processing in a run costs, beside the same work in a bare loop: the real program over stored responses, medians of five.
//!
//! `cargo bench --bench process` takes about six minutes; any argument keeps the rows whose name contains it. Both sides of a
//! row are timed in turns, on the same machine in the same minutes. The run is timed as a process, from its start to its end:
//! claiming, reading, committing and the report included. The loop has everything in memory, and keeps nothing. CPU is that of
//! all threads, and of the kernel for them: where others use the machine, it says more than the time that passes.

#![expect(clippy::print_stdout, reason = "a table is for people")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use haul::attempt::Measured;
use haul::clock::{BootTime, Clock, Micros, SECOND_US};
use haul::job::{Job, Next, Standing, State};
use haul::minutes::Minutes;
use haul::process::Work;
use haul::request::Request;
use haul::response::Response;
use haul::settings::{Durability, OnUncertain};
use haul::store::sqlite::SqliteStore;
use haul::store::{Chunk, NewJob, NewRun, OnConflict, RunOutcome, Store, Want, WriteBack};
use rayon::prelude::*;

const TIMES: usize = 5;

/// Responses that filters are run over, of 1 KB each.
const RESPONSES: usize = 20_000;

/// Jobs of Python: half a millisecond each.
const SUMS: usize = 10_000;

/// What a little and much to do is for the memory, and how much more it may take.
const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
const GROWTH: f64 = 1.1;

const FILTER: &str = "jq:{id, n: (.tags | length)}";

/// The share of the speed of the bare loop that a run keeps.
const OF_RAYON: f64 = 0.45;

/// The share of the speed of Python's own pool.
const OF_POOL: f64 = 0.9;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        println!("a measurement: run it with `cargo bench --bench process`");
        return ExitCode::SUCCESS;
    }
    let only: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    println!("{:<24} | {:<26} | {:<26} | share of the loop's speed", "row", "bare loop", "run");
    let rows = [
        ("jq, reprocess", (|| filters(Verb::Reprocess)) as fn() -> Row),
        ("jq, waiting responses", || filters(Verb::Resume)),
        ("python, sum of squares", sums),
    ];
    let mut missed = 0;
    for (name, measure) in rows.into_iter().filter(|(name, _)| wanted(name)) {
        let Row { mut bare, mut run, jobs, required } = measure();
        let ((bare, bare_cpu), (run, run_cpu)) = (median(&mut bare), median(&mut run));
        let a_job = |us: Micros| us as f64 / jobs as f64;
        let each = |us: Micros, cpu: Micros| format!("{:.1} us a job, CPU {:.1}", a_job(us), a_job(cpu));
        let share = bare as f64 / run as f64;
        let verdict = if share >= required { "pass" } else { "MISSED" };
        missed += usize::from(share < required);
        let (bare, run) = (each(bare, bare_cpu), each(run, run_cpu));
        println!("{name:<24} | {bare:<26} | {run:<26} | {share:.2} [>= {required}] {verdict}");
    }
    if wanted("memory") {
        missed += usize::from(!memory());
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What passed and how much CPU it took, in microseconds.
type Took = (Micros, Micros);

/// What both sides took, each time.
struct Row {
    bare: Vec<Took>,
    run: Vec<Took>,
    jobs: usize,
    required: f64,
}

/// The median of each.
fn median(times: &mut [Took]) -> Took {
    let middle = times.len() / 2;
    times.sort_unstable_by_key(|(_, cpu)| *cpu);
    let cpu = times[middle].1;
    times.sort_unstable();
    (times[middle].0, cpu)
}

/// How stored responses come to be processed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// Those that have a result, again.
    Reprocess,
    /// Those that wait for their first one.
    Resume,
}

/// A jq filter, beside the same filter over the same bodies on rayon.
fn filters(verb: Verb) -> Row {
    let bodies: Vec<String> = (0..RESPONSES).map(tagged).collect();
    let stored = Stored::with(&bodies);
    if verb == Verb::Reprocess {
        stored.haul(&stored.original(), &["-q", "resume", "--concurrency", "1000", "--process", "jq:.id"]);
    }
    let responses: Vec<Response> = bodies.iter().map(|body| response(body.clone())).collect();
    let (mut bare, mut run) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let work = Work::from_setting(FILTER).expect("a filter");
        let job = Job::get("http://x/");
        let (clock, cpu) = (Clock::start(), cpu_us(Whose::Own));
        let began_us = clock.now_us();
        let outputs: Vec<String> =
            responses.par_iter().map(|response| work.run(response, &job).expect("an output")).collect();
        bare.push((clock.now_us() - began_us, cpu_us(Whose::Own) - cpu));
        assert_eq!(outputs.len(), RESPONSES);
        run.push(stored.drained(verb, FILTER, &outputs[0]));
    }
    Row { bare, run, jobs: RESPONSES, required: OF_RAYON }
}

/// A function in Python, beside the same function in Python's own pool of processes.
fn sums() -> Row {
    let bodies: Vec<String> = (0..SUMS).map(|n| format!("{{\"id\":{n},\"below\":10000}}")).collect();
    let stored = Stored::with(&bodies);
    let file = stored.folder.path().join("bodies.jsonl");
    std::fs::write(&file, bodies.join("\n")).expect("written");
    let (pool, program) = (stored.script("pool.py", POOL), stored.script("process.py", PROGRAM));
    // A version manager puts a script in its place, which takes longer to start than Python itself; what it starts in the end
    // is run on both sides.
    let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().expect("python3");
    let python = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    let process = format!("cmd:{python} {}", program.display());
    let (mut bare, mut run) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let cpu = cpu_us(Whose::Children);
        let ended = Command::new(&python).arg(&pool).arg(&file).output().expect("python3");
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let took_us = said.trim().parse().unwrap_or_else(|_| panic!("{ended:?}"));
        bare.push((took_us, cpu_us(Whose::Children) - cpu));
        run.push(stored.drained(Verb::Resume, &process, r#"{"sum_of_squares": 333283335000}"#));
    }
    Row { bare, run, jobs: SUMS, required: OF_POOL }
}

/// Whether the memory of a reprocess stays what it is where there is a hundred times as much to do.
fn memory() -> bool {
    let peak_kib = |responses: usize| {
        let stored = Stored::with(&(0..responses).map(tagged).collect::<Vec<_>>());
        stored.haul(&stored.original(), &["-q", "resume", "--process", "jq:.id"]);
        let db = stored.original();
        let mut command = stored.command(&db, &["-q", "reprocess", "--process", FILTER]);
        let mut run = command.stdout(Stdio::null()).spawn().expect("haul");
        let mut peak_kib = 0;
        while run.try_wait().expect("a process").is_none() {
            peak_kib = high_water_kib(run.id()).unwrap_or(0).max(peak_kib);
            std::thread::sleep(Duration::from_millis(2));
        }
        peak_kib
    };
    let (few, many) = (peak_kib(FEW), peak_kib(MANY));
    let share = many as f64 / few as f64;
    let (mb, verdict) = (|kib: u64| kib as f64 / 1e3, if share <= GROWTH { "pass" } else { "MISSED" });
    let (few, many) = (mb(few), mb(many));
    println!(
        "peak memory, {FEW} and {MANY} responses: {few:.1} and {many:.1} MB, {share:.2} times [<= {GROWTH}] {verdict}"
    );
    share <= GROWTH
}

/// The most memory that a process has had so far; `None` where it has ended, or the system does not tell.
fn high_water_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().split(' ').next()?.parse().ok()
}

/// Whose CPU time.
#[derive(Clone, Copy)]
enum Whose {
    Own,
    Children,
}

/// The CPU time of this process, or of those of its children that have ended; 0 where the system does not tell.
fn cpu_us(whose: Whose) -> Micros {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in brackets, may hold anything; user and system time are the 12th and 13th after it, and those of
    // the children the two behind them, in hundredths of a second.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let first = if matches!(whose, Whose::Own) { 11 } else { 13 };
    after.split_whitespace().skip(first).take(2).filter_map(|ticks| ticks.parse::<Micros>().ok()).sum::<Micros>()
        * 10_000
}

/// The microseconds from making the pool to its last result; Python itself has started before.
const POOL: &str = "\
import json, os, sys, time
from concurrent.futures import ProcessPoolExecutor

def process(body):
    return {'sum_of_squares': sum(n * n for n in range(json.loads(body)['below']))}

if __name__ == '__main__':
    bodies = open(sys.argv[1]).read().splitlines()
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(process, bodies, chunksize=64))
    print(int((time.monotonic() - began) * 1e6))
";

const PROGRAM: &str = include_str!("../examples/process.py");

/// About 1 KB of JSON, as an API gives it.
fn tagged(n: usize) -> String {
    let tags: Vec<String> = (0..n % 7).map(|tag| format!("\"tag {tag}\"")).collect();
    let head =
        format!("{{\"id\":{n},\"name\":\"item {n}\",\"tags\":[{}],\"price\":{}.5,\"text\":\"", tags.join(","), n % 90);
    let text: String =
        "Lorem ipsum dolor sit amet ".chars().cycle().take(1_000_usize.saturating_sub(head.len())).collect();
    head + &text + "\"}"
}

fn response(body: String) -> Response {
    Response { status_code: 200, headers: serde_json::Map::new(), body: body.into(), fetched_at_us: 1 }
}

/// A database of jobs whose responses are stored and not processed yet.
struct Stored {
    folder: tempfile::TempDir,
    jobs: usize,
}

impl Stored {
    fn with(bodies: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stored = Self { folder, jobs: bodies.len() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(stored.fill(bodies));
        stored
    }

    fn original(&self) -> PathBuf {
        self.folder.path().join("original.db")
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file
    }

    async fn fill(&self, bodies: &[String]) {
        let store = SqliteStore::open(&self.original(), Durability::Crash, true).await.expect("a database");
        let import = store.begin_import("bench", None, 1).await.expect("an import");
        let job = |n: usize| {
            let request = Request { method: "GET".to_owned(), url: format!("http://x/{n}"), ..Request::default() };
            NewJob { key: n.to_string(), line: n as u64 + 1, request, on_conflict: OnConflict::Reject }
        };
        for jobs in (0..bodies.len()).collect::<Vec<_>>().chunks(1_000) {
            let chunk = Chunk { jobs: jobs.iter().copied().map(job).collect(), rejects: Vec::new() };
            store.import(import, &chunk, 1).await.expect("the jobs");
        }
        let new = NewRun {
            host: "bench".to_owned(),
            pid: 1,
            version: "bench".to_owned(),
            settings: "{}".to_owned(),
            limits: Vec::new(),
            boot: BootTime::read(),
            on_uncertain: OnUncertain::Retry,
        };
        let run = store.recover(&new, 1).await.expect("a run").run;
        let standing = Standing { state: State::Fetched, generation: 1, ..Standing::default() };
        loop {
            let leases = store.claim(run, &Want { slots: 1_000, requests: 1_000 }, &[], 1).await.expect("leases");
            if leases.is_empty() || leases[0].standing.state == State::Fetched {
                break;
            }
            let write = |lease: &haul::store::Lease| WriteBack {
                job: lease.job,
                attempt: lease.attempt,
                // Not before all are stored: who is claimed goes on from there.
                next: Next { standing, due_at_us: 2, ..Next::default() },
                measured: Measured { started_at_us: Some(1), status_code: Some(200), ..Measured::default() },
                response: Some(Arc::new(response(bodies[lease.key.parse::<usize>().expect("a number")].clone()))),
                output: None,
                late_permit: None,
                drops_response: false,
                packed: None,
            };
            let writes: Vec<_> = leases.iter().map(write).collect();
            store.commit(run, &writes, &Minutes::default(), 1).await.expect("stored");
        }
        store.end(run, RunOutcome::Stopped, 1).await.expect("an end");
        store.close().await.expect("closed");
    }

    /// Processes all in a copy of it with this processor, and gives what that took.
    fn drained(&self, verb: Verb, process: &str, first: &str) -> Took {
        let copy = self.folder.path().join("copy.db");
        std::fs::copy(self.original(), &copy).expect("a copy");
        let args = match verb {
            Verb::Reprocess => &["-q", "reprocess", "--process", process][..],
            Verb::Resume => &["-q", "resume", "--concurrency", "1000", "--process", process],
        };
        let (clock, cpu) = (Clock::start(), cpu_us(Whose::Children));
        let began_us = clock.now_us();
        let ended = self.haul(&copy, args);
        let took = (clock.now_us() - began_us, cpu_us(Whose::Children) - cpu);
        assert!(took.0 < 600 * SECOND_US, "{took:?}");
        assert!(ended.contains(&format!("{} succeeded, 0 failed", self.jobs)), "{ended}");
        let result = self.haul(&copy, &["query", "--nl", "SELECT output FROM results WHERE job_id = 1"]);
        assert!(result.contains(first) || result.contains(&first.replace('"', "\\\"")), "{result} for {first}");
        std::fs::remove_file(&copy).expect("it was there");
        took
    }

    fn command(&self, db: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
        command.arg("--db").arg(db).args(args).current_dir(self.folder.path()).stderr(Stdio::inherit());
        command
    }

    fn haul(&self, db: &Path, args: &[&str]) -> String {
        String::from_utf8_lossy(&self.command(db, args).output().expect("haul").stdout).into_owned()
    }
}
