//! 6: two runs on one database: the second is refused; where its lock was deleted, and the first one stood still meanwhile, the
//! results stay single, and what the first one brings too late is counted and dropped.

use std::fs;
use std::time::Duration;

use haul::backoff::chance;

use crate::checker::leases_at_kill;
use crate::resume::bench::{Bench, Ended, done, until};
use crate::resume::lives::Life;
use crate::row::{Figures, Row, fair};
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};
use crate::trial::{Found, Trial};

/// Seen failing with outcomes that come too late and are not counted.
pub(crate) const ROW: Row = Row { name: "6", what: "two runs, a deleted lock, a zombie", run };

const JOBS: usize = 120;
/// After so many arrivals the answers are held back, until the first run stands still.
const FREE: usize = 24;
const CONCURRENCY: usize = 8;
/// A second run is refused so soon.
const AT_ONCE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Sum {
    found: Found,
    /// Jobs that were taken from a run that lived.
    taken: u64,
    stale: u64,
    refused_ms: u64,
}

fn run(figures: &mut Figures) {
    let rounds = figures.many("rounds", "HAUL_TORTURE_ROUNDS", 9, 1_000);
    let seed = figures.seed();
    let mut sum = Sum::default();
    for n in 0..rounds {
        round(seed, n as i64, &mut sum);
        sum.found.note(figures);
        figures.note("taken", sum.taken);
        figures.note("stale", sum.stale);
        figures.note("refused_ms_most", sum.refused_ms);
    }
    sum.found.judge();
    assert!(sum.taken >= rounds * CONCURRENCY as u64 / 2, "there is something to be stale");
    assert_eq!(sum.stale, sum.taken, "every outcome that came too late is counted");
    assert!(sum.found.resent <= sum.taken, "only what was taken over is sent again");
    assert!(sum.refused_ms < AT_ONCE.as_millis() as u64 || !fair(), "the second run is refused at once");
}

fn round(seed: u64, n: i64, sum: &mut Sum) {
    let gate = Gate::closed();
    let server = Server::start(Script::new(holding(gate.clone())).latency(Duration::from_millis(10)));
    let bench = Bench::with_jobs(&server, JOBS);
    let mut trial = Trial::new(bench, server);
    let (bench, server) = (&trial.bench, &trial.server);
    let first = bench.start(&["run", "-c", "8", "--json"]);
    until("it is held", || server.total() == (FREE + CONCURRENCY) as u64);
    let began_ns = server.now_ns();
    bench.run(&["resume"]).exits(6);
    sum.refused_ms = sum.refused_ms.max((server.now_ns() - began_ns) / 1_000_000);
    assert_eq!(server.unanswered(), CONCURRENCY as u64, "the second sends nothing");

    // In one round of three the first goes on all the while.
    let zombie = n % 3 != 2;
    if zombie {
        first.signal("STOP");
    }
    fs::remove_file(bench.db().with_file_name("jobs.db.lock")).expect("the lock is there");
    let leases = done(leases_at_kill(&bench.db()));
    let (taken, killed_ns) = (leases.len() as u64, server.now_ns());
    let second = bench.start(&["resume", "--json"]);
    until("the second has taken over", || bench.number("SELECT count(*) FROM runs") == 2);
    gate.open();
    if zombie {
        // It comes back in the middle of the second, or after it.
        let after = CONCURRENCY + FREE + (chance(seed, n, 1) * (JOBS - FREE) as f64) as usize;
        until("it is time", || server.total() >= after as u64);
        first.signal("CONT");
    }
    let (first, second) = (first.wait(), second.wait().exits(0));
    // The first one sees that it has been ended and stops, unless the second was quicker to do all.
    assert!(matches!(first.status.code(), Some(0 | 75)), "{first:?}");
    sum.taken += taken;
    sum.stale += stale(&first);
    assert_eq!(stale(&second), 0, "nobody took anything from the second");
    // To its jobs it is as if the first had been killed when the second began.
    trial.lives.push(Life { began_ns: 0, killed_ns, unanswered: taken, leases });
    sum.found += trial.found_without_limit(JOBS);
}

/// Answers so many at once, and the others when the gate opens.
fn holding(gate: Gate) -> impl Fn(&Asked) -> Reply + Send + Sync {
    let free = std::sync::atomic::AtomicUsize::new(FREE);
    move |_: &Asked| {
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        let answer: Reply = Answer::json("1").into();
        match free.fetch_update(relaxed, relaxed, |free| free.checked_sub(1)) {
            Ok(_) => answer,
            Err(_) => Reply::Held(gate.clone(), Box::new(answer)),
        }
    }
}

fn stale(ended: &Ended) -> u64 {
    let said: serde_json::Value = serde_json::from_str(&ended.stdout).expect("a summary");
    said["stale"].as_u64().expect("a number of stale outcomes")
}
