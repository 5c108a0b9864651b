//! governor as it comes, in the place of the rule: what the rule is compared with.

use std::time::Duration;

use governor::clock::{Clock, FakeRelativeClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use haul::clock::{Micros, micros, span};
use haul::limit::Limit;

type Limiter = RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Nanos>>;

/// Its own quota of each limit: a burst of N, and N more within the window.
pub(super) struct Governor {
    limiters: Vec<Limiter>,
    clock: FakeRelativeClock,
    seen_us: Micros,
}

impl Governor {
    pub(super) fn new(limits: &[Limit], now_us: Micros) -> Self {
        let clock = FakeRelativeClock::default();
        let limiter = |limit: &Limit| {
            let period = Duration::from_micros(limit.window_us.unsigned_abs()) / limit.permits;
            let permits = limit.permits.try_into().expect("at least one");
            let quota = Quota::with_period(period).expect("a period").allow_burst(permits);
            RateLimiter::direct_with_clock(quota, clock.clone())
        };
        Self { limiters: limits.iter().map(limiter).collect(), clock, seen_us: now_us }
    }

    /// Lets one go now, or says how long to wait.
    pub(super) fn wait_us(&mut self, now_us: Micros) -> Option<Micros> {
        self.clock.advance(span(now_us - self.seen_us));
        self.seen_us = now_us;
        let early = self.limiters.iter().find_map(|limiter| limiter.check().err())?;
        Some(1 + micros(early.wait_time_from(self.clock.now())))
    }
}

impl std::fmt::Debug for Governor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Governor").finish_non_exhaustive()
    }
}
