//! What answers say of the server, beside what they say of their jobs.

use super::journey::Context;
use crate::attempt::{Failure, Verdict};
use crate::clock::{Micros, SECOND_US};
use crate::fail_point::{Point, pass};
use crate::limit::{Allowance, Limit};
use crate::pace::Sent;
use crate::progress::{Pause, RunEvent};
use crate::store::Store;

/// A 429 pauses the limit for at least this long, whatever it says.
const PAUSE_US: Micros = SECOND_US;

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
        self.pause(&limits, until_us, Pause::Refused).await;
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
        self.pause(&limits, until_us, Pause::Trouble).await;
    }

    async fn pause(&self, limits: &[Limit], until_us: Micros, why: Pause) {
        for limit in limits {
            if let Err(error) = self.store.pause_limit(limit, until_us).await {
                tracing::warn!(%error, limit = limit.name, "the pause is kept for this run only");
            }
        }
        pass(Point::AfterPause);
        (self.on_event)(&RunEvent::Paused { until_us, why });
    }
}
