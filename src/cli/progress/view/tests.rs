use haul::attempt::ErrorType;
use haul::limit::Wait;
use haul::store::Counts;

use super::*;
use crate::cli::progress::pace::Pace;

const NOW: Micros = 1_764_000_000_000_000;

/// A run in its midst.
fn shown() -> Shown {
    let failed = |code, n| ((State::Failed, Some(ErrorType::status(code))), n);
    let counts: Counts = [
        failed(404, 12),
        failed(500, 3),
        failed(410, 2),
        failed(403, 1),
        ((State::Pending, Some(ErrorType::TIMEOUT)), 4),
        ((State::Pending, None), 5_977),
        ((State::Succeeded, None), 4_001),
    ]
    .into();
    let mut tally = Tally { succeeded: 4_001, failed: 18, within_sla: 3_999, late: 2, ..Tally::default() };
    tally.latencies.count("latency", 81_000);
    let mut pace = Pace::begin(NOW - 210 * SECOND_US);
    (1..=210).for_each(|s| pace.is_at(NOW - (210 - s) * SECOND_US, (s * 4_019 / 210).unsigned_abs()));
    let limits = vec!["20/s".parse().expect("a rate")];
    Shown { total: 10_000, counts, tally, pace, limits, in_flight: 17, ..Shown::default() }
}

fn at(room: usize, shown: &mut Shown) -> Vec<String> {
    shown.lines(NOW, false, room).into_iter().map(|line| line.cut(room).painted(false)).collect()
}

// Seen failing with pieces for which there is no room.
#[test]
fn a_narrow_terminal_is_told_less_and_nothing_is_cut() {
    let mut shown = shown();
    assert_eq!(
        at(117, &mut shown),
        [
            "[============                    ] 4,019/10,000 (40 %)  19.2/s of 20/s  ETA 5m 13s",
            "17 in flight  18 failed: 12 x 404, 3 x 500, 2 x 410  4 to retry  p50 82 ms p99 82 ms  SLA 100.0 % (2 late)",
        ]
    );
    assert_eq!(
        at(77, &mut shown),
        [
            "[==========                ] 4,019/10,000 (40 %)  19.2/s of 20/s  ETA 5m 13s",
            "17 in flight  18 failed: 12 x 404, 3 x 500, 2 x 410  4 to retry  SLA 100 %",
        ]
    );
    assert_eq!(
        at(57, &mut shown),
        ["4,019/10,000 (40 %)  19.2/s of 20/s  ETA 5m 13s", "17 in flight  18 failed: 12 x 404, 3 x 500, 2 x 410",]
    );
    for room in 1..250 {
        assert!(at(room, &mut shown).iter().all(|line| line.chars().count() <= room), "{room}");
    }
}

#[test]
fn a_wait_is_told_in_a_line_of_its_own_and_stands_for_the_time_left() {
    let mut shown = shown();
    shown.waits = Some(Wait { until_us: NOW + 3_600 * SECOND_US, limit: Some("10000/d".to_owned()) });
    let lines = at(77, &mut shown);
    assert_eq!(lines[2], "waits for 10000/d until 2025-11-24T17:00:00Z (1h more)");
    assert!(!lines[0].contains("ETA"), "{lines:?}");
    (shown.paused_until_us, shown.paused_by) = (NOW + 9 * SECOND_US, "paused by the server for");
    assert_eq!(at(77, &mut shown)[2], "paused by the server for 10s (until 2025-11-24T16:00:09Z)");
    shown.stalled = Some(("disk full for", NOW - 3 * SECOND_US));
    assert_eq!(at(77, &mut shown)[2], "disk full for 3s");
}

#[test]
fn a_shortage_of_cores_is_told_beside_the_time_left() {
    let mut shown = shown();
    shown.short = Some("processing needs 2.4 cores at 20/s, there are 2".to_owned());
    let lines = at(77, &mut shown);
    assert!(lines[0].contains("ETA") && lines[2].starts_with("processing needs"), "{lines:?}");
}

#[test]
fn off_a_terminal_it_is_one_line_and_for_programs_an_object() {
    let mut shown = shown();
    assert_eq!(
        shown.line(NOW),
        "4,019/10,000 (40 %)  19.2/s of 20/s  ETA 5m 13s  17 in flight  18 failed: 12 x 404, 3 x 500, 2 x 410  4 to retry  \
         p50 82 ms p99 82 ms  SLA 100.0 % (2 late)"
    );
    let object = shown.json(NOW);
    for (name, value) in [("in_flight", 17), ("retrying", 4), ("late", 2), ("total", 10_000)] {
        assert_eq!(object[name], value, "{object}");
    }
    assert_eq!((&object["failures"]["404"], &object["why"]), (&12.into(), &Value::Null));
}
