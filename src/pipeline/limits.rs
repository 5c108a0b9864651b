//! What the limits that are kept tell a run that begins.

use crate::clock::{Micros, SECOND_US};
use crate::limit::Limit;
use crate::store::WallClock;

/// After a boot nobody knows what the wall clock did before: what was sent just before that may still count. A window is
/// waited for, at most a minute, of which the machine has been up for some.
pub(super) fn rest_after_boot(wall_clock: WallClock, limits: &[Limit], now_us: Micros) -> Micros {
    const MOST_US: Micros = 60 * SECOND_US;
    let WallClock::Rebooted(up_us) = wall_clock else { return 0 };
    let window_us = limits.iter().map(|limit| limit.window_us.min(MOST_US)).max().unwrap_or(0);
    now_us + (window_us - up_us).max(0)
}

/// How often J was doubled since it was given, as far as the limit that is paced is concerned.
pub(super) fn doublings(given: &[Limit], kept: &[Limit]) -> u32 {
    let shortest = kept.iter().min_by_key(|limit| (limit.window_us, limit.permits));
    let doublings = |kept: &Limit| {
        let given_us = given.iter().find(|given| given.name == kept.name)?.jitter_us.max(1);
        (kept.jitter_us / given_us).checked_ilog2()
    };
    shortest.and_then(doublings).unwrap_or(0)
}
