//! What became of a database over time, in numbers: what the report page shows. Its size depends on how much is shown, not on
//! how much there is.

use std::collections::BTreeMap;

use super::{Overview, Phase};
use crate::clock::Micros;
use crate::settings::Settings;

/// Runs told one by one, at most: the last ones.
pub const MOST_RUNS: usize = 40;

/// All there is to show.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// As it stands now.
    pub overview: Overview,
    /// Time in which something ran, in order; a gap between two is time in which nothing did.
    pub slots: Vec<Slot>,
    /// The last failed attempt of each type.
    pub examples: BTreeMap<String, Example>,
    /// The last runs, the oldest first.
    pub runs: Vec<RunStory>,
    /// All runs there were.
    pub all_runs: u64,
    /// Of all runs, those that ended without a word.
    pub crashes: u64,
    /// What all that died held.
    pub interrupted: Interrupted,
}

/// A span of whole minutes, and what ended in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slot {
    /// It begins.
    pub from_us: Micros,
    /// It ends.
    pub to_us: Micros,
    /// Of this time a run was there.
    pub alive_us: Micros,
    /// By stage.
    pub stages: BTreeMap<String, Spread>,
    /// Failed attempts sent in it, by type.
    pub failed: BTreeMap<String, u64>,
}

/// A histogram of how long something took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many.
    pub n: u64,
    /// Of these, beyond the SLA.
    pub late: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Upper bound of a bucket -> how many.
    pub buckets: BTreeMap<Micros, u64>,
}

impl Spread {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.late += other.late;
        self.failed += other.failed;
        for (bound, n) in &other.buckets {
            *self.buckets.entry(*bound).or_default() += n;
        }
    }

    /// The smallest bound that holds this share (`0.0 ..= 1.0`); `None` = there is nothing.
    #[must_use]
    pub fn percentile_us(&self, share: f64) -> Option<Micros> {
        let wanted = (self.n as f64 * share).ceil() as u64;
        let mut seen = 0;
        self.buckets.iter().find_map(|(bound, n)| {
            seen += n;
            (seen >= wanted).then_some(*bound)
        })
    }
}

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The key of its job.
    pub key: String,
    /// What went wrong.
    pub message: String,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStory {
    /// `runs.id`.
    pub id: i64,
    /// It began.
    pub started_at: Micros,
    /// It ended, or was last heard of.
    pub until: Micros,
    /// Where it stands.
    pub phase: Phase,
    /// `runs.outcome`.
    pub outcome: Option<String>,
    /// Machine.
    pub host: String,
    /// Process.
    pub pid: i64,
    /// Version of haul.
    pub version: String,
    /// What it was told; `None` where this version cannot read it.
    pub settings: Option<Box<Settings>>,
    /// Requests that ended.
    pub requests: u64,
    /// Results made.
    pub results: u64,
    /// Of these, beyond the SLA.
    pub late: u64,
    /// What it held when it died.
    pub interrupted: Interrupted,
}

/// Jobs that were in flight when their run died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interrupted {
    /// All of them.
    pub jobs: u64,
    /// Of these, those whose response was stored: they were processed again, and nothing was sent.
    pub stored: u64,
}

impl Interrupted {
    /// Requests that were sent again, at most: some may not have left yet.
    #[must_use]
    pub fn sent_again(&self) -> u64 {
        self.jobs - self.stored
    }
}

/// What the limits of a run let through in so long, in requests a second; `None` where there is no limit, or no time. Any window
/// that begins in it may be used up at once: 250/m lets 250 through in 30 s, and 500 in 90 s.
#[must_use]
pub fn tightest(settings: &Settings, within_us: Micros) -> Option<f64> {
    let windows = |window_us: Micros| within_us.saturating_add(window_us - 1) / window_us.max(1);
    let let_through = settings.limits.iter().map(|limit| f64::from(limit.permits) * windows(limit.window_us) as f64);
    let least = let_through.min_by(f64::total_cmp)?;
    (within_us > 0).then(|| least * 1e6 / within_us as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A limit divided by its window is wrong here: 250 in 32 s stood above a limit of 4.17 a second that was kept.
    #[test]
    fn a_limit_that_was_kept_is_never_below_what_was_sent() {
        let limit = |rates: &[&str], seconds: i64| {
            let limits = rates.iter().map(|rate| rate.parse().expect("a rate")).collect();
            tightest(&Settings { limits, ..Settings::default() }, seconds * 1_000_000)
        };
        let both = ["40/s", "250/m"];
        assert_eq!((limit(&both, 32), limit(&both, 2)), (Some(250.0 / 32.0), Some(40.0)));
        assert_eq!((limit(&both, 60), limit(&both, 90)), (Some(250.0 / 60.0), Some(500.0 / 90.0)));
        assert_eq!((limit(&both, 0), limit(&[], 60)), (None, None));
    }
}
