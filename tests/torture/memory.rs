//! P9: memory that runs out is a crash like any other; and it does not run out by itself.

use std::fs;
use std::process::Command;

use crate::checker::leases_at_kill;
use crate::resume::bench::{Bench, done, until};
use crate::resume::lives::Life;
use crate::row::{Figures, Row};
use crate::server::{Answer, Asked, Script, Server};
use crate::trial::{Found, Trial};

/// Seen failing with a byte budget of 4 GB.
pub(crate) const ROW: Row = Row { name: "P9", what: "memory runs out", run };

const JOBS: usize = 40;
/// Of each answer; all of them at once would be more than twice the budget.
const BODY: usize = 4 << 20;
/// Bodies in flight take 64 MiB at most; the program, its threads and its caches take the rest.
const MOST_MB: u64 = 350;
/// KiB of address space with which a run begins, and soon has too little.
const ADDRESSES: [u64; 3] = [350_000, 400_000, 450_000];

fn run(figures: &mut Figures) {
    let most_mb = at_most();
    figures.note("most_mb", most_mb);
    let mut found = Found::default();
    let mut died = 0;
    for addresses in ADDRESSES {
        let (more, crashed) = starved(addresses);
        found += more;
        died += u64::from(crashed);
    }
    figures.note("limits", ADDRESSES.len());
    figures.note("died", died);
    found.note(figures);
    found.judge();
    assert!(died > 0 && found.leased > 0, "some of them have too little, and find out in the middle");
    assert!(most_mb < MOST_MB, "memory is bounded whatever arrives: {most_mb} MB");
}

fn prepared() -> Trial {
    let body = "x".repeat(BODY);
    let server = Server::start(Script::new(move |_: &Asked| Answer::json(format!("{body:?}"))));
    let bench = Bench::with_jobs(&server, JOBS);
    Trial::new(bench, server)
}

/// The most memory that a run had at once, in MB.
fn at_most() -> u64 {
    let trial = prepared();
    let mut run = trial.bench.start(&["run", "-c", "40"]);
    let mut most_kb = 0;
    until("it ends", || {
        let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        most_kb = kb.max(most_kb);
        !run.runs()
    });
    run.wait().exits(0);
    trial.found_without_limit(JOBS).judge();
    assert!(most_kb > 0, "the system tells");
    most_kb / 1000
}

/// A run with little address space, and one with enough; whether the first one crashed.
fn starved(addresses: u64) -> (Found, bool) {
    let mut trial = prepared();
    let began_ns = trial.server.now_ns();
    let mut command = Command::new("sh");
    let program = format!("ulimit -v {addresses}; exec {} --db jobs.db run -c 40", env!("CARGO_BIN_EXE_haul"));
    command.arg("-c").arg(program);
    let ended = trial.bench.spawn(command).wait();
    let killed_ns = trial.server.now_ns();
    let leases = done(leases_at_kill(&trial.bench.db()));
    let crashed = ended.status.code() != Some(0);
    assert!(ended.status.code() != Some(101), "not a panic: {}", ended.stderr);
    trial.lives.push(Life { began_ns, killed_ns, unanswered: 0, leases });
    trial.bench.run(&["run", "-c", "40"]).exits(0);
    (trial.found_without_limit(JOBS), crashed)
}
