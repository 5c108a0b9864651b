//! The lives of a run that is killed again and again: when each began and ended, what it left leased, what it sent.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use haul::clock::Clock;
use haul::limit::DEFAULT_JITTER_US;

use super::bench::{Bench, done, until};
use crate::checker::{leases_at_kill, max_window};
use crate::server::{Arrival, Server};

pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// Most arrivals in any second.
pub(crate) fn most_in_a_second(bench: &Bench, server: &Server, arrivals: &[Arrival]) -> usize {
    most_in(Duration::from_secs(1), bench, server, arrivals)
}

/// Key and number of a claim.
type Claim = (String, i64);

/// One life of a run, and what its end found.
pub(crate) struct Life {
    pub(crate) began_ns: u64,
    pub(crate) killed_ns: u64,
    pub(crate) unanswered: u64,
    /// Key and claim of each job that was leased.
    pub(crate) leases: Vec<Claim>,
}

/// Starts the program and kills it this long after, or as soon as it then has so many requests in flight.
pub(crate) fn live(bench: &Bench, server: &Server, args: &[&str], lasts_ns: u64, in_flight: u64) -> Life {
    let began_ns = server.now_ns();
    let mut run = bench.start(args);
    until("its time is up", || server.now_ns() >= began_ns + lasts_ns && server.unanswered() >= in_flight);
    assert!(run.runs(), "the jobs outlast every kill: {}", run.said());
    let unanswered = server.unanswered();
    run.kill();
    let killed_ns = server.now_ns();
    let leases = done(leases_at_kill(&bench.db()));
    Life { began_ns, killed_ns, unanswered, leases }
}

/// Requests sent again after each kill. Every one must be of a job that was leased at a kill since it was last sent, and
/// each such lease excuses one.
pub(crate) fn resent(lives: &[Life], arrivals: &[Arrival]) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut resent = vec![HashSet::new(); lives.len()];
    for arrival in arrivals {
        if seen.insert(arrival.key.clone()) {
            continue;
        }
        let excuses = |(nth, life): &(usize, &Life)| {
            life.killed_ns <= arrival.at_ns
                && life.leases.iter().any(|(key, _)| *key == arrival.key)
                && !resent[*nth].contains(&arrival.key)
        };
        let excuse = lives.iter().enumerate().rev().find(excuses).map(|(nth, _)| nth);
        let Some(nth) = excuse else { panic!("{} was sent again without a reason", arrival.key) };
        resent[nth].insert(arrival.key.clone());
    }
    resent.iter().map(HashSet::len).collect()
}

/// From each start of the process to its kill.
pub(crate) fn processes(lives: &[Life]) -> Vec<Range<u64>> {
    lives.iter().map(|life| life.began_ns..life.killed_ns).collect()
}

/// Claims of leases.
type Claims = HashSet<Claim>;

/// The claims that were lost to the kills, and those that the database knows as interrupted: key and claim of each.
pub(crate) fn lost_and_noted(bench: &Bench, lives: &[Life]) -> (Claims, Claims) {
    let rows: Vec<(String, i64)> = bench
        .rows("SELECT key, attempt FROM attempts AS a JOIN jobs ON id = job_id WHERE a.error_type = 'interrupted'");
    (lives.iter().flat_map(|life| life.leases.clone()).collect(), rows.into_iter().collect())
}

/// The same, but from the moment at which the run had its limits: how long a busy machine takes to start a process is left out.
pub(crate) fn runs(bench: &Bench, server: &Server, lives: &[Life]) -> Vec<Range<u64>> {
    let (now_us, now_ns) = (Clock::start().now_us(), server.now_ns());
    let started: Vec<(i64,)> = bench.rows("SELECT started_at_us FROM runs ORDER BY id");
    let started_ns: Vec<u64> = started.iter().map(|(us,)| now_ns - (now_us - us).unsigned_abs() * 1_000).collect();
    let run = |life: Range<u64>| started_ns.iter().find(|ns| life.contains(ns)).map(|ns| *ns..life.end);
    processes(lives).into_iter().filter_map(run).collect()
}

/// The share of the requests permitted at so many a second that arrived in these times.
pub(crate) fn share(alive: &[Range<u64>], arrivals: &[Arrival], a_second: f64) -> f64 {
    let alive_ns: u64 = alive.iter().map(|span| span.end - span.start).sum();
    let lived = |at_ns| alive.iter().any(|span| span.contains(&at_ns));
    let sent = arrivals.iter().filter(|arrival| lived(arrival.at_ns)).count();
    sent as f64 / (alive_ns as f64 / SECOND_NS as f64 * a_second)
}

/// From each start to the first request of that life, in the middle of all.
pub(crate) fn median_first_ms(lives: &[Life], arrivals: &[Arrival]) -> u64 {
    let first =
        |life: &Life| arrivals.iter().map(|a| a.at_ns).find(|at| *at >= life.began_ns).unwrap_or(life.killed_ns);
    let mut ms: Vec<_> = lives.iter().map(|life| (first(life) - life.began_ns) / 1_000_000).collect();
    ms.sort_unstable();
    ms[ms.len() / 2]
}

/// Most arrivals in a window, for jobs that succeeded at their last arrival.
///
/// The limit promises what it does for a spread of J between sending and arriving. Where this machine, busy with other
/// tests, noted an arrival later than J after it was sent, it counts when it should have arrived: with a load of
/// 7 on two cores the kill loop saw 201 now and then, the first of them noted 30 ms after it was sent.
pub(crate) fn most_in(window: Duration, bench: &Bench, server: &Server, arrivals: &[Arrival]) -> usize {
    let (now_us, now_ns) = (Clock::start().now_us(), server.now_ns());
    let sent: Vec<(String, i64)> = bench.rows(
        "SELECT key, started_at_us FROM attempts JOIN jobs ON id = job_id WHERE attempt = attempts AND started_at_us > 0",
    );
    let latest = |(key, us): (String, i64)| {
        let sent_ns = now_ns.saturating_sub((now_us - us).unsigned_abs() * 1_000);
        (key, sent_ns + DEFAULT_JITTER_US.unsigned_abs() * 1_000)
    };
    let mut latest: HashMap<String, u64> = sent.into_iter().map(latest).collect();
    let at_ns =
        arrivals.iter().rev().map(|a| latest.remove(&a.key).map_or(a.at_ns, |latest_ns| latest_ns.min(a.at_ns)));
    max_window(at_ns, u64::try_from(window.as_nanos()).expect("a short one"))
}
