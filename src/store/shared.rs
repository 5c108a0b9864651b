//! What a run has to heed beyond the verbs of its store, where many workers share one.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::Micros;

/// A worker that could give no sign of life for so long sends nothing more: a little later it is taken for dead.
const MARGIN_US: Micros = 10_000_000;

/// What the last verbs of a shared store found out. A moment old is new enough, so the order of these does not matter.
#[derive(Debug)]
pub struct Shared {
    next_permit_us: AtomicI64,
    beaten_us: AtomicI64,
    #[cfg(feature = "postgres")]
    skew_us: AtomicI64,
    #[cfg(feature = "postgres")]
    lead_us: AtomicI64,
}

impl Default for Shared {
    fn default() -> Self {
        let beaten_us = AtomicI64::new(Micros::MAX - MARGIN_US); // before the run begins nobody waits for a sign
        Self {
            next_permit_us: AtomicI64::new(0),
            beaten_us,
            #[cfg(feature = "postgres")]
            skew_us: AtomicI64::new(0),
            #[cfg(feature = "postgres")]
            lead_us: AtomicI64::new(0),
        }
    }
}

impl Shared {
    /// A claim before this time gets no permit: those of the next while are taken. 0 = as far as is known, it does.
    #[must_use]
    pub fn next_permit_us(&self) -> Micros {
        self.next_permit_us.load(Ordering::Relaxed)
    }

    /// Nothing may be sent after this time, unless there is another sign of life before.
    #[must_use]
    pub fn send_until_us(&self) -> Micros {
        self.beaten_us.load(Ordering::Relaxed) + MARGIN_US
    }
}

/// What the store finds out.
#[cfg(feature = "postgres")]
impl Shared {
    /// The clock of this worker is ahead of the server's by so much, as far as that matters.
    pub(super) fn skew_us(&self) -> Micros {
        self.skew_us.load(Ordering::Relaxed)
    }

    /// What a claim takes, as far as is known: its permits are to fall due when it is durable, not before.
    pub(super) fn lead_us(&self) -> Micros {
        self.lead_us.load(Ordering::Relaxed)
    }

    /// A claim took so long.
    pub(super) fn took(&self, took_us: Micros) {
        const MOST_US: Micros = 1_000_000;
        self.lead_us.store((3 * self.lead_us() + took_us.clamp(0, MOST_US)) / 4, Ordering::Relaxed);
    }

    pub(super) fn permit_from(&self, at_us: Micros) {
        self.next_permit_us.store(at_us, Ordering::Relaxed);
    }

    /// A sign of life was given, no sooner than this.
    pub(super) fn beaten(&self, at_us: Micros) {
        self.beaten_us.store(at_us, Ordering::Relaxed);
    }

    /// The server's clock was read between these two times of our own. What the way there takes is no skew.
    pub(super) fn compare(&self, before_us: Micros, server_us: Micros, after_us: Micros) {
        const LEAST_US: Micros = 50_000; // less is the way there, and the drift of clocks, which J stands for
        let skew_us = self.skew_us();
        let (least_us, most_us) = (before_us - server_us, after_us - server_us);
        if skew_us < least_us - LEAST_US || skew_us > most_us + LEAST_US {
            self.skew_us.store((least_us + most_us) / 2, Ordering::Relaxed);
        }
    }
}

/// What became of a permit for one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It is written down as it was given.
    Written,
    /// It is written down with other times: it falls due then, and is void after the second.
    At(Micros, Micros),
    /// The lease is no longer ours: nothing may be sent.
    Stale,
    /// None is to be had within the next moment; to be asked for again.
    Early,
}
