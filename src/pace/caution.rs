//! How refusals change the pace: strictly even and a little slower for good, much slower for a while.
//!
//! A server that refuses although every limit is kept counts in another way: in neighbouring windows, or request by
//! request. It is not told by the spread of the network alone, so each doubling of J also takes the catching up away and
//! leaves a share of the pace unused. What remains is the usual additive increase after a multiplicative decrease.

use crate::clock::{Micros, SECOND_US};
use crate::limit::Limit;

/// A refusal leaves so much of the pace.
const LEFT_BY_A_REFUSAL: f64 = 0.7;

/// Every second without another gives so much of the limit back.
const GROWTH_A_SECOND: f64 = 0.01;

/// The pace never falls below this share.
const LEAST: f64 = 0.01;

/// Each doubling of J leaves at most so much for good: an even sender at 19 of 20 is never refused by a server that counts in
/// two neighbouring windows, and 4 ms in 50 are more than timers spread.
const LEFT_BY_A_DOUBLING: f64 = 0.92;

/// What refusals have made of the pace of one limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caution {
    /// Between two requests, at full pace.
    period_us: f64,
    /// How often J was doubled, in this run and before.
    doublings: u32,
    /// Share of the pace at `since_us`.
    share: f64,
    since_us: Micros,
}

impl Caution {
    /// None yet, but for a J that was doubled so often before.
    pub(super) fn new(limit: &Limit, doublings: u32) -> Self {
        let period_us = limit.window_us as f64 / f64::from(limit.permits.max(1));
        Self { period_us, doublings, share: 1.0, since_us: 0 }
    }

    /// A request was refused, and J doubled for it, or not.
    pub(super) fn refused(&mut self, doubled: bool, now_us: Micros) {
        self.doublings += u32::from(doubled);
        // The first refusal is answered by the spread alone; those after it say that this was not enough.
        if self.doublings > 1 || !doubled {
            self.share = (self.share(now_us) * LEFT_BY_A_REFUSAL).max(LEAST);
            self.since_us = now_us;
        }
    }

    /// Nothing grows back during a pause.
    pub(super) fn paused(&mut self, until_us: Micros) {
        self.since_us = self.since_us.max(until_us);
    }

    /// Two requests are sent at least so far apart; 0 = the rule alone says when.
    pub(super) fn gap_us(&self, now_us: Micros) -> Micros {
        let share = self.share(now_us);
        if share >= 1.0 { 0 } else { (self.period_us / share).ceil() as Micros }
    }

    fn share(&self, now_us: Micros) -> f64 {
        let clean_s = (now_us - self.since_us).max(0) as f64 / SECOND_US as f64;
        let most = LEFT_BY_A_DOUBLING.powi(self.doublings.min(50) as i32).max(LEAST);
        (self.share + GROWTH_A_SECOND * clean_s).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_700_000_000_000_000;

    fn caution(doublings: u32) -> Caution {
        Caution::new(&"20/s".parse().unwrap(), doublings)
    }

    #[test]
    fn without_a_refusal_the_rule_alone_says_when() {
        assert_eq!(caution(0).gap_us(NOW), 0);
    }

    #[test]
    fn the_first_refusal_makes_the_pace_strict_and_a_later_one_slow() {
        let mut caution = caution(0);
        caution.refused(true, NOW);
        assert_eq!(caution.gap_us(NOW), 54_348);
        caution.refused(false, NOW);
        assert_eq!(caution.gap_us(NOW), 77_640, "0.7 of 0.92");
        assert_eq!(caution.gap_us(NOW + 10 * SECOND_US), 67_205, "and a tenth more");
        assert_eq!(caution.gap_us(NOW + 60 * SECOND_US), 54_348);
    }

    #[test]
    fn a_pause_is_no_clean_time() {
        let mut caution = caution(2);
        caution.refused(false, NOW);
        let slow_us = caution.gap_us(NOW);
        caution.paused(NOW + 60 * SECOND_US);
        assert_eq!(caution.gap_us(NOW + 60 * SECOND_US), slow_us);
    }

    #[test]
    fn what_was_learned_before_holds_from_the_start_and_no_pace_stops() {
        assert_eq!(caution(1).gap_us(NOW), 54_348);
        let mut caution = caution(0);
        (0..1_000).for_each(|_| caution.refused(true, NOW));
        assert_eq!(caution.gap_us(NOW), 5_000_000);
    }
}
