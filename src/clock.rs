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

    /// A clock that shows this time now: that of a server, by which many machines go.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where clocks are read")]
    pub fn set(origin_us: Micros) -> Self {
        Self { origin: tokio::time::Instant::now(), origin_us }
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

/// A reading of the clock that nobody sets: the time since the machine was booted, suspended time included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootTime {
    /// Which boot.
    pub boot: String,
    /// Since then.
    pub us: Micros,
}

impl BootTime {
    /// The reading now, to 10 ms; `None` where the system does not tell (CLOCK_BOOTTIME of Linux, through `/proc`).
    #[must_use]
    pub fn read() -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        let seconds: f64 = uptime.split(' ').next()?.parse().ok()?;
        Some(Self { boot, us: (seconds * SECOND_US as f64) as Micros })
    }
}

/// By how much the wall clock was set forward, or back where negative, between two readings of both clocks. `None`: the
/// machine was booted anew in between, and nobody knows.
#[must_use]
pub fn wall_step(then_us: Micros, then: &BootTime, now_us: Micros, now: &BootTime) -> Option<Micros> {
    (then.boot == now.boot).then(|| (now_us - then_us).saturating_sub(now.us - then.us))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(boot: &str, us: Micros) -> BootTime {
        BootTime { boot: boot.to_owned(), us }
    }

    #[test]
    fn a_wall_clock_that_was_set_is_seen_within_one_boot_and_not_across_two() {
        let then = boot("a", 500);
        assert_eq!(wall_step(1_000, &then, 1_300, &boot("a", 800)), Some(0));
        assert_eq!(wall_step(1_000, &then, 4_300, &boot("a", 800)), Some(3_000));
        assert_eq!(wall_step(1_000, &then, 900, &boot("a", 800)), Some(-400));
        assert_eq!(wall_step(1_000, &then, 1_300, &boot("b", 800)), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_the_time_since_its_boot() {
        let (one, two) = (BootTime::read().expect("a reading"), BootTime::read().expect("a reading"));
        assert!(one.boot == two.boot && !one.boot.is_empty() && 0 < one.us && one.us <= two.us);
    }
}
