//! Time, as a value. The only module that reads a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in microseconds since 1970-01-01 UTC, or a span in microseconds where the name says `_us` alone.
pub type Micros = i64;

/// Microseconds in a second.
pub const SECOND_US: Micros = 1_000_000;

/// The clock of one process: the wall clock as it was read once, plus the monotonic time since.
///
/// Steps of the wall clock while a run is going therefore change neither pace nor durations, and no duration is negative.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: tokio::time::Instant,
    origin_us: Micros,
}

impl Clock {
    /// Reads the wall clock, once.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where clocks are read")]
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { origin: tokio::time::Instant::now(), origin_us: micros(wall) }
    }

    /// Now, never less than what it was before.
    #[must_use]
    pub fn now_us(&self) -> Micros {
        self.origin_us + micros(self.origin.elapsed())
    }

    /// Returns when `at_us` has come. The timer may be up to a millisecond late.
    pub async fn sleep_until_us(&self, at_us: Micros) {
        tokio::time::sleep_until(self.origin + span(at_us - self.origin_us)).await;
    }
}

/// A duration in whole microseconds; beyond 292,000 years it saturates.
#[must_use]
pub fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// The opposite of [`micros`]; a negative span is none.
#[must_use]
pub fn span(us: Micros) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}
