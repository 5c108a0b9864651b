//! What the server says is left of its own limits. It may slow us down, and never speeds us up.

use std::collections::BTreeMap;

use super::Sent;
use crate::clock::Micros;
use crate::limit::Allowance;

/// A server may name so many limits; those after them are not listened to.
const MOST: usize = 8;

/// What is left of each of the server's limits.
#[derive(Debug, Default)]
pub(super) struct Allowances(BTreeMap<String, Known>);

/// The newest that is known of one.
#[derive(Debug, Clone, Copy)]
struct Known {
    left: u64,
    until_us: Micros,
    /// The request that was told.
    told: Sent,
}

impl Allowances {
    /// A response says what was left when its request was counted. Of those sent since, none is taken to be counted; what an
    /// older request was told is no news.
    pub(super) fn told(&mut self, allowance: Allowance, told: Sent, next: Sent) {
        if self.0.get(&allowance.name).is_some_and(|known| known.told > told) {
            return;
        }
        if self.0.len() < MOST || self.0.contains_key(&allowance.name) {
            let since = next.0.saturating_sub(told.0 + 1);
            let left = allowance.left.saturating_sub(since);
            self.0.insert(allowance.name, Known { left, until_us: allowance.until_us, told });
        }
    }

    /// A request is sent.
    pub(super) fn sent(&mut self, now_us: Micros) {
        self.0.retain(|_, known| known.until_us > now_us);
        self.0.values_mut().for_each(|known| known.left = known.left.saturating_sub(1));
    }

    /// The earliest time for the request after the next `planned` ones, none of which is sent before `at_us`.
    pub(super) fn earliest(&self, planned: u64, at_us: Micros) -> Micros {
        let used_up = self.0.values().filter(|known| known.left <= planned);
        used_up.map(|known| known.until_us).fold(at_us, Micros::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_700_000_000_000_000;

    fn allowance(left: u64, until_us: Micros) -> Allowance {
        Allowance { name: "q".to_owned(), left, until_us }
    }

    #[test]
    fn what_is_used_up_comes_back_when_the_server_says_so() {
        let mut allowances = Allowances::default();
        allowances.told(allowance(2, NOW + 30), Sent(0), Sent(1));
        assert_eq!([0, 1, 2].map(|planned| allowances.earliest(planned, NOW)), [NOW, NOW, NOW + 30]);
        allowances.sent(NOW);
        allowances.sent(NOW);
        assert_eq!(allowances.earliest(0, NOW), NOW + 30);
        allowances.sent(NOW + 30);
        assert_eq!(allowances.earliest(9, NOW + 30), NOW + 30, "forgotten");
    }

    #[test]
    fn requests_in_flight_behind_the_one_that_was_told_are_not_counted_yet() {
        let mut allowances = Allowances::default();
        allowances.told(allowance(5, NOW + 30), Sent(10), Sent(14));
        assert_eq!([1, 2].map(|planned| allowances.earliest(planned, NOW)), [NOW, NOW + 30]);
        allowances.told(allowance(9, NOW + 90), Sent(9), Sent(14));
        assert_eq!(allowances.earliest(2, NOW), NOW + 30, "an older request has no news");
    }

    #[test]
    fn a_server_with_a_thousand_limits_costs_no_memory() {
        let mut allowances = Allowances::default();
        for n in 0..1_000 {
            allowances.told(Allowance { name: n.to_string(), left: 1, until_us: NOW + 1 }, Sent(n), Sent(n));
        }
        assert_eq!(allowances.0.len(), MOST);
    }
}
