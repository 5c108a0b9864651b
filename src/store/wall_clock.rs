//! Signs of life, and what they say of the wall clock.

use crate::clock::{BootTime, Micros};

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
    /// The machine was booted so long ago, after that; what happened to the clock in between is not known.
    Rebooted(Micros),
}

impl WallClock {
    /// How far a time of the last run is to be moved.
    #[must_use]
    pub fn step_us(self) -> Micros {
        if let Self::Set(step_us) = self { step_us } else { 0 }
    }
}
