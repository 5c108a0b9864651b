//! Signs of life, and what they say of the wall clock.

use crate::clock::{BootTime, Micros, SECOND_US};
use crate::limit::Limit;

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// When.
    pub at_us: Micros,
    /// The same on the clock that nobody sets.
    pub boot: Option<BootTime>,
}

/// What became of the wall clock since the last sign of life of the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WallClock {
    /// Nothing, as far as can be known.
    #[default]
    Same,
    /// It was set forward by so much, or back where negative; permits and pauses were moved along.
    Set(Micros),
    /// The machine was booted so long ago, after that; what happened to the clock in between is not known. So it is where no
    /// sign of life is kept: power that is lost may take every commit that was not yet durable, the first run's too.
    Rebooted(Micros),
}

impl WallClock {
    /// How far a time of the last run is to be moved.
    #[must_use]
    pub fn step_us(self) -> Micros {
        if let Self::Set(step_us) = self { step_us } else { 0 }
    }
    /// After a boot nobody knows what the wall clock did before: what was sent just before that may still count. A window is
    /// waited for, at most a minute, of which the machine has been up for some. 0 = there is no such wait.
    #[must_use]
    pub fn rest_until_us(self, limits: &[Limit], now_us: Micros) -> Micros {
        const MOST_US: Micros = 60 * SECOND_US;
        let Self::Rebooted(up_us) = self else { return 0 };
        let window_us = limits.iter().map(|limit| limit.window_us.min(MOST_US)).max().unwrap_or(0);
        now_us + (window_us - up_us).max(0)
    }
}
