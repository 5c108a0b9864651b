//! 1b: killed at every call that writes, syncs, cuts or removes a file of the database, in an import and in a run of sixty jobs.
//!
//! strace counts the calls of each thread on its own, so the files are taken one by one: the one connection that writes is then
//! alone with the log. A kill at a call comes before it has done anything, so the next one is the kill after it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::resume::bench::Bench;
use crate::row::{Figures, Row, Size};
use crate::server::{Script, Server};
use crate::strace;
use crate::trial::{Found, Trial};
use crate::ways::PROCESS;

/// Seen failing with the counts written in a transaction of their own.
pub(crate) const ROW: Row = Row { name: "1b", what: "kill at every write and sync", run };

/// Points of the short size.
const SAMPLED: u64 = 80;
/// Who gets through so often in a row has come to the end of its calls: their number is not the same every time.
const THROUGH: u32 = 3;
const JOBS: usize = 60;
const CONCURRENCY: u64 = 8; // of `Work::program`
const PERMITS: usize = 20;
const WINDOW: Duration = Duration::from_millis(200);
const CALLS: &str = "pwrite64,write,fsync,fdatasync,ftruncate,unlink";
/// The files of a database, as their names end.
const FILES: [&str; 4] = ["jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db.lock"];

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// An import into a new database.
    Import,
    /// A run, with a commit that survives a power cut, or one that survives a crash.
    Run,
    RunCrash,
}

/// A call, by its name and its file.
#[derive(Debug, Clone)]
struct Call {
    work: Work,
    file: &'static str,
    name: String,
}

/// What was tried so far.
#[derive(Default)]
struct Tried {
    found: Found,
    points: u64,
    /// Processes that ended before they came to their call.
    through: u64,
}

fn run(figures: &mut Figures) {
    if !strace::is_there(figures) {
        return;
    }
    let works = [Work::Import, Work::Run, Work::RunCrash];
    let calls: Vec<(Call, u64)> = works.iter().flat_map(|work| work.calls()).collect();
    let all: u64 = calls.iter().map(|(_, times)| times).sum();
    figures.note("calls", all);
    let mut tried = Tried::default();
    match figures.size {
        Size::Ci => {
            let points: Vec<_> =
                calls.iter().flat_map(|(call, times)| (1..=*times).map(move |nth| (call, nth))).collect();
            let sampled = SAMPLED.min(all);
            for n in 0..sampled {
                let (call, nth) = points[(n * all / sampled) as usize];
                tried.one(call, nth, figures);
            }
        }
        Size::Long => calls.iter().for_each(|(call, _)| tried.until_through(call, figures)),
    }
    tried.found.judge();
    assert!(tried.found.most_leased <= CONCURRENCY, "no more is leased than the concurrency allows");
    assert!(tried.found.kills * 10 >= tried.points * 8, "most processes come to their call");
}

impl Tried {
    /// Whether it died.
    fn one(&mut self, call: &Call, nth: u64, figures: &mut Figures) -> bool {
        let found = call.killed(nth);
        self.found += found;
        self.points += 1;
        self.through += u64::from(found.kills == 0);
        figures.note("points", self.points);
        figures.note("through", self.through);
        self.found.note(figures);
        found.kills > 0
    }

    fn until_through(&mut self, call: &Call, figures: &mut Figures) {
        let mut in_a_row = 0;
        for nth in 1.. {
            in_a_row = if self.one(call, nth, figures) { 0 } else { in_a_row + 1 };
            if in_a_row == THROUGH {
                return;
            }
        }
    }
}

impl Work {
    fn prepared(self) -> Trial {
        let server = Server::start(Script::ok().goes_first());
        let bench = Bench::empty();
        let rows: String = (0..JOBS).map(|n| format!("{n:04}\n")).collect();
        fs::write(bench.db().with_file_name("rows.csv"), format!("id\n{rows}")).expect("the input");
        let trial = Trial::new(bench, server);
        if self != Self::Import {
            Self::Import.again(&trial);
        }
        trial
    }

    fn program(self, trial: &Trial) -> Command {
        let url = format!("{}/{{{{ id }}}}", trial.server.url());
        let run = ["run", "--rate", "20/200ms", "--jitter", "150ms", "-c", "8", "--process", PROCESS, "--durability"];
        match self {
            Self::Import => trial.haul(&["import", "rows.csv", "--url", &url, "--key", "{{ id }}"]),
            Self::Run => trial.haul(&[&run[..], &["power-loss"]].concat()),
            Self::RunCrash => trial.haul(&[&run[..], &["crash"]].concat()),
        }
    }

    /// To its end.
    fn again(self, trial: &Trial) {
        trial.bench.spawn(self.program(trial)).wait().exits(0);
    }

    /// Every call on a file of the database, and how often a thread makes it.
    fn calls(self) -> Vec<(Call, u64)> {
        let trial = self.prepared();
        let log = trial.bench.db().with_file_name("log");
        let files = FILES.map(|file| trial.bench.db().with_file_name(file));
        let traced = strace::traced(&self.program(&trial), CALLS, &files, &log);
        trial.bench.spawn(traced).wait().exits(0);
        let mut times: BTreeMap<(&'static str, String, String), u64> = BTreeMap::new();
        for line in fs::read_to_string(log).expect("the log").lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
            // The first path is the file: `fsync(9</a/jobs.db>)`, `unlink("/a/jobs.db-wal")`.
            let path = arguments.split(['<', '>', '"']).nth(1).unwrap_or_default();
            let Some(file) = FILES.into_iter().find(|file| path.rsplit('/').next() == Some(*file)) else { continue };
            *times.entry((file, name.to_owned(), thread.to_owned())).or_default() += 1;
        }
        let mut most: BTreeMap<(&'static str, String), u64> = BTreeMap::new();
        for ((file, name, _), times) in times {
            let most = most.entry((file, name)).or_default();
            *most = times.max(*most);
        }
        assert!(most.contains_key(&("jobs.db-wal", "pwrite64".to_owned())), "strace sees the log written: {most:?}");
        most.into_iter().map(|((file, name), times)| (Call { work: self, file, name }, times)).collect()
    }
}

impl Call {
    /// Dies at its nth such call, where it comes to that, and goes on to the end.
    fn killed(&self, nth: u64) -> Found {
        let mut trial = self.work.prepared();
        let (file, log) = (trial.bench.db().with_file_name(self.file), trial.bench.db().with_file_name("log"));
        let program = self.work.program(&trial);
        let inject = format!("{}:signal=SIGKILL:when={nth}", self.name);
        let killed = strace::injected(&program, &self.name, &[file], &log, &inject);
        if let Err(ended) = trial.dies(killed) {
            ended.exits(0);
        }
        if self.work == Work::Import {
            self.work.again(&trial);
            assert_eq!(trial.bench.number("SELECT count(*) FROM jobs"), JOBS as i64, "each row is a job, once");
        }
        Work::Run.again(&trial);
        trial.found(JOBS, PERMITS, WINDOW)
    }
}
