//! Who waits for permits, first come first served: the dispenser's decisions, without its clock and its waiting.

use std::collections::VecDeque;

use super::{Pacer, Sent, Setback};
use crate::clock::Micros;
use crate::limit::{Allowance, Limit};

/// Whoever serves the queue looks at least this often, so that a standstill of the process is noticed.
pub const TICK_US: Micros = 20_000;

/// A look later than this was held up by more than its timer: the process stood still (SIGSTOP, a suspended machine), or
/// the CPU was elsewhere for long.
const LATE_US: Micros = 10_000;

/// What to do next for those who wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<T> {
    /// This one may send, now.
    Granted(T, Sent),
    /// The permit of this one is void: nothing may be sent by it.
    Void(T),
    /// Look again at this time, or when something has happened.
    Wait(Micros),
}

/// A pacer, and those who wait for it. Times must not run backwards from call to call.
#[derive(Debug)]
pub struct Queue<T> {
    pacer: Pacer,
    waiting: VecDeque<(Micros, T)>,
    /// Permits claimed and neither used nor void yet: those who wait, and those who are about to.
    claimed: usize,
    /// Those among them that follow a redirect and whose permits are not written down yet.
    following: usize,
    /// When it was last looked at.
    seen_us: Micros,
}

impl<T> Queue<T> {
    /// Nobody waits yet for what this pacer allows.
    #[must_use]
    pub fn new(pacer: Pacer, now_us: Micros) -> Self {
        Self { pacer, waiting: VecDeque::new(), claimed: 0, following: 0, seen_us: now_us }
    }

    /// So many jobs have been claimed with permits that were forecast; each will come for [`Queue::join`].
    pub fn claimed(&mut self, permits: usize) {
        self.claimed += permits;
    }

    /// A request under way follows a redirect: the next permit that nobody has claimed is for it, before any new job.
    pub fn follow(&mut self) {
        self.claimed += 1;
        self.following += 1;
    }

    /// When the permit of the first of those falls due, if it does within the horizon: then it is to be written down, and to
    /// come for [`Queue::join`].
    pub fn follow_due(&mut self, now_us: Micros, horizon_us: Micros) -> Option<Micros> {
        let ahead = self.claimed.saturating_sub(self.following);
        let due_us = self.pacer.forecast(now_us, horizon_us, 1, ahead).first().copied()?;
        if self.following == 0 || due_us > now_us.saturating_add(horizon_us) {
            return None;
        }
        self.following -= 1;
        Some(due_us)
    }

    /// Waits in line for a permit that is void after `void_after_us`.
    pub fn join(&mut self, void_after_us: Micros, who: T) {
        self.waiting.push_back((void_after_us, who));
    }

    /// Permits claimed that are neither used nor void yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.claimed
    }

    /// Takes a permit past those who wait, where no limit holds.
    pub fn at_once(&mut self, now_us: Micros) -> Option<Sent> {
        let sent = self.pacer.send(now_us)?;
        self.claimed = self.claimed.saturating_sub(1);
        Some(sent)
    }

    /// Serves the first of those who wait, if his moment has come. To be called until it says when to look again.
    pub fn turn(&mut self, now_us: Micros) -> Turn<T> {
        self.notice_standstill(now_us);
        self.serve(now_us).unwrap_or(Turn::Wait(now_us + TICK_US))
    }

    /// To be called before anything is concluded from the times at which permits were taken: when the process goes on after a
    /// standstill, an answer may be seen before whoever serves the queue looks at it.
    fn notice_standstill(&mut self, now_us: Micros) {
        if now_us - self.seen_us > TICK_US + LATE_US {
            // What took its permit before may leave the machine only now.
            self.pacer.stalled(now_us);
        }
        self.seen_us = now_us;
    }

    /// `None`: nobody waits, or something must happen first.
    fn serve(&mut self, now_us: Micros) -> Option<Turn<T>> {
        let void_after_us = self.waiting.front()?.0;
        if void_after_us < now_us {
            return Some(Turn::Void(self.leave()?));
        }
        match self.pacer.earliest(now_us)? {
            at_us if at_us > now_us => Some(Turn::Wait(at_us.min(now_us + TICK_US))),
            _ => {
                let sent = self.pacer.send(now_us)?;
                Some(Turn::Granted(self.leave()?, sent))
            }
        }
    }

    fn leave(&mut self) -> Option<T> {
        let (_, first) = self.waiting.pop_front()?;
        self.claimed = self.claimed.saturating_sub(1);
        Some(first)
    }

    /// The times at which the next permits fall due that nobody has claimed yet, as [`Pacer::forecast`] tells them.
    #[must_use]
    pub fn forecast(&self, now_us: Micros, horizon_us: Micros, max: usize) -> Vec<Micros> {
        self.pacer.forecast(now_us, horizon_us, max, self.claimed)
    }

    /// The request needs a new connection.
    pub fn cold(&mut self, sent: Sent) {
        self.pacer.cold(sent);
    }

    /// The head of its response, or an error, was seen. Gives the time from which its permit counts.
    pub fn ended(&mut self, sent: Sent, now_us: Micros) -> Micros {
        self.notice_standstill(now_us);
        self.pacer.ended(sent, now_us)
    }

    /// The server refused a request as one too many: nothing is sent before `until_us`, and where the limit had not been
    /// reached its jitter is doubled. Gives the limits as they are now, and whether they are new.
    pub fn refused(&mut self, sent: Sent, until_us: Micros, now_us: Micros) -> (Vec<Limit>, bool) {
        self.notice_standstill(now_us);
        let changed = self.pacer.refused(sent, now_us);
        self.pacer.pause(until_us);
        (self.pacer.limits().to_vec(), !changed.is_empty())
    }

    /// The server answered a request as a server should; and what it said is left.
    /// As [`Pacer::well`] takes it.
    pub fn well(&mut self, sent: Sent, allowances: Vec<Allowance>) -> bool {
        self.pacer.well(sent, allowances)
    }

    /// A request ended in a way that tells nothing of the server, as [`Pacer::unclear`] takes it.
    pub fn unclear(&mut self, sent: Sent) -> bool {
        self.pacer.unclear(sent)
    }

    /// A request failed in a way that may pass, as [`Pacer::failed`] takes it. Gives the limits beside it.
    pub fn failed(&mut self, sent: Sent, now_us: Micros) -> (Setback, Vec<Limit>) {
        let setback = self.pacer.failed(sent, now_us);
        (setback, self.pacer.limits().to_vec())
    }

    /// Sends all away who wait.
    pub fn clear(&mut self) -> impl Iterator<Item = T> {
        (self.claimed, self.following) = (0, 0);
        std::mem::take(&mut self.waiting).into_iter().map(|(_, who)| who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_700_000_000_000_000;

    fn queue(rate: &str) -> Queue<char> {
        Queue::new(Pacer::new(&[rate.parse().unwrap()], &[], 0, NOW), NOW)
    }

    fn granted(turn: Turn<char>) -> (char, Sent) {
        let Turn::Granted(who, sent) = turn else { panic!("{turn:?}") };
        (who, sent)
    }

    #[test]
    fn the_first_to_come_is_the_first_to_send_unless_his_permit_is_void() {
        let mut queue = queue("20/s");
        queue.claimed(3);
        for (void_after_us, who) in [(NOW + 50_000, 'a'), (NOW + 49_000, 'b'), (NOW + 90_000, 'c')] {
            queue.join(void_after_us, who);
        }
        assert_eq!(granted(queue.turn(NOW)).0, 'a');
        assert_eq!(queue.turn(NOW), Turn::Wait(NOW + TICK_US));
        assert_eq!(queue.turn(NOW + 40_000), Turn::Wait(NOW + 50_000));
        assert_eq!(queue.turn(NOW + 50_000), Turn::Void('b'));
        assert_eq!(granted(queue.turn(NOW + 50_000)).0, 'c');
    }

    // Seen failing with `follow` left out: the claim is told the time that the redirect has.
    #[test]
    fn a_redirect_goes_before_the_jobs_that_nobody_has_claimed_and_behind_those_that_are() {
        let mut queue = queue("20/s");
        queue.claimed(1);
        queue.follow();
        queue.follow();
        assert_eq!(queue.forecast(NOW, 500_000, 1), [NOW + 150_000]);
        assert_eq!(queue.follow_due(NOW, 40_000), None, "too far ahead to be written down");
        assert_eq!(queue.follow_due(NOW, 60_000), Some(NOW + 50_000));
        assert_eq!(queue.follow_due(NOW, 110_000), Some(NOW + 100_000));
        assert_eq!(queue.follow_due(NOW, 500_000), None, "nobody follows any more");
        assert_eq!(queue.forecast(NOW, 500_000, 1), [NOW + 150_000], "but they have not sent yet");
    }

    #[test]
    fn an_answer_seen_before_the_first_look_after_a_standstill_counts_from_its_end() {
        let mut queue = queue("1/s");
        queue.join(NOW + 50_000, 'a');
        let (_, sent) = granted(queue.turn(NOW));
        let thaw_us = NOW + 60_000_000;
        assert_eq!(queue.ended(sent, thaw_us + 900), thaw_us + 900);
        assert_eq!(queue.forecast(thaw_us + 900, 1, 1,), [thaw_us + 900 + 1_000_000]);
    }
}
