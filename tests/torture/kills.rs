//! 1a: killed at random and gone on with.

use crate::row::{Figures, Row};

pub(crate) const ROW: Row = Row { name: "1a", what: "kill -9 at random, and resume", run };

fn run(figures: &mut Figures) {
    figures.many("kills", "HAUL_TORTURE_KILLS", 60, 10_000);
}
