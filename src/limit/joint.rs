//! Limits that many workers share: when the next permits of all of them fall due. Pure; the store asks it under a lock.
//!
//! A permit that is written down may be used from the time at which it falls due until it is void, and its request arrives at most J
//! later. One more may fall due at `e` where fewer than N of those that are written down are void after `e - W - J`.
//!
//! No half-open window at the server then holds more than N. Proof: take N + 1 requests that arrive within less than W, and of them
//! the one whose permit was written down last, due at `e`. It arrives no sooner than `e`, so each of the others arrives after `e - W`, and
//! is void after `e - W - J`. That makes N when the last was asked for, and none was to be had.

use super::Limit;
use crate::clock::Micros;

/// Permits are handed out so far ahead.
pub const HORIZON_US: Micros = 100_000;

/// How long after it falls due a permit may be used.
pub const SLACK_US: Micros = 30_000;

/// Times after which permits are void are rounded up to this, so that many share one row.
const ROUND_US: Micros = 5_000;

/// No worker is so slow that its permits fall due later than this.
const FURTHEST_US: Micros = 2_000_000;

/// A pace that nobody kept for so long has nothing to make up for.
const CATCH_UP_US: Micros = 50_000;

/// A limit as it stands for all workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    /// The limit.
    pub limit: Limit,
    /// The server asked to wait until then.
    pub paused_until_us: Micros,
    /// When the last permit that was handed out falls due.
    pub paced_until_us: Micros,
    /// Permits that count, by the time at which they no longer do.
    pub counting: Vec<(Micros, u64)>,
}

/// What may be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// When each falls due.
    pub due_us: Vec<Micros>,
    /// When the one after them does, as far as is known.
    pub next_us: Micros,
}

/// The time after which a permit is void that falls due then.
#[must_use]
pub fn void_after(due_us: Micros) -> Micros {
    let until_us = due_us.saturating_add(SLACK_US);
    until_us.saturating_add((ROUND_US - until_us.rem_euclid(ROUND_US)) % ROUND_US)
}

/// At most `most` permits that fall due before [`HORIZON_US`] is over, each counted in every limit; the first limit is paced evenly.
#[must_use]
pub fn schedule(limits: &[Joint], most: usize, now_us: Micros) -> Schedule {
    let paused_until_us = limits.iter().map(|joint| joint.paused_until_us).max().unwrap_or(0);
    let period_us = limits.first().map_or(0, |joint| period_us(&joint.limit));
    let mut last_us = limits.first().map_or(now_us, |joint| joint.paced_until_us);
    if last_us < now_us - CATCH_UP_US - period_us || last_us < paused_until_us {
        last_us = now_us.max(paused_until_us) - period_us;
    }
    let mut schedule = Schedule { due_us: Vec::new(), next_us: now_us };
    loop {
        // A pace that was written down before the server's clock was set back is not waited for.
        let paced_us = last_us.min(now_us.max(paused_until_us) + FURTHEST_US + period_us) + period_us;
        schedule.next_us = free_us(limits, &schedule.due_us, now_us.max(paused_until_us).max(paced_us));
        if schedule.due_us.len() == most || schedule.next_us > now_us + HORIZON_US {
            return schedule;
        }
        schedule.due_us.push(schedule.next_us);
        // Late by less than is made up for, the pace goes on as if it had been kept.
        last_us = if schedule.next_us - paced_us > CATCH_UP_US { schedule.next_us } else { paced_us };
    }
}

/// Between two permits of an even pace.
fn period_us(limit: &Limit) -> Micros {
    limit.window_us / Micros::from(limit.permits.max(1))
}

/// The earliest time from `at_us` on at which every limit has one left, beside those that are planned.
fn free_us(limits: &[Joint], planned: &[Micros], mut at_us: Micros) -> Micros {
    loop {
        let later_us = limits.iter().map(|joint| joint.free_us(planned, at_us)).max().unwrap_or(at_us);
        if later_us <= at_us {
            return at_us;
        }
        at_us = later_us;
    }
}

impl Joint {
    /// `at_us` where one is left then; else the next time at which fewer count.
    fn free_us(&self, planned: &[Micros], at_us: Micros) -> Micros {
        let counts_for_us = self.limit.window_us + self.limit.jitter_us;
        let planned = planned.iter().map(|due_us| (void_after(*due_us).saturating_add(counts_for_us), 1));
        let kept = self.counting.iter().copied().chain(planned).filter(|(free_us, _)| *free_us > at_us);
        let used: u64 = kept.clone().map(|(_, permits)| permits).sum();
        if used < u64::from(self.limit.permits) {
            at_us
        } else {
            kept.map(|(free_us, _)| free_us).min().unwrap_or(at_us)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND_US;

    const NOW: Micros = 1_700_000_000_000_000;

    fn joint(rate: &str) -> Joint {
        let limit = rate.parse().expect("a rate");
        Joint { limit, paused_until_us: 0, paced_until_us: 0, counting: Vec::new() }
    }

    #[test]
    fn permits_fall_due_evenly_and_no_further_ahead_than_the_horizon() {
        let schedule = schedule(&[joint("20/s")], 10, NOW);
        assert_eq!(schedule.due_us, [NOW, NOW + 50_000, NOW + 100_000]);
        assert_eq!(schedule.next_us, NOW + 150_000);
        let none = super::schedule(&[Joint { paced_until_us: NOW + 100_000, ..joint("20/s") }], 10, NOW);
        assert_eq!((none.due_us, none.next_us), (Vec::new(), NOW + 150_000), "they are taken");
    }

    // Seen failing with what is written down left out of account.
    #[test]
    fn a_full_window_hands_nothing_out_until_something_leaves_it() {
        let counting = vec![(NOW + 40_000, 1), (NOW + 700_000, 19)];
        let schedule = schedule(&[Joint { counting, ..joint("20/s") }], 10, NOW);
        assert_eq!((schedule.due_us, schedule.next_us), (vec![NOW + 40_000], NOW + 700_000));
    }

    #[test]
    fn every_limit_and_every_pause_holds() {
        let hour = Joint { counting: vec![(NOW + SECOND_US, 10)], ..joint("10/h") };
        assert_eq!(schedule(&[joint("20/s"), hour], 5, NOW).next_us, NOW + SECOND_US);
        let paused = Joint { paused_until_us: NOW + 5 * SECOND_US, ..joint("20/s") };
        assert_eq!(schedule(&[paused], 5, NOW), Schedule { due_us: Vec::new(), next_us: NOW + 5 * SECOND_US });
        let over = Joint { paused_until_us: NOW, paced_until_us: NOW - SECOND_US, ..joint("20/s") };
        assert_eq!(schedule(&[over], 1, NOW).due_us, [NOW], "and nothing is saved up");
    }

    #[test]
    fn a_little_lateness_is_made_up_for_and_a_pause_is_not() {
        let late = Joint { paced_until_us: NOW - 20_000, ..joint("200/s") };
        assert_eq!(schedule(&[late], 5, NOW).due_us, [NOW, NOW, NOW, NOW, NOW + 5_000]);
        let idle = Joint { paced_until_us: NOW - SECOND_US, ..joint("200/s") };
        assert_eq!(schedule(&[idle], 2, NOW).due_us, [NOW, NOW + 5_000]);
    }

    #[test]
    fn without_a_limit_all_is_due_at_once() {
        assert_eq!(schedule(&[], 3, NOW).due_us, [NOW; 3]);
    }
}
