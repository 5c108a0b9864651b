//! What ten million jobs cost beside 100,000, and an import beside SQLite's own.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use haul::clock::{Clock, Micros};

use crate::filled::write_csv;
use crate::rivals::{own, path, remove};
use crate::spent::{self, Spent};
use crate::{JOBS, ROUNDS, Requirements};

/// Jobs that are claimed and committed, each time.
const WORKED: i64 = 10_000;

/// Rows of the import, at most.
const ROWS: usize = 1_000_000;

/// Measures all of it, and gives how much is missed.
pub(crate) fn measure(jobs: usize) -> usize {
    assert!(jobs >= 1_000_000, "with fewer, too little is left to do for all rounds");
    let folder = tempfile::tempdir().expect("a folder");
    let server = Silent(TcpListener::bind(("127.0.0.1", 0)).expect("a port"));
    let filled = |name: &str, jobs: usize, done: usize| {
        let db = folder.path().join(name);
        own(&["fill", &path(&db), &jobs.to_string(), &done.to_string(), &server.url()]);
        db
    };
    let mut required = Requirements::default();
    // Enough must be left to do for all rounds.
    let (few, many) = (filled("few.db", JOBS, JOBS * 2 / 5), filled("many.db", jobs, jobs / 10 * 9));
    println!("{jobs} jobs, nine tenths of them done, beside {JOBS}");
    work(&few, &many, &mut required);
    remove(&few);
    let none = filled("none.db", 100, 0);
    // The first starts find no run that was killed.
    let starts: Vec<_> = (0..=ROUNDS).map(|_| (server.start_us(&none), server.start_us(&many))).skip(1).collect();
    let (start_none, start_many): (Vec<_>, Vec<_>) = starts.into_iter().unzip();
    let (start_none, start_many) = (median(start_none), median(start_many));
    println!("start to first request: {:.1} ms, and {:.1} ms", ms(start_none), ms(start_many));
    let more = ms(start_many - start_none);
    required.require("start to first request after kill -9, more, ms", more, more <= 100.0, "<= 100");
    let status = ms(server.status_us(&many));
    required.require("status while a run goes, ms", status, status <= 100.0, "<= 100");
    remove(&many);
    import(folder.path(), jobs.min(ROWS), &mut required);
    required.missed
}

fn ms(us: Micros) -> f64 {
    us as f64 / 1_000.0
}

fn median(mut all: Vec<Micros>) -> Micros {
    all.sort_unstable();
    all[all.len() / 2]
}

/// Claim and commit, in turns.
fn work(few: &Path, many: &Path, required: &mut Requirements) {
    let work = |db: &Path, jobs: i64| own(&["work", &path(db), &jobs.to_string()]);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| [few, many].map(|db| (work(db, 0), work(db, WORKED)))).collect();
    let [cpu_few, cpu_many] = [0, 1].map(|which| {
        let each = rounds.iter().map(|round: &[(Spent, Spent); 2]| round[which].1.cpu_us - round[which].0.cpu_us);
        median(each.collect()) as f64 / WORKED as f64
    });
    let [peak_few, peak_many] = [0, 1].map(|which| {
        let each = rounds.iter().map(|round| round[which].1.peak_kib as Micros);
        median(each.collect()) as f64 / 1024.0
    });
    println!(
        "claim and commit: {cpu_few:.1} us and {cpu_many:.1} us of CPU a job; peaks {peak_few:.1} and {peak_many:.1} MB"
    );
    let (cpu, peak) = (cpu_many / cpu_few, peak_many / peak_few);
    required.require("CPU of claim and commit, many to few", cpu, cpu <= 1.15, "<= 1.15");
    required.require("peak memory, many to few", peak, peak <= 1.1, "<= 1.1");
}

/// A server that takes requests and never answers.
struct Silent(TcpListener);

impl Silent {
    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("bound"))
    }

    /// From the start of the program to the first bytes of its first request. The run is killed then.
    fn start_us(&self, db: &Path) -> Micros {
        let clock = Clock::start();
        let began_us = clock.now_us();
        let mut run = start(db);
        let (mut stream, _) = self.0.accept().expect("a connection");
        stream.read_exact(&mut [0]).expect("a request");
        let took_us = clock.now_us() - began_us;
        kill(&mut run);
        self.forget();
        took_us
    }

    /// How long `status` takes while a run goes.
    fn status_us(&self, db: &Path) -> Micros {
        let mut run = start(db);
        let (stream, _) = self.0.accept().expect("a connection");
        let status = |_| spent::run(haul(db).arg("status")).wall_us;
        let took_us = median((0..ROUNDS).map(status).collect());
        kill(&mut run);
        drop(stream);
        self.forget();
        took_us
    }

    /// What a killed run has left behind.
    fn forget(&self) {
        self.0.set_nonblocking(true).expect("a socket");
        while self.0.accept().is_ok() {}
        self.0.set_nonblocking(false).expect("a socket");
    }
}

fn haul(db: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
    command.arg("--db").arg(db);
    command
}

fn start(db: &Path) -> Child {
    let mut command = haul(db);
    command.args(["resume", "-q", "--rate", "none"]).stdout(Stdio::null());
    command.spawn().expect("the program")
}

fn kill(run: &mut Child) {
    run.kill().expect("killed");
    run.wait().expect("a child of ours");
}

/// Rows a second of an import with a template and a key, beside those of the `sqlite3` shell, in turns.
fn import(folder: &Path, rows: usize, required: &mut Requirements) {
    let [csv, ours, theirs]: [PathBuf; 3] = ["rows.csv", "import.db", "shell.db"].map(|name| folder.join(name));
    if Command::new("sqlite3").arg("--version").stdout(Stdio::null()).status().is_err() {
        return println!("import: left out, there is no `sqlite3`");
    }
    write_csv(&csv, rows);
    let (mut ours_us, mut theirs_us) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        remove(&ours);
        let mut command = haul(&ours);
        command.args(["import", "-q", "--url", "http://localhost/{{ id }}", "--key", "{{ id }}"]).arg(&csv);
        ours_us.push(spent::run(&mut command).wall_us);
        remove(&theirs);
        let import = format!(".import {} rows", csv.display());
        theirs_us.push(spent::run(Command::new("sqlite3").arg("-csv").arg(&theirs).arg(import)).wall_us);
    }
    let (ours_us, theirs_us) = (median(ours_us), median(theirs_us));
    let per_s = |us: Micros| rows as f64 / us as f64 * 1e6;
    println!("import of {rows} rows: {:.0} a second, `.import` {:.0}", per_s(ours_us), per_s(theirs_us));
    let share = theirs_us as f64 / ours_us as f64;
    required.require("rows a second to those of `.import`", share, share >= 0.12, ">= 0.12");
}
