//! The one task that hands permits out, first come first served.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::{Pacer, Sent};
use crate::clock::{Clock, Micros};
use crate::limit::Limit;

/// A shared pacer, and those who wait for it.
#[derive(Debug)]
pub struct Dispenser {
    state: Mutex<State>,
    changed: Notify,
    clock: Clock,
    unlimited: bool,
}

#[derive(Debug)]
struct State {
    pacer: Pacer,
    waiting: VecDeque<Waiting>,
    /// Permits claimed and neither used nor void yet: those who wait, and those who are about to.
    claimed: usize,
    closed: bool,
    /// When the dispenser last looked.
    seen_us: Micros,
}

/// The dispenser looks at least this often, so that it notices a standstill of the process.
const TICK_US: Micros = 20_000;

/// A timer later than this was held up by more than itself: the process stood still (SIGSTOP, a suspended machine), or the
/// CPU was elsewhere for long.
const LATE_US: Micros = 10_000;

#[derive(Debug)]
struct Waiting {
    void_after_us: Micros,
    granted: oneshot::Sender<Sent>,
}

impl Dispenser {
    /// Hands out what this pacer allows.
    #[must_use]
    pub fn new(pacer: Pacer, clock: Clock) -> Self {
        let unlimited = pacer.limits().is_empty();
        let state =
            Mutex::new(State { pacer, waiting: VecDeque::new(), claimed: 0, closed: false, seen_us: clock.now_us() });
        Self { state, changed: Notify::new(), clock, unlimited }
    }

    /// A poisoned lock is used on: the pacer's methods leave it whole, and a limit must hold whatever else failed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many jobs have been claimed with permits that were forecast; each will come for [`Dispenser::permit`].
    pub fn claimed(&self, permits: usize) {
        self.state().claimed += permits;
    }

    /// Waits for the moment at which a request may be sent under a permit that is void after `void_after_us`. `None`: it
    /// became void, or the run is stopping; nothing may be sent.
    pub async fn permit(&self, void_after_us: Micros) -> Option<Sent> {
        let granted = {
            let mut state = self.state();
            if state.closed {
                return None;
            }
            if self.unlimited
                && let Some(sent) = state.pacer.send(self.clock.now_us())
            {
                return Some(sent);
            }
            let (granted, receiver) = oneshot::channel();
            state.waiting.push_back(Waiting { void_after_us, granted });
            receiver
        };
        self.changed.notify_one();
        granted.await.ok()
    }

    /// The times at which the next permits fall due that nobody has claimed yet, as [`Pacer::forecast`] tells them.
    #[must_use]
    pub fn forecast(&self, horizon_us: Micros, max: usize) -> Vec<Micros> {
        let state = self.state();
        state.pacer.forecast(self.clock.now_us(), horizon_us, max, state.claimed)
    }

    /// No limit holds: permits need neither be forecast nor written down.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.unlimited
    }

    /// The request needs a new connection.
    pub fn cold(&self, sent: Sent) {
        self.state().pacer.cold(sent);
    }

    /// The head of its response, or an error, was seen. Gives the time from which its permit counts.
    pub fn ended(&self, sent: Sent, now_us: Micros) -> Micros {
        let counts_from_us = self.state().pacer.ended(sent, now_us);
        if !self.unlimited {
            self.changed.notify_one();
        }
        counts_from_us
    }

    /// The server refused a request as one too many: nothing is sent before `until_us`, and where the limit had not been
    /// reached its jitter is doubled. Gives the limits as they are now.
    pub fn refused(&self, sent: Sent, until_us: Micros) -> Vec<Limit> {
        let mut state = self.state();
        state.pacer.refused(sent, self.clock.now_us());
        state.pacer.pause(until_us);
        state.pacer.limits().to_vec()
    }

    /// Nobody is served any more; those who wait learn it at once.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
    }

    /// Serves until it is dropped.
    pub async fn serve(&self) {
        loop {
            let changed = self.changed.notified();
            let at_us = self.serve_due();
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep_until_us(at_us) => {}
            }
        }
    }

    /// Serves all whose moment has come, and tells when to look again.
    fn serve_due(&self) -> Micros {
        let state = &mut *self.state();
        let now_us = self.clock.now_us();
        if now_us - state.seen_us > TICK_US + LATE_US {
            // What took its permit before may leave the machine only now.
            state.pacer.stalled(now_us);
        }
        state.seen_us = now_us;
        self.serve_waiting(state).unwrap_or(Micros::MAX).min(now_us + TICK_US)
    }

    /// Serves those who wait; gives when the first of them can be served, `None` = something must happen first.
    fn serve_waiting(&self, state: &mut State) -> Option<Micros> {
        loop {
            let now_us = self.clock.now_us();
            let void_after_us = state.waiting.front()?.void_after_us;
            if void_after_us < now_us {
                state.waiting.pop_front(); // dropping the sender tells the one who waits
                state.claimed = state.claimed.saturating_sub(1);
                continue;
            }
            match state.pacer.earliest(now_us) {
                Some(at_us) if at_us <= now_us => {
                    let sent = state.pacer.send(now_us)?;
                    let first = state.waiting.pop_front()?;
                    state.claimed = state.claimed.saturating_sub(1);
                    // Who has gone away in the meantime leaves a permit unused: too few is safe, too many is not.
                    let _ = first.granted.send(sent);
                }
                at_us => return at_us,
            }
        }
    }
}
