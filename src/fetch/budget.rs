//! Memory for bodies.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory for bodies: every job has a share of one half; a larger body first takes all it may need from the other half,
/// in one piece. Because nobody waits while holding a part, nobody waits for ever.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// What a body may take without asking.
    pub(super) share: usize,
    common: Arc<Semaphore>,
    common_units: u32,
}

/// Large bodies are counted in units of this many bytes.
const UNIT: u64 = 1024;

impl Budget {
    pub(super) fn new(bytes: usize, concurrency: usize) -> Self {
        let common_units = u32::try_from(bytes as u64 / 2 / UNIT).unwrap_or(u32::MAX);
        Self {
            share: bytes / 2 / concurrency.max(1),
            common: Arc::new(Semaphore::new(common_units as usize)),
            common_units,
        }
    }

    /// Room for a body of at most so many bytes; a body larger than all there is waits until it is alone.
    pub(super) async fn room(&self, bytes: u64) -> OwnedSemaphorePermit {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.common_units);
        let Ok(room) = self.common.clone().acquire_many_owned(units).await else {
            unreachable!("the budget is never closed")
        };
        room
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whether it is ready at once.
    fn is_ready(future: impl Future<Output = OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(room) => Some(room),
            Poll::Pending => None,
        }
    }

    // Seen failing with every body given one unit.
    #[test]
    fn large_bodies_share_one_budget_and_one_larger_than_all_of_it_waits_until_it_is_alone() {
        let budget = Budget::new(64 << 10, 4);
        assert_eq!(budget.share, 8 << 10, "half of it, among the jobs in flight");
        let first = is_ready(budget.room(24 << 10)).expect("32 KiB are free");
        assert!(is_ready(budget.room(24 << 10)).is_none(), "8 KiB are");
        assert!(is_ready(budget.room(u64::MAX)).is_none());
        drop(first);
        let all = is_ready(budget.room(u64::MAX)).expect("it is alone");
        assert!(is_ready(budget.room(1)).is_none());
        drop(all);
        assert!(is_ready(budget.room(1)).is_some());
    }
}
