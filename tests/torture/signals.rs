//! 11: asked to stop, once or twice, by each of the signals, at moments of a seed.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use haul::backoff::chance;

use crate::checker::leases_at_kill;
use crate::resume::bench::{Bench, done, until};
use crate::resume::lives::Life;
use crate::row::{Figures, Row};
use crate::server::{Script, Server};
use crate::trial::{Found, Trial};

/// Seen failing with `Stop::leave` for the first signal.
pub(crate) const ROW: Row = Row { name: "11", what: "SIGTERM, SIGINT and SIGHUP, once and twice", run };

const SIGNALS: [(&str, i32); 3] = [("INT", 2), ("TERM", 15), ("HUP", 1)];
/// Signalled lives of a database.
const ROUND: u64 = 40;
const LATENCY: Duration = Duration::from_millis(100);
const PERMITS: usize = 100;
const WINDOW: Duration = Duration::from_millis(500);
/// What flies lands so soon; its grace is a minute.
const LANDED: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Sum {
    found: Found,
    once: u64,
    twice: u64,
    /// Signals that came before there was anybody to hear them.
    early: u64,
    /// Leases after a first signal.
    left: u64,
    landed_ms: u64,
}

fn run(figures: &mut Figures) {
    let signals = figures.many("signals", "HAUL_TORTURE_SIGNALS", ROUND, 5_000);
    let seed = figures.seed();
    let mut sum = Sum::default();
    while sum.once + sum.twice < signals {
        let done = sum.once + sum.twice;
        round(seed + done, ROUND.min(signals - done), &mut sum);
        sum.found.note(figures);
        for (name, value) in [
            ("once", sum.once),
            ("twice", sum.twice),
            ("early", sum.early),
            ("left_after_one", sum.left),
            ("landed_ms_most", sum.landed_ms),
        ] {
            figures.note(name, value);
        }
    }
    sum.found.judge();
    assert_eq!(sum.left, 0, "after one signal no lease is left");
    assert!(sum.landed_ms < LANDED.as_millis() as u64, "what flies lands, and no more is waited for");
    assert!(sum.found.leased > 0, "two signals leave something in flight");
    assert!(sum.early * 4 < signals, "most signals are heard");
}

fn round(seed: u64, signals: u64, sum: &mut Sum) {
    let server = Server::start(Script::ok().latency(LATENCY).goes_first());
    let jobs = signals as usize * 65;
    let bench = Bench::with_jobs(&server, jobs);
    let mut trial = Trial::new(bench, server);
    for n in 0..signals as i64 {
        one(seed, n, &mut trial, sum);
    }
    trial.bench.run(&["resume"]).exits(0);
    sum.found += trial.found(jobs, PERMITS, WINDOW);
}

/// A life that ends with a signal or two.
fn one(seed: u64, n: i64, trial: &mut Trial, sum: &mut Sum) {
    let within = |kind, from_ms: f64, to_ms: f64| ((from_ms + chance(seed, n, kind) * (to_ms - from_ms)) * 1e6) as u64;
    let (server, twice) = (&trial.server, n % 2 == 1);
    let (name, number) = SIGNALS[n as usize / 2 % SIGNALS.len()];
    let run = ["run", "--rate", "100/500ms", "-c", "16", "-q"];
    let began_ns = server.now_ns();
    let process = trial.bench.start(&run);
    let lasts_ns = within(1, 20.0, 500.0);
    until("its time is up", || server.now_ns() >= began_ns + lasts_ns);
    process.signal(name);
    let signalled_ns = server.now_ns();
    if twice {
        let again_ns = signalled_ns + within(2, 0.0, 50.0);
        until("it is time for the second", || server.now_ns() >= again_ns);
        // An error here is a process that has ended already.
        let _ = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).output();
    }
    let ended = process.wait();
    let killed_ns = server.now_ns();
    let heard = ended.status.code() == Some(128 + number);
    assert!(heard || ended.status.signal() == Some(number), "{name}: {ended:?}");
    let leases = done(leases_at_kill(&trial.bench.db()));
    sum.early += u64::from(!heard);
    if twice {
        sum.twice += 1;
    } else {
        sum.once += 1;
        // One that came too early left what there was before.
        sum.left += if heard { leases.len() as u64 } else { 0 };
        sum.landed_ms = sum.landed_ms.max((killed_ns - signalled_ns) / 1_000_000);
    }
    let unanswered = server.unanswered();
    trial.lives.push(Life { began_ns, killed_ns, unanswered, leases });
}
