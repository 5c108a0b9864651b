//! P8 and T3: a run that stood still sends nothing under a permit that became void meanwhile, and keeps its limit. Nor does it
//! where the wall clock was set by an hour in the meantime, as it is when a machine sleeps and wakes.

use std::time::Duration;

use haul::backoff::chance;
use haul::clock::Micros;

use crate::faketime::Wall;
use crate::resume::bench::{Bench, until, wall_us};
use crate::row::{Figures, Row, Size};
use crate::server::{Script, Server};
use crate::trial::{Found, Trial};

/// Seen failing with void permits handed out by `Queue` all the same.
pub(crate) const ROW: Row = Row { name: "P8", what: "SIGSTOP and SIGCONT, the clock set meanwhile", run };

const JOBS: usize = 100;
const PERMITS: usize = 20;
const WINDOW: Duration = Duration::from_millis(400);

fn run(figures: &mut Figures) {
    let rounds = figures.many("rounds", "HAUL_TORTURE_ROUNDS", 6, 200);
    let seed = figures.seed();
    let mut found = Found::default();
    let (mut void, mut stale, mut tried) = (0, 0, 0);
    for n in 0..rounds as i64 {
        // One in the long size stands still for longer than anything a run waits for.
        let long = figures.size == Size::Long && n == 0;
        let still = if long { Duration::from_secs(60) } else { Duration::from_millis(500) };
        // In two rounds of three the wall clock says something else when it goes on.
        let step_s = [0, 3_600, -3_600][n as usize % 3];
        let Some((more, voided, sent)) = round(seed, n, still, step_s, figures) else { continue };
        tried += 1;
        found += more;
        void += voided;
        stale += sent;
        found.note(figures);
        figures.note("void", void);
        figures.note("sent_stale", stale);
    }
    found.judge();
    assert_eq!(stale, 0, "nothing is sent under a permit that is void");
    assert!(void >= tried / 2, "permits became void while it stood still");
}

/// What was found; permits that became void unused; and requests that were sent under one of them. `None`: the clock cannot be
/// set here.
fn round(seed: u64, n: i64, still: Duration, step_s: i64, figures: &mut Figures) -> Option<(Found, u64, u64)> {
    let server = Server::start(Script::ok().latency(Duration::from_millis(20)).goes_first());
    let bench = Bench::with_jobs(&server, JOBS);
    let trial = Trial::new(bench, server);
    let (bench, server) = (&trial.bench, &trial.server);
    let mut program = trial.haul(&["run", "--rate", "20/400ms", "-c", "16"]);
    let wall = match step_s {
        0 => None,
        _ => Some(Wall::right(bench.db().with_file_name("wall"), figures)?),
    };
    wall.iter().for_each(|wall| wall.shown_to(&mut program));
    let run = bench.spawn(program);
    let after = 10 + (chance(seed, n, 1) * 40.0) as u64;
    until("it is under way", || server.total() >= after);
    run.signal("STOP");
    let stopped_us = wall_us(server, server.now_ns());
    // Of a claim that is not sent, this is the time after which its permit is void.
    let held: Vec<(i64, i64, Micros)> =
        bench.rows("SELECT id, attempts, due_at_us FROM jobs WHERE run_id IS NOT NULL AND state = 'pending'");
    std::thread::sleep(still);
    wall.iter().for_each(|wall| wall.set(step_s));
    let goes_on_us = wall_us(server, server.now_ns());
    run.signal("CONT");
    run.wait().exits(0);
    let sent: Vec<(i64, i64, Micros)> =
        bench.rows("SELECT job_id, attempt, started_at_us FROM attempts WHERE started_at_us IS NOT NULL");
    let sent_at = |id, attempt| sent.iter().find(|row| (row.0, row.1) == (id, attempt)).map(|row| row.2);
    // Those that had been sent when it stood still are not at stake.
    let unsent = held.iter().filter(|(id, attempt, _)| sent_at(*id, *attempt).is_none_or(|us| us > stopped_us));
    let void: Vec<_> = unsent.filter(|(_, _, until_us)| *until_us < goes_on_us).collect();
    let stale = void.iter().filter(|(id, attempt, _)| sent_at(*id, *attempt).is_some()).count();
    Some((trial.found(JOBS, PERMITS, WINDOW), void.len() as u64, stale as u64))
}
