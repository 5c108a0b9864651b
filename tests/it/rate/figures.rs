//! What the log of a server says about the pace of its client.

use std::collections::HashSet;

use crate::checker::max_window;
use crate::server::Arrival;

/// A limit: so many requests per so many nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) permits: usize,
    pub(crate) window_ns: u64,
}

/// What is computed from the log alone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    /// Jobs that arrived and were not refused.
    pub(crate) arrived: usize,
    /// Arrivals answered with 429.
    pub(crate) refused: usize,
    /// From the first arrival to the last that was refused.
    pub(crate) last_refused_ns: Option<u64>,
    /// Most arrivals in any half-open window, refused ones included.
    pub(crate) most: usize,
    /// `(admitted - 1) / (last - first)` against N/W, over the arrivals that were admitted: 1.0 for a perfectly even sender.
    pub(crate) share: f64,
    /// `admitted / (last - start of the process)` against N/W: also what its start, its import aside, cost.
    pub(crate) share_from_start: f64,
    /// Of the gaps between arrivals, by how much they exceed W/N: not exceeded by 99 of 100.
    pub(crate) gap_p99_ns: u64,
}

impl Figures {
    /// Of a client whose process was started at `began_ns`.
    pub(crate) fn of(arrivals: &[Arrival], rate: Rate, began_ns: u64) -> Self {
        let (refused, admitted): (Vec<_>, Vec<_>) = arrivals.iter().partition(|arrival| arrival.status == Some(429));
        let first_ns = arrivals.first().map_or(began_ns, |arrival| arrival.at_ns);
        let at_ns: Vec<u64> = admitted.iter().map(|arrival| arrival.at_ns).collect();
        let ends_ns = at_ns.first().copied().zip(at_ns.last().copied());
        let (from_ns, to_ns) = ends_ns.unwrap_or((began_ns, began_ns));
        let of_allowed = |requests: usize, ns: u64| {
            let allowed = ns as f64 * rate.permits as f64 / rate.window_ns as f64;
            if ns == 0 { 0.0 } else { requests as f64 / allowed }
        };
        let even_ns = rate.window_ns / rate.permits as u64;
        let mut late_ns: Vec<u64> = at_ns.windows(2).map(|two| (two[1] - two[0]).saturating_sub(even_ns)).collect();
        late_ns.sort_unstable();
        Self {
            arrived: admitted.iter().map(|arrival| &arrival.key).collect::<HashSet<_>>().len(),
            refused: refused.len(),
            last_refused_ns: refused.last().map(|arrival| arrival.at_ns - first_ns),
            most: max_window(arrivals.iter().map(|arrival| arrival.at_ns), rate.window_ns),
            share: of_allowed(at_ns.len().saturating_sub(1), to_ns - from_ns),
            share_from_start: of_allowed(at_ns.len(), to_ns.saturating_sub(began_ns)),
            gap_p99_ns: late_ns.get(late_ns.len() * 99 / 100).copied().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const RATE: Rate = Rate { permits: 20, window_ns: 1_000 * MS };

    fn figures(at_ms: impl IntoIterator<Item = (u64, u16)>) -> Figures {
        let arrival = |(n, (at_ms, status)): (usize, (u64, u16))| Arrival {
            key: n.to_string(),
            idempotency_key: None,
            at_ns: at_ms * MS,
            status: Some(status),
            answered: true,
        };
        let arrivals: Vec<_> = at_ms.into_iter().enumerate().map(arrival).collect();
        Figures::of(&arrivals, RATE, 500 * MS)
    }

    // This and the next two: seen failing with all admitted over their span, not all but one.
    #[test]
    fn an_even_sender_uses_all_of_its_rate_less_what_its_start_took() {
        let even = figures((0..100).map(|k| (1_000 + k * 50, 200)));
        assert_eq!((even.arrived, even.refused, even.most, even.gap_p99_ns), (100, 0, 20, 0));
        assert_eq!((even.share, even.last_refused_ns), (1.0, None));
        assert!((even.share_from_start - 100.0 / 109.0).abs() < 1e-9, "{even:?}");
    }

    #[test]
    fn what_is_refused_counts_in_a_window_and_not_in_the_share() {
        let refused = figures((0..101).map(|k| (1_000 + k * 25, if k % 2 == 0 { 200 } else { 429 })));
        assert_eq!((refused.arrived, refused.refused, refused.most), (51, 50, 40));
        assert_eq!((refused.share, refused.last_refused_ns), (1.0, Some(99 * 25 * MS)));
    }

    #[test]
    fn a_break_is_seen_in_the_share_and_the_gaps() {
        let broken = figures((0..50).map(|k| (1_000 + k * 50 + k / 25 * 2_450, 200)));
        assert_eq!((broken.gap_p99_ns, broken.share), (2_450 * MS, 0.5));
    }

    #[test]
    fn nothing_and_a_single_arrival_are_no_pace() {
        assert_eq!(figures([]).share, 0.0);
        let single = figures([(1_000, 200)]);
        assert_eq!((single.arrived, single.most, single.share), (1, 1, 0.0));
    }
}
