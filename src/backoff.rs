//! How long a failed job waits before its next try.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Micros, micros};

/// Exponential backoff with full jitter: the wait before try `n + 1` is uniform in `0 ..= min(ceiling, base * 2^(n-1))`.
///
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: of the variants compared there, full
/// jitter needs the fewest calls in the least time where many clients meet one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Upper bound of the first wait.
    pub base: Duration,
    /// Upper bound of every wait.
    pub ceiling: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(250), ceiling: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The wait after the `failures`-th failure (from 1), for a `chance` in `0.0 ..= 1.0`.
    #[must_use]
    pub fn wait_us(&self, failures: u32, chance: f64) -> Micros {
        let doublings = failures.saturating_sub(1).min(32); // 2^32 times any base is beyond every ceiling in use
        let bound = micros(self.base).saturating_mul(1 << doublings).min(micros(self.ceiling));
        (bound as f64 * chance.clamp(0.0, 1.0)) as Micros
    }
}

/// A number in `0.0 ..< 1.0` that looks random and depends on nothing but its arguments (SplitMix64, Steele et al. 2014).
///
/// Decisions take their randomness from here, so that a simulation replays them bit for bit.
#[must_use]
pub fn chance(seed: u64, job: i64, attempt: u32) -> f64 {
    let mut z = seed ^ (job as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(attempt).rotate_left(32);
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_ceiling() {
        let backoff = Backoff { base: Duration::from_millis(100), ceiling: Duration::from_secs(1) };
        let bounds: Vec<_> = (1..=6).map(|n| backoff.wait_us(n, 1.0)).collect();
        assert_eq!(bounds, [100_000, 200_000, 400_000, 800_000, 1_000_000, 1_000_000]);
        assert_eq!(backoff.wait_us(u32::MAX, 1.0), 1_000_000);
    }

    #[test]
    fn chances_fill_the_unit_interval_evenly() {
        let mean = (0..10_000).map(|job| chance(7, job, 1)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
        assert!((0..10_000).all(|job| (0.0..1.0).contains(&chance(7, job, 2))));
    }
}
