//! Jobs whose response is stored, waiting for a CPU thread.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::journey::Traveller;
use crate::clock::Micros;

/// First come, first served, by any thread that is free. Bounded by the places of a run: whoever stands here has one.
#[derive(Default)]
pub(super) struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    /// With the time since when they wait.
    waiting: VecDeque<(Traveller, Micros)>,
    /// Those who serve it.
    serving: usize,
}

impl Line {
    /// These wait from now on; gives how many more are to begin to serve, where there are to be `most` at once.
    pub(super) fn join(&self, jobs: impl IntoIterator<Item = Traveller>, now_us: Micros, most: usize) -> usize {
        let mut state = self.state();
        state.waiting.extend(jobs.into_iter().map(|job| (job, now_us)));
        let more = most.min(state.waiting.len()).saturating_sub(state.serving);
        state.serving += more;
        more
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Who is next.
    pub(super) fn next(&self) -> Option<(Traveller, Micros)> {
        self.state().waiting.pop_front()
    }

    /// Whoever serves may end, as nobody waits. One that joins later has somebody else begin.
    pub(super) fn is_over(&self) -> bool {
        let mut state = self.state();
        let over = state.waiting.is_empty();
        state.serving -= usize::from(over);
        over
    }

    /// All who wait; nobody serves them any more.
    pub(super) fn leave(&self) -> VecDeque<(Traveller, Micros)> {
        std::mem::take(&mut self.state().waiting)
    }

    /// A panic elsewhere leaves nothing half-changed: every change is one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
