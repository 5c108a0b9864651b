//! T2: between two runs the wall clock is set by an hour, or the machine is booted anew. The windows hold all the same.
//!
//! The clock is set by moving the times in the rows the other way, as if they had been written by another clock; with
//! libfaketime in earnest; and after a boot that is seen by its id, in a time namespace that began just now.

use std::process::Command;
use std::time::Duration;

use haul::clock::SECOND_US;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::checker::max_window;
use crate::faketime::Wall;
use crate::resume::bench::{Bench, done, until};
use crate::row::{Figures, Row};
use crate::server::{Script, Server};

/// Seen failing with a start that does not ask for the boot time. The control in the row is a database that does not know it.
pub(crate) const ROW: Row = Row { name: "T2", what: "the wall clock is set, or it boots, between two runs", run };

const JOBS: usize = 30;
/// The wider of two limits is used up within half of its window; the other one is to keep a run from sending all at once.
const RATES: [&str; 4] = ["--rate", "10/500ms", "--rate", "20/3s"];
const PERMITS: usize = 20;
const WINDOW: Duration = Duration::from_secs(3);
const HOUR_S: i64 = 3_600;

/// What happens between the two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    /// The clock is set by so many seconds: as the rows have it.
    Rows(i64),
    /// The same, as the program has it.
    Program(i64),
    /// The rows were written under another boot, long ago by this clock, and this one has only begun.
    Boot,
    /// A control: the clock is set, and nobody knows of boots.
    Unknown,
}

fn run(figures: &mut Figures) {
    let ways = [
        Between::Rows(HOUR_S),
        Between::Rows(-HOUR_S),
        Between::Program(HOUR_S),
        Between::Program(-HOUR_S),
        Between::Boot,
        Between::Unknown,
    ];
    let mut most = 0;
    for way in ways {
        let Some(found) = tried(way, figures) else { continue };
        if way == Between::Unknown {
            figures.note("control_most", found);
            assert!(
                found > PERMITS,
                "a control: where nobody knows of boots, a clock that is set forward is seen here"
            );
        } else {
            most = found.max(most);
            figures.note("most", most);
            assert!(found <= PERMITS, "{way:?}: {found} requests in a window");
        }
    }
}

/// Most requests in a window of the wider limit. `None`: that cannot be tried here.
fn tried(way: Between, figures: &mut Figures) -> Option<usize> {
    let server = Server::start(Script::ok().goes_first());
    let bench = Bench::with_jobs(&server, JOBS);
    let wall = match way {
        Between::Program(_) => Some(Wall::right(bench.db().with_file_name("wall"), figures)?),
        _ => None,
    };
    if way == Between::Boot && !has_time_namespaces() {
        figures.skip("no time namespace can be made here");
        return None;
    }
    let haul = |program: &str, first: &[String], args: &[&str]| {
        let mut command = Command::new(program);
        command.args(first).arg("--db").arg(bench.db()).args(args);
        wall.iter().for_each(|wall| wall.shown_to(&mut command));
        bench.spawn(command)
    };
    let args = [&["run", "-c", "4", "--jitter", "150ms"], &RATES[..]].concat();
    let first = haul(env!("CARGO_BIN_EXE_haul"), &[], &args);
    until("the wider limit is used up", || server.total() >= PERMITS as u64);
    first.kill();
    let began_ns = server.now_ns();
    let mut says = "";
    match way {
        // What was written at noon was written at eleven by a clock that was set forward since.
        Between::Rows(by_s) => move_rows(&bench, -by_s),
        Between::Program(by_s) => wall.iter().for_each(|wall| wall.set(by_s)),
        Between::Boot => {
            move_rows(&bench, -HOUR_S);
            write(&bench, "UPDATE runs SET boot_id = 'another'");
        }
        Between::Unknown => {
            move_rows(&bench, -HOUR_S);
            write(&bench, "UPDATE runs SET boot_id = NULL, boot_us = NULL, boot_at_us = NULL");
        }
    }
    if let Between::Rows(by_s) | Between::Program(by_s) = way {
        says = if by_s > 0 { "the wall clock was set forward by" } else { "the wall clock was set back by" };
    }
    let second = if way == Between::Boot {
        // Booted less than a second ago, as far as the program can see.
        let booted = format!("-{}", up_s());
        let program = env!("CARGO_BIN_EXE_haul");
        let first = ["--time", "--boottime", &booted, "--fork", "--kill-child", program].map(str::to_owned);
        haul("unshare", &first, &["resume"])
    } else {
        haul(env!("CARGO_BIN_EXE_haul"), &[], &["resume"])
    };
    let ended = second.wait().exits(0);
    assert!(ended.stderr.contains(says), "{way:?}, no `{says}`: {}", ended.stderr);
    bench_is_done(&bench);
    let at_ns: Vec<_> = server.arrivals().iter().map(|arrival| arrival.at_ns).collect();
    if way == Between::Boot {
        // The rest after a boot is all that holds it: the rows say that an hour has passed.
        let first_ns = at_ns.iter().find(|at_ns| **at_ns > began_ns).expect("it went on");
        let rested = Duration::from_nanos(first_ns - began_ns);
        figures.note("rested_ms", rested.as_millis() as u64);
        assert!(rested >= WINDOW - Duration::from_millis(1_200), "it waited only {rested:?} after a boot");
        assert!(rested < WINDOW * 4, "it waited {rested:?} after a boot");
        return None;
    }
    Some(max_window(at_ns, WINDOW.as_nanos() as u64))
}

fn bench_is_done(bench: &Bench) {
    let left = bench.number("SELECT count(*) FROM jobs WHERE state <> 'succeeded'");
    assert_eq!((left, bench.number("SELECT count(*) FROM results")), (0, JOBS as i64), "every job has its result");
}

/// Every time that a start looks at.
fn move_rows(bench: &Bench, by_s: i64) {
    let by_us = by_s * SECOND_US;
    for sql in [
        "UPDATE runs SET started_at_us = started_at_us + ?1, heartbeat_at_us = heartbeat_at_us + ?1, boot_at_us = boot_at_us + ?1",
        "UPDATE spends SET until_us = until_us + ?1",
        "UPDATE limits SET paused_until_us = paused_until_us + ?1 WHERE paused_until_us > 0",
        "UPDATE jobs SET due_at_us = due_at_us + ?1 WHERE due_at_us > 0",
    ] {
        done(async {
            let options = SqliteConnectOptions::new().filename(bench.db());
            let mut connection = options.connect().await.expect("a database");
            sqlx::query(sql).bind(by_us).execute(&mut connection).await.expect(sql);
            connection.close().await.expect("closed");
        });
    }
}

fn write(bench: &Bench, sql: &'static str) {
    done(async {
        let mut connection = SqliteConnectOptions::new().filename(bench.db()).connect().await.expect("a database");
        sqlx::query(sql).execute(&mut connection).await.expect(sql);
        connection.close().await.expect("closed");
    });
}

fn has_time_namespaces() -> bool {
    let tried = Command::new("unshare").args(["--time", "--boottime", "1", "--fork", "true"]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// Whole seconds since the machine was booted.
fn up_s() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").expect("the time since the boot");
    text.split('.').next().and_then(|seconds| seconds.parse().ok()).expect("a number")
}
