//! 1c: killed at every named moment, while it imports, runs, recovers, stops, exports and brings a database up to date.

use haul::fail_point::Point;

use crate::row::{Figures, Row, Size};
use crate::trial::Found;
use crate::ways::Way;

/// Seen failing with the slots of a batch dropped before its commit, with an import that counts its rows in a transaction of its
/// own, with an export that writes to its file directly, and with a moment that nothing passes.
pub(crate) const ROW: Row = Row { name: "1c", what: "kill at every named moment", run };

/// The how many-th passages are tried in the long size.
const PASSAGES: u64 = 20;

fn run(figures: &mut Figures) {
    let mut found = Found::default();
    let (mut points, mut late) = (0, 0);
    for way in Way::ALL {
        for point in way.points() {
            let Some(one) = way.tried(&[(*point, 1)]) else {
                panic!("nothing passes {} in {way:?}", point.name());
            };
            found += one;
            points += 1;
            found.note(figures);
        }
    }
    let untried = |point: &&Point| !Way::ALL.iter().any(|way| way.points().contains(*point));
    let untried: Vec<_> = Point::ALL.iter().filter(untried).collect();
    figures.note("moments", Point::ALL.len());
    figures.note("points", points);
    if figures.size == Size::Long {
        for way in Way::ALL {
            for point in way.points() {
                for nth in 2..=PASSAGES {
                    // A moment that comes less often than that is no failure.
                    let Some(one) = way.tried(&[(*point, nth)]) else { break };
                    found += one;
                    late += 1;
                    found.note(figures);
                }
            }
        }
        figures.note("later_passages", late);
        let pairs = pairs(figures, &mut found);
        figures.note("pairs", pairs);
    }
    found.note(figures);
    found.judge();
    assert!(untried.is_empty(), "tried nowhere: {untried:?}");
}

/// One run dies at each moment, the next one at each other.
fn pairs(figures: &mut Figures, found: &mut Found) -> u64 {
    let mut pairs = 0;
    for first in Way::Run.points() {
        for second in Way::Run.points() {
            // Where the first died near the end there may be nothing left for the second to come to.
            if let Some(one) = Way::Run.tried(&[(*first, 1), (*second, 1)]) {
                *found += one;
                pairs += 1;
                found.note(figures);
            }
        }
    }
    pairs
}
