//! 1a: killed at random and gone on with; and killed again while it has only just begun to go on.
//!
//! Rounds of sixty kills, each on a database and a server of its own, so that the last kill of ten thousand costs no more
//! than the first. The moments come from a seed.

use std::time::Duration;

use haul::backoff::chance;

use crate::checker::copied;
use crate::forgotten;
use crate::rate::busy;
use crate::resume::bench::{Bench, wall_us};
use crate::resume::lives::{Life, SECOND_NS, live, lost_and_noted, most_in_a_second, resent};
use crate::row::{Figures, Row, fair};
use crate::server::{Arrival, Script, Server};

/// Seen failing with some leases left out of `note_interrupted.sql`, and with the counts written in a transaction of their own.
pub(crate) const ROW: Row = Row { name: "1a", what: "kill -9 at random, and resume", run };

/// Kills of a round.
const ROUND: u64 = 60;
/// After so many of them the next run is killed as soon as it has begun.
const EARLY_AFTER: u64 = 4;
/// Of every answer.
const LATENCY: Duration = Duration::from_millis(200);
/// Requests a second.
const RATE: i64 = 200;
/// `--jitter`: a machine that does nothing but start and kill processes may send later than the usual 20 ms.
const JITTER_US: i64 = 150_000;
/// Jobs in flight at most.
const CONCURRENCY: usize = 64;
/// Where a permit is due, the first request is sent so soon after the start of the process.
const SOON: Duration = Duration::from_millis(300);

/// What all rounds found.
#[derive(Default)]
struct Found {
    kills: u64,
    busy: u64,
    early: u64,
    jobs: u64,
    lost: u64,
    dup: u64,
    /// Claims that were lost, and those not noted as such, or noted without having been lost.
    leased: u64,
    misnoted: u64,
    resent: u64,
    /// Kills after which more was sent again than was leased.
    over: u64,
    most_leased: usize,
    max_window: usize,
    /// From the start of each process that had a permit to its first request.
    first_ms: Vec<u64>,
    blamed: i64,
}

fn run(figures: &mut Figures) {
    let kills = figures.many("kills", "HAUL_TORTURE_KILLS", ROUND, 10_000);
    let seed = figures.seed();
    let mut found = Found::default();
    while found.kills < kills {
        let most = ROUND.min(kills - found.kills);
        round(seed + found.kills, most, &mut found);
        found.note(figures);
    }
    found.judge();
    forgotten::tried(figures);
}

/// So many kills, early ones besides, and then the rest of the jobs.
fn round(seed: u64, kills: u64, found: &mut Found) {
    let server = Server::start(Script::ok().latency(LATENCY).goes_first());
    let within = |n: u64, kind, from_ms: f64, to_ms: f64| {
        ((from_ms + chance(seed, n as i64, kind) * (to_ms - from_ms)) * 1e6) as u64
    };
    let lasts_ns: Vec<_> = (0..kills).map(|n| within(n, 1, 400.0, 1_200.0)).collect();
    let jobs = (lasts_ns.iter().sum::<u64>() * RATE as u64 / SECOND_NS) as usize;
    let bench = Bench::with_jobs(&server, jobs);
    let (mut lives, mut permitted) = (Vec::new(), Vec::new());
    let mut one = |lasts_ns: u64, in_flight: u64| {
        let args: &[&str] = if lives.is_empty() {
            &["run", "--rate", "200/s", "--jitter", "150ms", "--concurrency", "64"]
        } else {
            &["resume"]
        };
        // Only what the life before wrote down can hold this one back.
        permitted.push(lives.is_empty() || is_permitted(&bench, &server));
        lives.push(live(&bench, &server, args, lasts_ns, in_flight));
    };
    for (n, lasts_ns) in (0..).zip(lasts_ns) {
        // The window may be used up just then. One in six is killed even so.
        one(lasts_ns, if n % 6 == 5 { 0 } else { 5 });
        if n % EARLY_AFTER == EARLY_AFTER - 1 {
            one(within(n, 2, 5.0, 50.0), 0);
        }
    }
    drain(&bench);
    found.kills += kills;
    found.add(&bench, &server, &lives, &permitted, jobs);
}

/// Lets runs live until nothing is left. On a machine with other work the kills may have left most of it.
fn drain(bench: &Bench) {
    let drained = (0..60).any(|_| match bench.run(&["resume", "--for", "20s"]).status.code() {
        Some(0) => true,
        Some(75) => false,
        code => panic!("a run that nobody killed ended with {code:?}"),
    });
    assert!(drained, "the jobs come to an end");
}

/// Whether a run that starts now has a permit at once: what is written down leaves one in the window.
fn is_permitted(bench: &Bench, server: &Server) -> bool {
    let since_us = wall_us(server, server.now_ns()) - 1_000_000 - JITTER_US;
    // A copy, so that the file stays as the kill left it.
    let (_aside, copy) = copied(&bench.db());
    let spends: Vec<(i64, i64)> = Bench::rows_of(&copy, "SELECT until_us, permits FROM spends");
    spends.iter().filter(|(until_us, _)| *until_us > since_us).map(|(_, permits)| permits).sum::<i64>() < RATE
}

impl Found {
    fn add(&mut self, bench: &Bench, server: &Server, lives: &[Life], permitted: &[bool], jobs: usize) {
        let arrivals = server.arrivals();
        let checked = bench.check(jobs, &arrivals);
        let resent = resent(lives, &arrivals);
        let (lost, noted) = lost_and_noted(bench, lives);
        self.early += lives.len() as u64;
        // The server still counts what a life before this one asked, for as long as it takes to answer.
        let long = |life: &&Life| life.killed_ns - life.began_ns >= 2 * LATENCY.as_nanos() as u64;
        self.busy += lives.iter().filter(long).filter(|life| life.unanswered >= 5).count() as u64;
        self.jobs += jobs as u64;
        self.lost += checked.lost + checked.leased;
        self.dup += checked.dup;
        self.leased += lost.len() as u64;
        self.misnoted += lost.symmetric_difference(&noted).count() as u64;
        self.resent += checked.resent;
        self.over += resent.iter().zip(lives).filter(|(resent, life)| **resent > life.leases.len()).count() as u64;
        self.over += u64::from(checked.resent != resent.iter().sum::<usize>() as u64);
        self.most_leased = lives.iter().map(|life| life.leases.len()).chain([self.most_leased]).max().unwrap_or(0);
        self.max_window = self.max_window.max(most_in_a_second(bench, server, &arrivals));
        self.first_ms.extend(firsts(lives, permitted, &arrivals));
        self.blamed += bench.number("SELECT count(*) FROM jobs WHERE error_type IS NOT NULL OR failures > 0");
    }

    fn note(&mut self, figures: &mut Figures) {
        self.first_ms.sort_unstable();
        let at = |share: f64| self.first_ms.get((self.first_ms.len() as f64 * share) as usize).copied();
        let starts = self.first_ms.len();
        figures.note("kills", self.kills);
        figures.note("early", self.early - self.kills);
        figures.note("busy", self.busy);
        figures.note("jobs", self.jobs);
        figures.note("lost", self.lost);
        figures.note("dup", self.dup);
        figures.note("leased", self.leased);
        figures.note("misnoted", self.misnoted);
        figures.note("resent", self.resent);
        figures.note("over", self.over);
        figures.note("most_leased", self.most_leased);
        figures.note("max_window", self.max_window);
        figures.note("starts", starts);
        figures.note("late", self.late());
        figures.note("load", busy::load());
        figures.note("first_ms_median", at(0.5));
        figures.note("first_ms_99", at(0.99));
        figures.note("first_ms_most", self.first_ms.last().copied());
    }

    fn late(&self) -> usize {
        self.first_ms.iter().filter(|ms| **ms >= SOON.as_millis() as u64).count()
    }

    fn judge(&self) {
        assert_eq!((self.lost, self.dup), (0, 0), "jobs are lost or double");
        assert_eq!(self.misnoted, 0, "each claim that was lost, and no other, is noted as interrupted");
        assert_eq!(self.over, 0, "no kill costs more than was leased at it");
        assert!(self.most_leased <= CONCURRENCY, "more is leased than the concurrency allows");
        assert!(self.max_window <= RATE as usize, "the limit holds over all lives");
        assert!(self.busy * 10 >= self.kills * 8, "a kill that finds nothing in flight shows nothing");
        assert!(self.resent > 0, "kills cost something");
        assert_eq!(self.blamed, 0, "no job is blamed for a kill");
        assert!(self.first_ms.len() * 4 > self.kills as usize, "enough starts have a permit");
        assert!(self.late() == 0 || !fair(), "resuming starts at once");
    }
}

/// From the start of each life that had a permit to its first request, where it lived long enough for one to be missed.
fn firsts(lives: &[Life], permitted: &[bool], arrivals: &[Arrival]) -> Vec<u64> {
    let first = |life: &Life| {
        let at = arrivals.partition_point(|arrival| arrival.at_ns < life.began_ns);
        let at_ns = arrivals.get(at).map_or(life.killed_ns, |arrival| arrival.at_ns.min(life.killed_ns));
        (at_ns - life.began_ns) / 1_000_000
    };
    let judged =
        |(life, permitted): &(&Life, &bool)| **permitted && life.killed_ns - life.began_ns >= SOON.as_nanos() as u64;
    lives.iter().zip(permitted).filter(judged).map(|(life, _)| first(life)).collect()
}
