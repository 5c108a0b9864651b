//! An hour of a hostile world: two hundred requests a second to a server of which five answers in a hundred ail, new jobs all the
//! while, killed every five minutes. Nothing is lost or double, exactly the jobs fail that must, and as what they must; the
//! last life needs no more memory than the first.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::checker::leases_at_kill;
use crate::ills;
use crate::resume::bench::{Bench, Running, done, until};
use crate::resume::lives::{Life, SECOND_NS, most_in_a_second};
use crate::row::{Figures, Row, Size, fair};
use crate::scale::{log_bytes, peak_kb};
use crate::server::{Arrival, Script, Server};
use crate::trial::sound;

pub(crate) const ROW: Row = Row { name: "soak", what: "5 % faults of all kinds, and kill -9 now and then", run };

/// Requests a second.
const RATE: u64 = 200;
/// Jobs in flight at most.
const CONCURRENCY: usize = 64;
const RUN: &[&str] = &[
    "run",
    "--rate",
    "200/s",
    "-c",
    "64",
    "--timeout",
    "5s",
    "--backoff",
    "100ms..1s",
    "--max-redirects",
    "2",
    "--process",
    "jq:.key",
    "--progress",
    "none",
];
/// What requests may be late by on their way: the rate is N in W and this. Beside other work it is much.
const JITTER: [&str; 2] = ["--jitter", "150ms"];
const JITTER_ALONE: [&str; 2] = ["--jitter", "50ms"];
/// Jobs that are added at once, when fewer than twice as many are left.
const BATCH: u64 = 2_000;
/// The caches fill for this long: before that, memory says nothing.
const WARM_S: u64 = 120;
/// The last life may have needed so many percent more than the first.
const GROWS: u64 = 15;
const LARGE_LOG: u64 = 256 << 20;

/// What is seen from outside while it runs.
struct Soak {
    server: Server,
    bench: Bench,
    jobs: u64,
    lives: Vec<Life>,
    /// The most memory each life had.
    peaks_kb: Vec<u64>,
    log_bytes: u64,
}

fn run(figures: &mut Figures) {
    let seconds = figures.many("seconds", "HAUL_TORTURE_SOAK_SECONDS", 30, 3_600);
    let each = figures.many("kill_every", "HAUL_TORTURE_SOAK_KILL_EVERY", 10, 300).min(seconds);
    let seed = figures.seed();
    let server = Server::start(Script::new(move |asked| ills::reply(seed, asked)).goes_first());
    let (bench, lives, peaks_kb) = (Bench::empty(), Vec::new(), Vec::new());
    let mut soak = Soak { server, bench, jobs: 0, lives, peaks_kb, log_bytes: 0 };
    let run = [RUN, if figures.size == Size::Long { &JITTER_ALONE } else { &JITTER }].concat();
    for nth in 0..seconds / each {
        soak.live(each, if nth == 0 { &run } else { &["resume"] });
        soak.note(figures);
    }
    let soaked_s = soak.server.now_ns() / SECOND_NS;
    let rate = soak.server.total() / soaked_s.max(1);
    figures.note("a_second", rate);
    soak.drain();
    soak.judge(seed, figures);
    assert!(each < WARM_S || soak.is_flat(), "memory grows: {:?} kB", soak.peaks_kb);
    assert!(rate * 10 >= RATE * 8 || figures.size == Size::Ci || !fair(), "{rate} a second are no soak");
}

impl Soak {
    /// A process that is killed after so long, as soon as something is in flight.
    fn live(&mut self, seconds: u64, args: &[&str]) {
        self.feed();
        let began_ns = self.server.now_ns();
        let mut run = self.bench.start(args);
        let mut peak_kb = 0;
        while self.server.now_ns() < began_ns + seconds * SECOND_NS {
            self.feed();
            peak_kb = self.looked_at(&mut run).max(peak_kb);
            std::thread::sleep(Duration::from_millis(200));
        }
        until("something is in flight", || self.server.unanswered() >= 3);
        peak_kb = self.looked_at(&mut run).max(peak_kb);
        let unanswered = self.server.unanswered();
        run.kill();
        let killed_ns = self.server.now_ns();
        self.peaks_kb.push(peak_kb);
        sound(&self.bench.db());
        let leases = done(leases_at_kill(&self.bench.db()));
        self.lives.push(Life { began_ns, killed_ns, unanswered, leases });
    }

    /// Adds jobs, as another process would, before none is left.
    fn feed(&mut self) {
        // Arrivals are more than the jobs that they are of: these never run out.
        while self.jobs < self.server.total() + 2 * BATCH {
            let keys: Vec<_> = (self.jobs..self.jobs + BATCH).map(|n| format!("{n:07}")).collect();
            self.bench.import(&self.server, &keys);
            self.jobs += BATCH;
        }
    }

    /// The most memory that a process has had so far.
    fn looked_at(&mut self, run: &mut Running) -> u64 {
        assert!(run.runs(), "it goes on until it is killed: {}", run.said());
        self.log_bytes = log_bytes(&self.bench.db()).max(self.log_bytes);
        peak_kb(run.id()).expect("the system tells")
    }

    /// What is left comes to its end.
    fn drain(&self) {
        let drained = (0..60).any(|_| match self.bench.run(&["resume", "--for", "20s"]).status.code() {
            Some(0 | 3) => true,
            Some(75) => false,
            code => panic!("a run that nobody killed ended with {code:?}"),
        });
        assert!(drained, "the jobs come to an end");
    }

    fn note(&self, figures: &mut Figures) {
        let leased = self.lives.iter().map(|life| life.leases.len());
        figures.note("kills", self.lives.len());
        figures.note("requests", self.server.total());
        figures.note("unanswered_at_kills", json!(self.lives.iter().map(|life| life.unanswered).collect::<Vec<_>>()));
        figures.note("leased", leased.clone().sum::<usize>());
        figures.note("most_leased", leased.max());
        figures.note("peaks_kb", json!(self.peaks_kb));
        figures.note("log_mb", self.log_bytes as f64 / f64::from(1 << 20));
    }

    fn judge(&self, seed: u64, figures: &mut Figures) {
        let all = self.server.arrivals();
        let arrivals: Vec<Arrival> = all.iter().filter(|arrival| !arrival.key.starts_with("hop-")).cloned().collect();
        let checked = self.bench.check(self.jobs as usize, &arrivals);
        let leased: u64 = self.lives.iter().map(|life| life.leases.len() as u64).sum();
        let sql = "SELECT error_type, count(*) FROM jobs WHERE state = 'failed' GROUP BY 1";
        let failed: BTreeMap<String, i64> = self.bench.rows(sql).into_iter().collect();
        let kinds: Vec<(String, i64)> = self
            .bench
            .rows("SELECT coalesce(error_type, 'fine') AS kind, count(*) FROM attempts GROUP BY kind ORDER BY 2 DESC");
        let max_window = most_in_a_second(&self.bench, &self.server, &all);
        let poison = self.bench.number("SELECT count(*) FROM jobs WHERE error_type = 'poison' OR crashes > 0");
        for (name, value) in [("lost", checked.lost + checked.leased), ("dup", checked.dup), ("resent", checked.resent)]
        {
            figures.note(name, value);
        }
        figures.note("jobs", self.jobs);
        figures.note("requests", all.len());
        figures.note("max_window", max_window);
        figures.note("attempts", json!(kinds));
        figures.note("failed", json!(failed));
        sound(&self.bench.db());
        assert_eq!((checked.lost + checked.leased, checked.dup), (0, 0), "jobs are lost or double");
        assert!(checked.resent <= leased, "a kill costs no more than was leased: {} of {leased}", checked.resent);
        assert!(self.lives.iter().all(|life| life.leases.len() <= CONCURRENCY), "more is leased than may be");
        assert!(max_window <= RATE as usize, "the limit holds over all lives: {max_window}");
        assert_eq!(failed, ills::failures(seed, self.jobs), "exactly those fail that must, and as what they must");
        assert_eq!(poison, 0, "no job is blamed for a kill");
        assert!(kinds.len() >= 12, "the faults come: {kinds:?}");
        assert!(self.log_bytes < LARGE_LOG, "the log grows: {}", self.log_bytes);
    }

    /// The last life had about as much memory as the first.
    fn is_flat(&self) -> bool {
        let (Some(first), Some(last)) = (self.peaks_kb.first(), self.peaks_kb.last()) else { return false };
        last * 100 <= first * (100 + GROWS)
    }
}
