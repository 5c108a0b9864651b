//! What a seed draws once for a whole life.

use std::ops::Range;

use haul::clock::{Micros, SECOND_US};
use haul::limit::Limit;

use crate::random_numbers::Random;

/// Limits a life may have to keep.
pub(crate) const LIMITS: [&[&str]; 7] =
    [&["2/s"], &["3/500ms"], &["5/s"], &["5/s", "60/m"], &["20/s"], &["20/s", "30/10s"], &["200/s"]];

/// The jitter of the rule, less what it takes to let a request go.
const MOST_ONE_WAY_US: Micros = 18_000;

/// A guard that is taken out, to show that the checks see what it is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    /// All guards are in place.
    Nothing,
    /// A start knows nothing of the permits that earlier runs used: the pace alone, as governor would do it.
    Spends,
    /// A permit that was used late stays written down as it was claimed.
    LatePermits,
    /// A recovery leaves the permits of interrupted requests where they were written down.
    MovedPermits,
    /// A connection that has to be opened counts as open.
    ColdConnections,
    /// A start does not know how long the server asked to wait.
    Pauses,
    /// A place is free before the outcome is committed.
    Places,
    /// Whoever lost a lease writes as if he held it.
    Fence,
    /// A 429 is held against the job.
    Mercy,
}

/// How the server and the network behave, and what the process is told to keep. Spans are drawn evenly.
#[derive(Debug, Clone)]
pub(crate) struct Nature {
    pub(crate) limits: Vec<Limit>,
    /// Jobs between claim and commit, at most.
    pub(crate) slots: usize,
    /// Different keys that may be imported.
    pub(crate) keys: usize,
    /// Each way. Requests overtake each other by less than the jitter of the rule.
    pub(crate) one_way_us: Range<Micros>,
    /// From arrival to answer.
    pub(crate) serve_us: Range<Micros>,
    /// Of a hundred requests, so many open a connection, and how long that takes.
    pub(crate) cold: (usize, Range<Micros>),
    /// Of a hundred requests, so many are answered with a 429.
    pub(crate) throttled: usize,
    /// Of a hundred requests, so many fail otherwise.
    pub(crate) failing: usize,
    /// Of a thousand permits, so many are followed by a standstill.
    pub(crate) standstills: usize,
    /// Some jobs kill the process that works on them.
    pub(crate) poison: bool,
    pub(crate) without: Without,
}

impl Nature {
    /// Anything may happen.
    pub(crate) fn wild(random: &mut Random, without: Without) -> Self {
        let quick = random.percent(50);
        let (one_way_us, serve_us) = if quick { (0..400, 0..2_000) } else { (0..MOST_ONE_WAY_US, 0..600_000) };
        Self {
            limits: limits(LIMITS[random.below(LIMITS.len())]),
            slots: 1 + random.below(8),
            keys: 40,
            one_way_us,
            serve_us,
            cold: ([0, 10, 50][random.below(3)], 1_000..3 * SECOND_US),
            throttled: [0, 0, 3, 20][random.below(4)],
            failing: [0, 5, 20][random.below(3)],
            standstills: random.below(20),
            poison: random.percent(50),
            without,
        }
    }

    /// The server does what it is asked, soon.
    pub(crate) fn honest(self) -> Self {
        Self { serve_us: 1_000..50_000, cold: (2, 1_000..20_000), throttled: 0, failing: 0, standstills: 0, ..self }
    }

    /// As many jobs as can be sent, and places for all that is in flight.
    pub(crate) fn plenty(random: &mut Random, rates: &[&str]) -> Self {
        let wild = Self::wild(random, Without::Nothing);
        Self { limits: limits(rates), slots: 64, keys: 220, poison: false, ..wild.honest() }
    }

    /// The time in which about so many permits fall due.
    pub(crate) fn time_of(&self, permits: usize) -> Micros {
        let slowest = self.limits.iter().map(|limit| limit.window_us / Micros::from(limit.permits)).min();
        slowest.unwrap_or(1_000) * permits as Micros
    }
}

fn limits(rates: &[&str]) -> Vec<Limit> {
    rates.iter().map(|rate| rate.parse().expect("a rate")).collect()
}
