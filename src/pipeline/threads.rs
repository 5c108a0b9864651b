//! The CPU threads of a run, and those of them that never came back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::desk::Desk;
use crate::clock::{Clock, Micros, micros};
use crate::process::{Pool, PoolError};

/// Threads with a time limit on what they do. A thread cannot be stopped: what takes too long is left behind, and its thread
/// is lost for as long as it goes on.
pub(super) struct Threads {
    pool: Pool,
    lost: Arc<watch::Sender<isize>>,
    clock: Clock,
}

/// Every CPU thread is held by a processing that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no CPU thread is left: {threads} of {threads} work on a job for longer than {} (--process-timeout) and cannot be stopped; \
     {}",
    humantime::format_duration(*limit),
    what_now(*stored)
)]
pub struct ThreadsLost {
    threads: usize,
    limit: Duration,
    /// Nothing was sent: what had a result keeps it.
    stored: bool,
}

fn what_now(stored: bool) -> &'static str {
    match stored {
        true => {
            "these jobs keep the results they had. Mend the processor or give it more time, and process them again with \
             `haul reprocess`"
        }
        false => {
            "these jobs failed as process_timeout. Mend the processor or give it more time, and try them again with \
             `haul retry --error process_timeout`"
        }
    }
}

impl ThreadsLost {
    /// Of a run that only processes what is stored.
    pub(super) fn of_stored(self, stored: bool) -> Self {
        Self { stored, ..self }
    }
}

/// What became of a task.
pub(super) enum Worked<T> {
    /// It has ended.
    Ended(T),
    /// It is left behind. It began then.
    TooSlow(Micros),
    /// It has not begun, and will not: every thread is lost.
    NoThread,
    /// It panicked outside of where panics are caught: a bug.
    Broken,
}

/// Of a task: at work, at its end, or left behind.
const AT_WORK: u8 = 0;
const ENDED: u8 = 1;
const LEFT: u8 = 2;

impl Threads {
    pub(super) fn new(threads: usize, clock: Clock) -> Result<Self, PoolError> {
        Ok(Self { pool: Pool::new(threads)?, lost: Arc::new(watch::Sender::new(0)), clock })
    }

    /// Whether nothing would ever begin any more.
    ///
    /// # Errors
    /// That it is so, under this limit.
    pub(super) fn lost(&self, limit: Duration) -> Result<(), ThreadsLost> {
        let threads = self.pool.threads();
        if *self.lost.borrow() < threads.cast_signed() {
            Ok(())
        } else {
            Err(ThreadsLost { threads, limit, stored: false })
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.pool.threads()
    }

    /// Runs this on a thread, once one is free: haul's own work, which ends.
    pub(super) fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.pool.spawn(task);
    }

    /// Runs this on a thread, once one is free. May be dropped: what has not begun by then never does.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Worked<T> {
        let (begin, mut begun) = oneshot::channel();
        let (told, mut done) = oneshot::channel();
        let stage = Arc::new(AtomicU8::new(AT_WORK));
        let (own, lost, clock) = (stage.clone(), self.lost.clone(), self.clock);
        self.pool.spawn(move || {
            if begin.send(clock.now_us()).is_err() {
                return; // nobody waits for it any more
            }
            let ended = task();
            if own.swap(ENDED, Ordering::AcqRel) == LEFT {
                lost.send_modify(|lost| *lost -= 1); // it was only slow, and its thread is back
            }
            // Nobody listens any more where the run has left.
            let _ = told.send(ended);
        });
        let mut none_left = self.lost.subscribe();
        let all = self.pool.threads().cast_signed();
        // That it has begun is only asked for where its end is long in coming: to be woken for it would cost as much as most
        // tasks do.
        tokio::select! {
            biased;
            ended = &mut done => return ended.map_or(Worked::Broken, Worked::Ended),
            _ = none_left.wait_for(|lost| *lost >= all) => {}
            () = self.clock.sleep_until_us(self.clock.now_us().saturating_add(micros(limit))) => {}
        }
        let begun_us = tokio::select! {
            biased;
            begun = &mut begun => match begun {
                Ok(begun_us) => begun_us,
                Err(_) => return Worked::Broken,
            },
            _ = none_left.wait_for(|lost| *lost >= all) => return Worked::NoThread,
        };
        tokio::select! {
            biased;
            ended = &mut done => return ended.map_or(Worked::Broken, Worked::Ended),
            () = self.clock.sleep_until_us(begun_us.saturating_add(micros(limit))) => {}
        }
        if stage.compare_exchange(AT_WORK, LEFT, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return done.await.map_or(Worked::Broken, Worked::Ended); // it ends just now
        }
        self.lost.send_modify(|lost| *lost += 1);
        Worked::TooSlow(begun_us)
    }

    /// Runs this on a thread, once one is free. It lays what it works on, piece by piece, on the desk; a piece that takes longer
    /// than the limit is taken away from there, and the thread is lost. May be dropped, as [`Self::run`].
    pub(super) async fn run_over<T: Send + 'static>(
        &self,
        limit: Duration,
        desk: &Arc<Desk<T>>,
        task: impl FnOnce(&Desk<T>) + Send + 'static,
    ) -> Worked<()> {
        let (begin, begun) = oneshot::channel();
        let (told, mut done) = oneshot::channel();
        let (own, lost) = (desk.clone(), self.lost.clone());
        self.pool.spawn(move || {
            if begin.send(()).is_err() {
                return; // nobody waits for it any more
            }
            task(&own);
            if own.is_taken() {
                lost.send_modify(|lost| *lost -= 1); // it was only slow, and its thread is back
            }
            // Nobody listens any more where the run has left.
            let _ = told.send(());
        });
        if let Some(never) = self.until_begun(begun).await {
            return never;
        }
        let limit_us = micros(limit);
        let mut look_us = self.clock.now_us().saturating_add(limit_us);
        loop {
            tokio::select! {
                biased;
                ended = &mut done => return ended.map_or(Worked::Broken, Worked::Ended),
                () = self.clock.sleep_until_us(look_us) => {}
            }
            let now_us = self.clock.now_us();
            match desk.take_if_begun_before(now_us.saturating_sub(limit_us)) {
                Ok(begun_us) => {
                    self.lost.send_modify(|lost| *lost += 1);
                    return Worked::TooSlow(begun_us);
                }
                Err(begun_us) => look_us = begun_us.unwrap_or(now_us).saturating_add(limit_us).saturating_add(1),
            }
        }
    }

    /// Waits until a task begins. `Some`: it never will.
    async fn until_begun<T>(&self, begun: oneshot::Receiver<()>) -> Option<Worked<T>> {
        let mut none_left = self.lost.subscribe();
        let all = self.pool.threads().cast_signed();
        tokio::select! {
            biased;
            begun = begun => begun.is_err().then_some(Worked::Broken),
            _ = none_left.wait_for(|lost| *lost >= all) => Some(Worked::NoThread),
        }
    }
}
