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

    /// This request ended in a way that tells nothing of the server's trouble: where it was the probe, another may be sent.
    /// Returns whether it was.
    pub(super) fn unclear(&mut self, sent: Sent) -> bool {
        let probe = self.probe == Some(sent);
        self.probe = self.probe.filter(|_| !probe);
        probe
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

    // Seen failing without it: no probe was sent any more, and the run waited for ever.
    #[test]
    fn a_probe_that_tells_nothing_makes_room_for_the_next() {
        let mut trouble = in_trouble();
        trouble.sent(Sent(10));
        assert!(!trouble.unclear(Sent(3)), "it was in flight before");
        assert_eq!(trouble.may_send(), Some(0));
        assert!(trouble.unclear(Sent(10)));
        assert_eq!(trouble.may_send(), Some(1));
        trouble.sent(Sent(11));
        assert_eq!(trouble.failed(Sent(11)), Setback { wait_us: Some(2 * SECOND_US), probe: true });
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
