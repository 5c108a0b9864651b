//! The one task that hands permits out, first come first served.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::{Pacer, Queue, Sent, Setback, TICK_US, Turn};
use crate::clock::{Clock, Micros};
use crate::limit::{Allowance, Left, Limit, Wait};

/// A shared queue, and the clock it is served by.
#[derive(Debug)]
pub struct Dispenser {
    state: Mutex<State>,
    changed: Notify,
    /// Held by the first of those that follow a redirect.
    following: tokio::sync::Mutex<()>,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    queue: Queue<oneshot::Sender<Sent>>,
    closed: bool,
    /// Nothing is handed out for now.
    held: bool,
    /// Permits that may still be handed out.
    left: u64,
}

impl State {
    /// No limit holds.
    fn unlimited(&self) -> bool {
        self.queue.limits().is_empty()
    }
}

impl Dispenser {
    /// Hands out what this pacer allows, `most` permits in all.
    #[must_use]
    pub fn new(pacer: Pacer, most: u64, clock: Clock) -> Self {
        let queue = Queue::new(pacer, clock.now_us());
        let state = Mutex::new(State { queue, closed: false, held: false, left: most });
        Self { state, changed: Notify::new(), following: tokio::sync::Mutex::default(), clock }
    }

    /// A poisoned lock is used on: the methods of the queue leave it whole, and a limit must hold whatever else failed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many jobs have been claimed with permits that were forecast; each will come for [`Dispenser::permit`].
    pub fn claimed(&self, permits: usize) {
        self.state().queue.claimed(permits);
    }

    /// Waits until the permit for a request that follows a redirect falls due within the horizon, and tells when: it is then
    /// to be written down, and taken by [`Dispenser::permit`]; [`Micros::MAX`]: no limit holds, so nothing is written down. First
    /// come first served. `None`: the run is stopping, or all permits are used.
    pub async fn follow(&self, horizon_us: Micros) -> Option<Micros> {
        self.state().queue.follow();
        let _first = self.following.lock().await;
        loop {
            let now_us = self.clock.now_us();
            {
                let mut state = self.state();
                if state.closed || state.left == 0 {
                    return None;
                }
                match () {
                    () if state.held => {}
                    () if state.unlimited() => {
                        state.queue.follow_at_once();
                        return Some(Micros::MAX);
                    }
                    () => {
                        if let Some(due_us) = state.queue.follow_due(now_us, horizon_us) {
                            return Some(due_us);
                        }
                    }
                }
            }
            self.clock.sleep_until_us(now_us + TICK_US).await;
        }
    }

    /// Waits for the moment at which a request may be sent under a permit that is void after `void_after_us`;
    /// [`Micros::MAX`]: one that was not written down, as no limit held. `None`: it became void, all permits are used, the run
    /// is stopping or nothing is sent for now; nothing may be sent by it.
    pub async fn permit(&self, void_after_us: Micros) -> Option<Sent> {
        let granted = {
            let mut state = self.state();
            if state.closed || state.left == 0 {
                return None;
            }
            // What was not written down is only good where no limit holds.
            if state.held || (void_after_us == Micros::MAX && !state.unlimited()) {
                state.queue.forgo();
                return None;
            }
            if state.unlimited()
                && let Some(sent) = state.queue.at_once(self.clock.now_us())
            {
                state.left -= 1;
                return Some(sent);
            }
            let (granted, receiver) = oneshot::channel();
            state.queue.join(void_after_us, granted);
            receiver
        };
        self.changed.notify_one();
        granted.await.ok()
    }

    /// Who was to come for a permit that follows a redirect asks anew.
    pub fn forgo(&self) {
        self.state().queue.forgo();
    }

    /// The times at which the next permits fall due that nobody has claimed yet, as [`Pacer::forecast`] tells them.
    #[must_use]
    pub fn forecast(&self, horizon_us: Micros, max: usize) -> Vec<Micros> {
        self.state().queue.forecast(self.clock.now_us(), horizon_us, max)
    }

    /// How many jobs may still be claimed, each with a permit that nobody has claimed yet.
    #[must_use]
    pub fn left(&self) -> u64 {
        let state = self.state();
        state.left.saturating_sub(state.queue.outstanding() as u64)
    }

    /// All permits that there were are used.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.state().left == 0
    }

    /// No limit holds: permits need neither be forecast nor written down.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.state().unlimited()
    }

    /// The request needs a new connection.
    pub fn cold(&self, sent: Sent) {
        self.state().queue.cold(sent);
    }

    /// The head of its response, or an error, was seen. Gives the time from which its permit counts.
    pub fn ended(&self, sent: Sent, now_us: Micros) -> Micros {
        let mut state = self.state();
        let counts_from_us = state.queue.ended(sent, now_us);
        if !state.unlimited() {
            self.changed.notify_one();
        }
        counts_from_us
    }

    /// The server refused a request as one too many: nothing is sent before `until_us`, and where the limit had not been
    /// reached its jitter is doubled. Gives the limits as they are now, and whether they are new.
    pub fn refused(&self, sent: Sent, until_us: Micros) -> (Vec<Limit>, bool) {
        self.state().queue.refused(sent, until_us, self.clock.now_us())
    }

    /// The server answered a request as a server should, whatever it thinks of the job; and what it said is left.
    pub fn well(&self, sent: Sent, allowances: Vec<Allowance>) {
        if self.state().queue.well(sent, allowances) {
            self.changed.notify_one();
        }
    }

    /// A request failed in a way that may pass: what that means, and the limits, to be paused where it means a wait.
    pub fn failed(&self, sent: Sent) -> (Setback, Vec<Limit>) {
        self.state().queue.failed(sent, self.clock.now_us())
    }

    /// A request ended without telling how the server is.
    pub fn unclear(&self, sent: Sent) {
        self.state().queue.unclear(sent, self.clock.now_us());
    }

    /// Hands nothing out for now, or goes on; those who wait are sent away at once.
    pub fn hold(&self, held: bool) {
        let mut state = self.state();
        state.held = held;
        if held {
            drop(state.queue.dismiss(|_| true));
        } else {
            state.queue.rest(self.clock.now_us());
        }
    }

    /// From now on these limits hold; none = as fast as the server answers. Where there was none before, those who wait are
    /// sent away: their permits are not written down.
    pub fn relimit(&self, limits: &[Limit]) {
        let mut state = self.state();
        state.queue.relimit(limits, self.clock.now_us());
        if !state.unlimited() {
            drop(state.queue.dismiss(|void_after_us| void_after_us == Micros::MAX));
        }
        self.changed.notify_one();
    }

    /// The limits as they are now.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        self.state().queue.limits().to_vec()
    }

    /// Why nothing may be sent now: see [`Pacer::wait`].
    #[must_use]
    pub fn wait(&self, now_us: Micros) -> Option<Wait> {
        self.state().queue.wait(now_us)
    }

    /// What is left of long windows now: see [`Pacer::left`].
    #[must_use]
    pub fn left_of_long(&self) -> Vec<Left> {
        self.state().queue.left(self.clock.now_us())
    }

    /// Nobody is served any more; those who wait learn it at once.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        drop(state.queue.clear());
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
        let State { queue, left, .. } = &mut *self.state();
        loop {
            match queue.turn(self.clock.now_us()) {
                Turn::Granted(waiting, sent) => {
                    // Who has gone away in the meantime leaves a permit unused: too few is safe, too many is not.
                    if waiting.send(sent).is_err() {
                        queue.unclear(sent, self.clock.now_us());
                    }
                    *left -= 1;
                    if *left == 0 {
                        drop(queue.clear());
                    }
                }
                Turn::Void(waiting) => drop(waiting), // dropping the sender tells the one who waits
                Turn::Wait(at_us) => return at_us,
            }
        }
    }
}
