//! Times are UTC, whatever zone the machine is in, and while that changes to summer time and back.

use haul::clock::{Clock, Micros, SECOND_US};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::folder::Folder;
use crate::server::{Script, Server};

/// What shows times; the tables are read as they are, too.
const SHOWN: &[&[&str]] = &[
    &["export"],
    &["export", "--format", "csv"],
    &["query", "SELECT * FROM job_view"],
    &["query", "SELECT * FROM throughput"],
    &["query", "SELECT * FROM jobs JOIN attempts ON job_id = id"],
    &["show", "--id", "1"],
];

fn drained(server: &Server, jobs: usize, zone: &str, rate: &str) -> Folder {
    let urls: String = (0..jobs).map(|n| format!("{}/{n}\n", server.url())).collect();
    let folder = Folder::with("urls.txt", &urls);
    folder.haul(&["-q", "run", "urls.txt", "--rate", rate]).env("TZ", zone).exits(0);
    folder
}

fn shown(folder: &Folder, zone: &str) -> Vec<String> {
    SHOWN.iter().map(|args| folder.haul(args).env("TZ", zone).exits(0).out).collect()
}

// Seen failing with ISO times that are an hour off where a zone is named.
#[test]
fn no_zone_changes_what_is_shown() {
    let server = Server::start(Script::ok());
    let folder = drained(&server, 3, "Asia/Kathmandu", "none");
    let utc = shown(&folder, "UTC");
    for zone in ["America/St_Johns", "Antarctica/Troll", "Pacific/Kiritimati", "nonsense"] {
        assert_eq!(shown(&folder, zone), utc, "{zone}");
    }
    // Hours and minutes off UTC, and what summer adds; it begins and ends on any days, at any hour.
    let zones = (-24..=24_i32, 0..60_u32, -2..=3_i32, 1..=365_u32, 0..24_u32, 1..=365_u32).prop_map(
        |(hours, minutes, summer, from, at, to)| {
            format!(
                "AAA{hours}:{minutes:02}BBB{}:{minutes:02},J{from}/{at},J{to}/{at}",
                (hours - summer).clamp(-24, 24)
            )
        },
    );
    let mut runner = TestRunner::new(Config { cases: 8, failure_persistence: None, ..Config::default() });
    let tried = runner.run(&zones, |zone| {
        prop_assert_eq!(shown(&folder, &zone), utc.clone(), "{}", zone);
        Ok(())
    });
    tried.expect("no zone changes anything");
}

// Seen failing with a clock that is off by the offset of its zone.
#[test]
fn a_run_goes_on_in_utc_while_summer_begins() {
    let server = Server::start(Script::ok());
    let clock = Clock::start();
    let began_us = clock.now_us();
    let zone = summer_from(began_us + SECOND_US);
    let folder = drained(&server, 40, &zone, "20/s");
    let ended_us = clock.now_us();
    assert!(ended_us > began_us + SECOND_US, "summer began meanwhile");
    let times = "SELECT min(t), max(t) FROM (SELECT created_at_us AS t FROM jobs UNION ALL SELECT finished_at_us FROM jobs
        UNION ALL SELECT started_at_us FROM attempts UNION ALL SELECT fetched_at_us FROM responses
        UNION ALL SELECT finished_at_us FROM results UNION ALL SELECT started_at_us FROM runs
        UNION ALL SELECT ended_at_us FROM runs UNION ALL SELECT heartbeat_at_us FROM runs UNION ALL SELECT started_at_us FROM imports)";
    let said = folder.haul(&["query", "--csv", times]).exits(0).out;
    let found: Vec<Micros> =
        said.lines().nth(1).expect("a row").split(',').map(|us| us.parse().expect("an integer")).collect();
    // Starts are read from clocks of their own: the wall clock may be adjusted by a little in between.
    let (from_us, to_us) = (began_us - SECOND_US, ended_us + SECOND_US);
    assert!(found.iter().all(|us| (from_us..=to_us).contains(us)), "{found:?} is not within {from_us} and {to_us}");
}

/// A zone two hours behind UTC in which summer begins at that time of this year, and adds two hours.
fn summer_from(at_us: Micros) -> String {
    let at = haul::report::iso_8601(at_us - 2 * 3_600 * SECOND_US);
    let number = |from: usize, to: usize| at[from..to].parse::<u32>().expect("a number");
    let days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (month, day) = (number(5, 7) as usize, number(8, 10));
    let nth: u32 = days[..month - 1].iter().sum::<u32>() + day;
    format!("AAA2BBB0,J{nth}/{},J365/23", &at[11..19])
}
