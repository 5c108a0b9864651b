//! P10: a panic in our own code ends the run with an error, soon, and the next run goes on.

use std::time::Duration;

use haul::fail_point::Point::{self, *};

use crate::checker::leases_at_kill;
use crate::resume::bench::{Bench, done};
use crate::resume::lives::Life;
use crate::row::{Figures, Row};
use crate::server::{Script, Server};
use crate::trial::{Found, Trial};
use crate::ways::PROCESS;

/// Seen failing with a panic on a CPU thread taken for a run that leaves: it ended as if it had been told to stop.
pub(crate) const ROW: Row = Row { name: "P10", what: "a panic in our own code", run };

/// In the loop that claims and commits, on the way of a job, on a CPU thread, and in a transaction.
const POINTS: [(Point, u64); 9] = [
    (Recovered, 1),
    (AfterClaim, 2),
    (BeforeSend, 3),
    (Sending, 3),
    (AfterHead, 3),
    (Processing, 3),
    (BeforeCommit, 6),
    (BeforeResultCommit, 2),
    (AfterResultCommit, 2),
];
const JOBS: usize = 60;

fn run(figures: &mut Figures) {
    let mut found = Found::default();
    for (point, nth) in POINTS {
        found += one(point, nth);
        found.note(figures);
    }
    figures.note("points", POINTS.len());
    found.judge();
}

fn one(point: Point, nth: u64) -> Found {
    let server = Server::start(Script::ok().latency(Duration::from_millis(10)));
    let bench = Bench::with_jobs(&server, JOBS);
    let mut trial = Trial::new(bench, server);
    let run = ["run", "-c", "8", "--process", PROCESS];
    let began_ns = trial.server.now_ns();
    let command = trial.haul_failing(&run, &format!("{}:{nth}:panic", point.name()));
    let ended = trial.bench.spawn(command).wait();
    let name = point.name();
    assert_eq!(ended.status.code(), Some(1), "{name}: {}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("bug of haul"), "{name} says what it is: {}", ended.stderr);
    let killed_ns = trial.server.now_ns();
    let leases = done(leases_at_kill(&trial.bench.db()));
    trial.lives.push(Life { began_ns, killed_ns, unanswered: 0, leases });
    trial.bench.run(&run).exits(0);
    trial.found_without_limit(JOBS)
}
