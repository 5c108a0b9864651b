//! What a CPU thread works on just now, laid where whoever watches the time can take it away.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Micros;

/// A place for one piece of work. A thread cannot be stopped, but what lies here can be ended without it.
pub(super) struct Desk<T>(Mutex<On<T>>);

enum On<T> {
    Nothing,
    /// It began then.
    Work(T, Micros),
    /// Taken away while the thread worked on it; and by now fetched, or not yet.
    Taken(Option<T>),
}

impl<T> Desk<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(On::Nothing))
    }

    /// The thread begins with this.
    pub(super) fn lay(&self, work: T, now_us: Micros) {
        *self.on_it() = On::Work(work, now_us);
    }

    /// The thread is done with it. `None`: it was taken away, and the thread is not waited for any more.
    pub(super) fn done(&self) -> Option<T> {
        let mut on_it = self.on_it();
        match std::mem::replace(&mut *on_it, On::Nothing) {
            On::Work(work, _) => Some(work),
            taken => {
                *on_it = taken;
                None
            }
        }
    }

    /// Takes away what was begun before this, and says when; else says when what lies there was begun.
    pub(super) fn take_if_begun_before(&self, us: Micros) -> Result<Micros, Option<Micros>> {
        let mut on_it = self.on_it();
        match std::mem::replace(&mut *on_it, On::Nothing) {
            On::Work(work, begun_us) if begun_us < us => {
                *on_it = On::Taken(Some(work));
                Ok(begun_us)
            }
            other => {
                let begun_us = if let On::Work(_, begun_us) = &other { Some(*begun_us) } else { None };
                *on_it = other;
                Err(begun_us)
            }
        }
    }

    /// What was taken away, once; or whatever lies there.
    pub(super) fn taken(&self) -> Option<T> {
        match std::mem::replace(&mut *self.on_it(), On::Taken(None)) {
            On::Work(work, _) => Some(work),
            On::Taken(work) => work,
            On::Nothing => None,
        }
    }

    /// Whether it was taken away from the thread.
    pub(super) fn is_taken(&self) -> bool {
        matches!(*self.on_it(), On::Taken(_))
    }

    /// A panic elsewhere leaves nothing half-changed: every change is one assignment.
    fn on_it(&self) -> MutexGuard<'_, On<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_had_once_by_the_thread_or_by_whom_took_it_away() {
        let desk = Desk::new();
        desk.lay("a", 5);
        assert_eq!((desk.take_if_begun_before(5), desk.done(), desk.done()), (Err(Some(5)), Some("a"), None));
        assert_eq!(desk.take_if_begun_before(9), Err(None));
        desk.lay("b", 6);
        assert_eq!((desk.take_if_begun_before(7), desk.done(), desk.is_taken()), (Ok(6), None, true));
        assert_eq!((desk.taken(), desk.taken(), desk.done(), desk.is_taken()), (Some("b"), None, None, true));
    }
}
