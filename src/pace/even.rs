//! The even pace, carried by governor's GCRA: permits of one limit fall due `window / permits` apart.
//!
//! governor is meant to own its state and to read a clock. Here both are values, so that the pace is a function of the time it
//! is given: a forecast works on a copy.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::clock::Micros;
use crate::limit::Limit;

/// How much lateness of its sends a fast pace makes up for: timers and a busy scheduler take a few milliseconds.
const TOLERANCE_NS: u64 = 20_000_000;

/// Times further away than this are all the same here; it keeps governor's unchecked sums within 64 bits.
const FAR_US: Micros = 100 * 366 * 24 * 3600 * 1_000_000;

/// When the next permit of an even pace falls due. A copy is a hypothesis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Even {
    quota: Quota,
    origin_us: Micros,
    /// GCRA's theoretical arrival time, since `origin_us`.
    tat: Nanos,
}

impl Even {
    /// The pace of a limit. The first permit falls due at `now_us`, and nothing is saved up by then.
    pub(super) fn new(limit: &Limit, now_us: Micros) -> Self {
        let window = Duration::from_micros(u64::try_from(limit.window_us).unwrap_or(1));
        let period = (window / limit.permits.max(1)).max(Duration::from_nanos(1));
        let period_ns = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let burst = u32::try_from(TOLERANCE_NS.div_ceil(period_ns)).unwrap_or(u32::MAX).max(2);
        // Neither default is reached: `period` is at least 1 ns and `burst` at least 2.
        let quota = Quota::with_period(period)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
        let mut even = Self { quota, origin_us: now_us, tat: Nanos::new(0) };
        even.rest(now_us);
        even
    }

    /// Forgets what was saved up: the next permit falls due at `until_us` or later, and those after it a period apart.
    pub(super) fn rest(&mut self, until_us: Micros) {
        let tolerance = self.quota.replenish_interval() * (self.quota.burst_size().get() - 1);
        self.tat = self.tat.max(self.since_origin(until_us) + Nanos::from(tolerance));
    }

    /// Takes the permit that is due at `at_us`, or says when the next one is: after `at_us`.
    pub(super) fn take(&mut self, at_us: Micros) -> Result<(), Micros> {
        if at_us.saturating_sub(self.origin_us) >= FAR_US {
            return Ok(());
        }
        let limiter: RateLimiter<NotKeyed, Tat, Stopped, NoOpMiddleware<Nanos>> =
            RateLimiter::new(self.quota, Tat(Cell::new(self.tat)), Stopped(Cell::new(Nanos::new(0))));
        // A limiter counts from the time at which it was made; this one is made at `origin_us` each time.
        limiter.clock().0.set(self.since_origin(at_us));
        match limiter.check() {
            Ok(()) => {
                self.tat = limiter.into_state_store().0.get();
                Ok(())
            }
            Err(early) => Err(self.origin_us.saturating_add(ceil_us(early.earliest_possible()))),
        }
    }

    fn since_origin(&self, at_us: Micros) -> Nanos {
        let us = at_us.saturating_sub(self.origin_us).clamp(0, FAR_US);
        Nanos::new(us.unsigned_abs() * 1_000)
    }
}

fn ceil_us(ns: Nanos) -> Micros {
    Micros::try_from(ns.as_u64().div_ceil(1_000)).unwrap_or(Micros::MAX)
}

/// A clock that shows what it was set to.
struct Stopped(Cell<Nanos>);

impl Clock for Stopped {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

/// The state of one limiter.
struct Tat(Cell<Nanos>);

impl StateStore for Tat {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, tat) = decide(Some(self.0.get()))?;
        self.0.set(tat);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_700_000_000_000_000;

    fn even(rate: &str) -> Even {
        Even::new(&rate.parse().unwrap(), NOW)
    }

    /// The permits taken one after the other, each as soon as it is due but not before `from`, since `NOW`.
    fn dues(even: &mut Even, from: Micros, count: usize) -> Vec<Micros> {
        let mut at = NOW + from;
        let mut next = || {
            while let Err(due) = even.take(at) {
                assert!(due > at);
                at = due;
            }
            at - NOW
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_start_has_nothing_saved_up() {
        assert_eq!(dues(&mut even("20/s"), 0, 4), [0, 50_000, 100_000, 150_000]);
        assert_eq!(dues(&mut even("2000/s"), 0, 4), [0, 500, 1_000, 1_500]);
        assert_eq!(dues(&mut even("3/500ms"), 0, 4), [0, 166_667, 333_334, 500_000]);
    }

    #[test]
    fn a_late_send_moves_no_later_one() {
        let mut even = even("20/s");
        assert_eq!(dues(&mut even, 0, 2), [0, 50_000]);
        assert_eq!(dues(&mut even, 130_000, 3), [130_000, 150_000, 200_000]);
    }

    #[test]
    fn twenty_milliseconds_of_a_fast_pace_are_made_up_for() {
        let mut even = even("2000/s");
        dues(&mut even, 0, 1);
        let late = dues(&mut even, 19_000, 40);
        assert_eq!(late[37], 19_000);
        assert_eq!(late[39], 20_000);
    }

    #[test]
    fn a_long_silence_saves_up_no_more_than_the_tolerance() {
        assert_eq!(dues(&mut even("20/s"), 60_000_000, 3), [60_000_000, 60_000_000, 60_050_000]);
    }

    #[test]
    fn a_rest_forgets_what_was_saved_up() {
        let mut even = even("20/s");
        even.rest(NOW + 60_000_000);
        assert_eq!(dues(&mut even, 60_000_000, 3), [60_000_000, 60_050_000, 60_100_000]);
    }

    #[test]
    fn no_rate_and_no_time_divides_by_zero_or_overflows() {
        for rate in ["4294967295/1ms", "1/366d", "4294967295/366d", "1/1ms", "100000000/d"] {
            let mut even = even(rate);
            assert_eq!(even.take(NOW), Ok(()), "{rate}");
            even.rest(Micros::MAX);
            let due = even.take(NOW).unwrap_err();
            assert!(due > NOW, "{rate}");
            assert_eq!(even.take(Micros::MIN), Err(due), "{rate}");
            assert_eq!(even.take(due), Ok(()), "{rate}");
            assert_eq!(even.take(Micros::MAX), Ok(()), "{rate}");
        }
    }
}
