//! T1: the wall clock is set by an hour while a run goes. The limit, timeouts, retries, pauses and the SLA know nothing of it, and
//! all times in the rows go on from when the run began.

use std::time::Duration;

use haul::clock::{Micros, SECOND_US, micros};

use crate::faketime::Wall;
use crate::resume::bench::{Bench, Ended, until, wall_us};
use crate::resume::lives::most_in;
use crate::row::{Figures, Row};
use crate::server::{Answer, Asked, Reply, Script, Server};

/// Seen failing with a `Clock` that reads the wall clock at every look: the run stood still for an hour.
pub(crate) const ROW: Row = Row { name: "T1", what: "the wall clock is set while it runs", run };

const JOBS: usize = 120;
const PERMITS: usize = 20;
const WINDOW: Duration = Duration::from_millis(400);
const HOUR_S: i64 = 3_600;
/// Rows tell what the server saw, but for this: a machine with other work to do.
const NEAR_US: Micros = 20 * SECOND_US;
const HOLDS: &str = "a limit, a timeout or a retry waited for the wall clock";

/// Every time of a run in its rows.
const TIMES: &str = "SELECT min(at), max(at) FROM (
    SELECT started_at_us AS at FROM attempts UNION ALL SELECT fetched_at_us FROM responses UNION ALL
    SELECT finished_at_us FROM results UNION ALL SELECT finished_at_us FROM jobs UNION ALL
    SELECT started_at_us FROM runs UNION ALL SELECT heartbeat_at_us FROM runs UNION ALL SELECT ended_at_us FROM runs UNION ALL
    SELECT until_us FROM spends)";
/// Every duration.
const DURATIONS: &str = "SELECT min(span), max(span) FROM (
    SELECT rate_wait_us AS span FROM attempts UNION ALL SELECT ttfb_us FROM attempts UNION ALL SELECT fetch_us FROM attempts
    UNION ALL SELECT queue_us FROM attempts UNION ALL SELECT process_us FROM attempts UNION ALL SELECT latency_us FROM attempts
    UNION ALL SELECT ended_at_us - started_at_us FROM runs)";

fn run(figures: &mut Figures) {
    let rounds = figures.many("rounds", "HAUL_TORTURE_ROUNDS", 2, 100);
    let (mut apart_us, mut seconds) = (0, 0);
    for n in 0..rounds {
        let first = if n % 2 == 0 { HOUR_S } else { -HOUR_S };
        let Some((more_us, lasted)) = round(first, figures) else { return };
        (apart_us, seconds) = (more_us.max(apart_us), lasted.max(seconds));
        figures.note("apart_ms_most", apart_us / 1_000);
        figures.note("seconds_most", seconds);
    }
}

/// Sets the clock by so much at the beginning, and twice as far the other way in the middle. How far a row and the server's log
/// are apart at most, and how long the run took, in seconds.
fn round(first_s: i64, figures: &mut Figures) -> Option<(Micros, u64)> {
    let server = Server::start(Script::new(troubled).latency(Duration::from_millis(20)).goes_first());
    let bench = Bench::with_jobs(&server, JOBS);
    let wall = Wall::right(bench.db().with_file_name("wall"), figures)?;
    let began_us = wall_us(&server, server.now_ns());
    let mut haul = std::process::Command::new(env!("CARGO_BIN_EXE_haul"));
    haul.arg("--db").arg(bench.db()).args([
        "-vv",
        "run",
        "--rate",
        "20/400ms",
        "-c",
        "16",
        "--timeout",
        "1s",
        "--sla",
        "500ms",
    ]);
    wall.shown_to(&mut haul);
    let run = bench.spawn(haul);
    until("it is under way", || server.total() >= 5);
    wall.set(first_s);
    until("half is asked for", || server.total() >= JOBS as u64 / 2);
    wall.set(-first_s);
    let ended = run.wait().exits(0);
    let lasted_us = wall_us(&server, server.now_ns()) - began_us;
    assert!(saw(&ended) >= micros(Duration::from_secs(6_000)), "a control: it is shown a clock that is set");

    bench.check_clean(JOBS, &server);
    let most = most_in(WINDOW, &bench, &server, &server.arrivals());
    assert!(most <= PERMITS, "{most} requests in a window");
    let errors: Vec<(String, i64)> =
        bench.rows("SELECT error_type, count(*) FROM attempts WHERE error_type IS NOT NULL GROUP BY 1 ORDER BY 1");
    let expected = [("429", 2), ("503", 2), ("timeout", 2)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(errors, expected, "each trouble ended when it should, and nothing else failed");
    let (from_us, to_us) = two(&bench, TIMES);
    let spread = WINDOW.as_micros() as Micros + NEAR_US;
    assert!(began_us <= from_us && to_us <= began_us + lasted_us + spread, "{began_us}: {from_us} to {to_us}, {HOLDS}");
    let (least_us, most_us) = two(&bench, DURATIONS);
    assert!(0 <= least_us && most_us <= lasted_us, "durations of {least_us} to {most_us} us in a run of {lasted_us}");
    for backwards in [
        "SELECT count(*) FROM attempts JOIN jobs ON id = job_id WHERE finished_at_us < started_at_us",
        "SELECT count(*) FROM runs WHERE ended_at_us < heartbeat_at_us OR heartbeat_at_us < started_at_us",
        "SELECT count(*) FROM attempts WHERE within_sla IS NOT (latency_us <= 500000) AND latency_us IS NOT NULL",
    ] {
        assert_eq!(bench.number(backwards), 0, "{backwards}");
    }
    Some((apart_us(&bench, &server), (lasted_us / SECOND_US).unsigned_abs()))
}

/// In each half one job is refused at first, one fails, and one is never answered.
fn troubled(asked: &Asked) -> Reply {
    let number: usize = asked.key.parse().expect("a number");
    match number % (JOBS / 2) {
        10 if asked.nth == 1 => Answer::status(503).into(),
        20 if asked.nth == 1 => Answer::status(429).header("retry-after", "1").into(),
        30 if asked.nth == 1 => Reply::Hang,
        _ => Answer::json("1").into(),
    }
}

/// How far the lines of its log are apart, which bear the wall clock as the program sees it.
fn saw(ended: &Ended) -> Micros {
    let at = |line: &str| humantime::parse_rfc3339(line.split(' ').next()?).ok();
    let times = || ended.stderr.lines().filter_map(at);
    let (first, last) = (times().min().expect("a log"), times().max().expect("a log"));
    micros(last.duration_since(first).expect("the least is the least"))
}

/// How far the time at which a request was sent, as its row tells it, is from when it arrived, at most.
fn apart_us(bench: &Bench, server: &Server) -> Micros {
    let sent: Vec<(String, Micros)> =
        bench.rows("SELECT key, started_at_us FROM attempts JOIN jobs ON id = job_id WHERE attempt = 1");
    let first = |key: &str| server.arrivals().into_iter().find(|arrival| arrival.key == key).expect("it arrived").at_ns;
    let apart = |(key, us): &(String, Micros)| (wall_us(server, first(key)) - us).abs();
    let apart_us = sent.iter().map(apart).max().expect("some were sent");
    assert!(apart_us < NEAR_US, "a row is {apart_us} us from what the server saw");
    apart_us
}

fn two(bench: &Bench, sql: &'static str) -> (Micros, Micros) {
    let rows: Vec<(Micros, Micros)> = bench.rows(sql);
    rows[0]
}
