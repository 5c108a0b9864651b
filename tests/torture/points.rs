//! 1c: killed at every named moment, while it imports, runs, recovers, stops, exports and brings a database up to date.

use haul::fail_point::Point;

use crate::random_numbers::Random;
use crate::row::{Figures, Row};
use crate::trial::Found;
use crate::ways::{CONCURRENCY, Way};

/// Seen failing with an export that writes to its file directly.
pub(crate) const ROW: Row = Row { name: "1c", what: "kill at every named moment", run };

fn run(figures: &mut Figures) {
    let passages = figures.many("passages", "HAUL_TORTURE_PASSAGES", 1, 20);
    let most_pairs = figures.many("pairs_most", "HAUL_TORTURE_PAIRS", 12, u64::MAX);
    let mut random = Random::new(figures.seed());
    let mut found = Found::default();
    let (mut points, mut late) = (0, 0);
    for way in Way::ALL {
        for point in way.points() {
            for nth in 1..=first_passages(way, *point) {
                let Some(one) = way.tried(&[(*point, nth)]) else {
                    panic!("passage {nth} of {} does not come in {way:?}", point.name());
                };
                found += one;
                points += 1;
                found.note(figures);
            }
        }
    }
    let untried = |point: &&Point| !Way::ALL.iter().any(|way| way.points().contains(*point));
    let untried: Vec<_> = Point::ALL.iter().filter(untried).collect();
    figures.note("moments", Point::ALL.len());
    figures.note("points", points);
    for way in Way::ALL {
        for point in way.points() {
            for nth in 2..=passages {
                // A moment that comes less often than that is no failure.
                let Some(one) = way.tried(&[(*point, nth)]) else { break };
                found += one;
                late += 1;
                found.note(figures);
            }
        }
    }
    figures.note("later_passages", late);
    let pairs = pairs(most_pairs, &mut random, figures, &mut found);
    figures.note("pairs", pairs);
    found.note(figures);
    found.judge();
    assert!(found.most_leased <= CONCURRENCY, "no more is leased than the concurrency allows");
    assert!(untried.is_empty(), "tried nowhere: {untried:?}");
}

/// The first transaction of a run is its recovery, and the next ones claim and write back: of these, several.
fn first_passages(way: Way, point: Point) -> u64 {
    match (way, point) {
        (Way::Run, Point::BeforeCommit | Point::AfterCommit) => 6,
        _ => 1,
    }
}

/// One run dies at a moment, the next one at another: all pairs, or so many of them.
fn pairs(most: u64, random: &mut Random, figures: &mut Figures, found: &mut Found) -> u64 {
    let points = Way::Run.points();
    let mut left: Vec<_> = points.iter().flat_map(|first| points.iter().map(move |second| (*first, *second))).collect();
    let mut pairs = 0;
    while pairs < most && !left.is_empty() {
        let (first, second) = left.swap_remove(random.below(left.len()));
        // Where the first died near the end there may be nothing left for the second to come to.
        if let Some(one) = Way::Run.tried(&[(first, 1), (second, 1)]) {
            *found += one;
            pairs += 1;
            found.note(figures);
        }
    }
    pairs
}
