//! A server in trouble: after ten transient failures in a row nothing is sent but one probe at a time.

use super::Sent;
use crate::clock::{Micros, SECOND_US};

/// Transient failures in a row after which the server, not the job, is taken to be the reason.
const IN_A_ROW: u32 = 10;

/// The wait before the first probe; each failed one doubles it.
const FIRST_US: Micros = SECOND_US;

/// The longest wait between probes.
const LONGEST_US: Micros = 60 * SECOND_US;

/// What a transient failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setback {
    /// Nothing is sent for so long; `None` = nothing changes.
    pub wait_us: Option<Micros>,
    /// It was a probe: its failure says nothing about its job.
    pub probe: bool,
}

/// Where the server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Trouble {
    in_a_row: u32,
    /// The wait before the next probe; 0 = it is not in trouble.
    wait_us: Micros,
    probe: Option<Sent>,
}

impl Trouble {
    /// The server answered as a server should, whatever it thinks of the job.
    pub(super) fn well(&mut self) {
        *self = Self::default();
    }

    /// A transient failure of this request.
    pub(super) fn failed(&mut self, sent: Sent) -> Setback {
        let probe = self.probe == Some(sent);
        if probe {
            self.probe = None;
            self.wait_us = (2 * self.wait_us).min(LONGEST_US);
        } else if self.wait_us > 0 {
            return Setback { wait_us: None, probe }; // it was in flight when the trouble began
        } else {
            self.in_a_row += 1;
            if self.in_a_row < IN_A_ROW {
                return Setback { wait_us: None, probe };
            }
            self.wait_us = FIRST_US;
        }
        Setback { wait_us: Some(self.wait_us), probe }
    }

    /// This request ended in a way that says nothing of the server: no answer, and no failure that may pass. Where it was the
    /// probe, another one is sent after the same wait.
    pub(super) fn unclear(&mut self, sent: Sent) -> Option<Micros> {
        if self.probe != Some(sent) {
            return None;
        }
        self.probe = None;
        Some(self.wait_us)
    }

    /// A request is sent: in trouble it is the probe.
    pub(super) fn sent(&mut self, sent: Sent) {
        if self.wait_us > 0 {
            self.probe = Some(sent);
        }
    }

    /// How many may be sent before the next answer is seen; `None` = any number.
    pub(super) fn may_send(&self) -> Option<usize> {
        (self.wait_us > 0).then(|| usize::from(self.probe.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_trouble() -> Trouble {
        let mut trouble = Trouble::default();
        for k in 0..9 {
            assert_eq!(trouble.failed(Sent(k)), Setback { wait_us: None, probe: false });
        }
        assert_eq!(trouble.failed(Sent(9)), Setback { wait_us: Some(FIRST_US), probe: false });
        trouble
    }

    #[test]
    fn nine_failures_and_a_success_are_no_trouble() {
        let mut trouble = Trouble::default();
        for k in 0..100 {
            assert_eq!(trouble.failed(Sent(k)).wait_us, None);
            if k % 9 == 8 {
                trouble.well();
            }
        }
        assert_eq!(trouble.may_send(), None);
    }

    #[test]
    fn in_trouble_one_probe_is_sent_and_each_that_fails_doubles_the_wait_up_to_a_minute() {
        let mut trouble = in_trouble();
        for (k, wait_s) in (10..).zip([2, 4, 8, 16, 32, 60, 60]) {
            assert_eq!(trouble.may_send(), Some(1));
            trouble.sent(Sent(k));
            assert_eq!(trouble.may_send(), Some(0));
            assert_eq!(trouble.failed(Sent(k)), Setback { wait_us: Some(wait_s * SECOND_US), probe: true });
        }
    }

    // Seen failing with the probe kept: nothing was sent any more.
    #[test]
    fn a_probe_that_tells_nothing_is_followed_by_another_after_the_same_wait() {
        let mut trouble = in_trouble();
        trouble.sent(Sent(20));
        assert_eq!(trouble.unclear(Sent(3)), None, "not the probe");
        assert_eq!(trouble.may_send(), Some(0));
        assert_eq!(trouble.unclear(Sent(20)), Some(FIRST_US));
        assert_eq!(trouble.may_send(), Some(1));
        assert_eq!(Trouble::default().unclear(Sent(1)), None, "no trouble");
    }

    #[test]
    fn what_was_in_flight_before_changes_nothing_unless_it_ends_well() {
        let mut trouble = in_trouble();
        trouble.sent(Sent(20));
        assert_eq!(trouble.failed(Sent(3)), Setback { wait_us: None, probe: false });
        assert_eq!(trouble.may_send(), Some(0));
        trouble.well();
        assert_eq!(trouble.may_send(), None);
        assert_eq!(trouble.failed(Sent(20)).wait_us, None, "one failure, and not the tenth");
    }
}
