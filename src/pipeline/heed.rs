//! What answers say of the server, beside what they say of their jobs.

use std::sync::atomic::Ordering;

use super::journey::Context;
use super::stall;
use crate::attempt::{Failure, Verdict};
use crate::clock::{Micros, SECOND_US};
use crate::fail_point::{Point, pass};
use crate::limit::{Allowance, Limit};
use crate::pace::Sent;
use crate::progress::{Pause, RunEvent};
use crate::stop::Phase;
use crate::store::{Store, StoreError};

/// A 429 pauses the limit for at least this long, whatever it says.
const PAUSE_US: Micros = SECOND_US;

/// What is written down lasts so much longer, so that refusals that come together share it.
const SHARED_US: Micros = SECOND_US / 4;

impl<S: Store> Context<S> {
    /// What a failure says of the server, beside what it says of its job.
    pub(super) async fn heed(&self, failure: &mut Failure, sent: Sent, allowances: Vec<Allowance>) {
        match failure.verdict {
            Verdict::Throttled => self.heed_refusal(failure, sent, &allowances).await,
            Verdict::Transient | Verdict::Refetch => self.heed_setback(failure, sent).await,
            Verdict::Permanent if failure.answered => self.dispenser.well(sent, allowances),
            Verdict::Permanent => self.dispenser.unclear(sent),
        }
    }

    /// A 429 pauses the limit once, durably; it is the limit's concern, not the job's.
    async fn heed_refusal(&self, failure: &Failure, sent: Sent, allowances: &[Allowance]) {
        let used_up = allowances.iter().filter(|allowance| allowance.left == 0);
        let asked_us = failure.not_before_us.or(used_up.map(|allowance| allowance.until_us).max());
        // A server that says "at once" and refuses again would be asked for ever, as fast as it answers.
        let until_us = asked_us.unwrap_or(0).max(self.clock.now_us() + PAUSE_US);
        let (limits, widened) = self.dispenser.refused(sent, until_us);
        self.pause(&limits, until_us, Pause::Refused, widened).await;
        if widened {
            (self.on_event)(&RunEvent::Widened { limits: &limits });
        }
    }

    /// Ten transient failures in a row are the server's trouble: it is left alone for a while, and what a probe finds is not
    /// held against its job.
    async fn heed_setback(&self, failure: &mut Failure, sent: Sent) {
        let (setback, limits) = self.dispenser.failed(sent);
        let Some(wait_us) = setback.wait_us else { return };
        let until_us = self.clock.now_us() + wait_us;
        if setback.probe {
            failure.verdict = Verdict::Throttled;
            failure.not_before_us = failure.not_before_us.max(Some(until_us));
        }
        self.pause(&limits, until_us, Pause::Trouble, false).await;
    }

    async fn pause(&self, limits: &[Limit], until_us: Micros, why: Pause, widened: bool) {
        (self.on_event)(&RunEvent::Paused { until_us, why });
        // Many are refused at once: one of them writes it down, for a little longer than each of the others asks. But a J that
        // was widened is always written.
        if self.paused_us.fetch_max(until_us + SHARED_US, Ordering::Relaxed) >= until_us && !widened {
            return;
        }
        for limit in limits {
            self.keep_pause(limit, until_us + SHARED_US).await;
        }
        pass(Point::AfterPause);
    }

    /// Writes a pause down, as soon as the store can write.
    async fn keep_pause(&self, limit: &Limit, until_us: Micros) {
        loop {
            match self.store.pause_limit(limit, until_us).await {
                Ok(()) => return,
                // The committer meets the same, tells of it, and ends the run where it lasts too long.
                Err(StoreError::Stalled { .. }) if self.clock.now_us() < until_us => {
                    let again_us = self.clock.now_us() + stall::PAUSE_US;
                    tokio::select! {
                        () = self.clock.sleep_until_us(again_us) => {}
                        () = self.stop.reached(Phase::Leave) => return,
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, limit = limit.name, "the pause is kept for this run only");
                    return;
                }
            }
        }
    }
}
