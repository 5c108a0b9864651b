//! Results that are all null: a processor that looks at the wrong place is told of early.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::hope::ENOUGH;

/// The results of a run so far. Relaxed counting is enough: it is said once, a moment earlier or later.
#[derive(Default)]
pub(super) struct Nulls {
    results: AtomicU64,
    nulls: AtomicU64,
}

impl Nulls {
    /// Takes a result into account, as JSON. Says so where the first [`ENOUGH`] are all null.
    pub(super) fn add(&self, output: &str) {
        let nulls = self.nulls.fetch_add(u64::from(output == "null"), Ordering::Relaxed) + u64::from(output == "null");
        let results = self.results.fetch_add(1, Ordering::Relaxed) + 1;
        if results == ENOUGH && nulls == results {
            warn(results);
        }
    }

    /// There will be no more. Says so where all were null, and too few to have said it before.
    pub(super) fn end(&self) {
        let results = self.results.load(Ordering::Relaxed);
        if (1..ENOUGH).contains(&results) && self.nulls.load(Ordering::Relaxed) == results {
            warn(results);
        }
    }
}

fn warn(results: u64) {
    tracing::warn!(
        results,
        "every result of this run is null so far; `haul show --body` of a job shows what was processed"
    );
}
