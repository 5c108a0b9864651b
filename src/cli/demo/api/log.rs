//! The strictest of limits: a log of every arrival, refused ones too.

use std::collections::VecDeque;

use haul::clock::Micros;

/// At most `permits` arrivals in any half-open window `[t, t + window)`. Pure: it is told the time.
#[derive(Debug)]
pub(super) struct SlidingLog {
    permits: usize,
    window_us: Micros,
    arrivals: VecDeque<Micros>,
    most: usize,
}

impl SlidingLog {
    /// An empty log.
    pub(super) fn new(permits: usize, window_us: Micros) -> Self {
        Self { permits, window_us, arrivals: VecDeque::new(), most: 0 }
    }

    /// Notes an arrival, not before the last one. Every arrival counts, so a client that hammers stays locked out.
    ///
    /// # Errors
    /// How long to wait, where it is one too many.
    pub(super) fn arrive(&mut self, now_us: Micros) -> Result<(), Micros> {
        // What is a whole window old shares no half-open window with now.
        while self.arrivals.front().is_some_and(|first| first + self.window_us <= now_us) {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now_us);
        self.most = self.most.max(self.arrivals.len());
        let Some(excess) = self.arrivals.len().checked_sub(self.permits + 1) else { return Ok(()) };
        // Room for the next one is made when only `permits - 1` are left.
        let last_to_leave = self.arrivals.get(excess + 1).copied().unwrap_or(now_us);
        Err(last_to_leave + self.window_us - now_us)
    }

    /// Most arrivals in any window so far.
    pub(super) fn most(&self) -> usize {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most arrivals in any half-open window, counted the slow way.
    fn most(arrivals: &[Micros], window_us: Micros) -> usize {
        let within = |start: Micros| arrivals.iter().filter(|at| (start..start + window_us).contains(*at)).count();
        arrivals.iter().map(|start| within(*start)).max().unwrap_or(0)
    }

    fn refused(log: &mut SlidingLog, arrivals: &[Micros]) -> Vec<Micros> {
        arrivals.iter().copied().filter(|at| log.arrive(*at).is_err()).collect()
    }

    #[test]
    fn an_even_pace_at_the_limit_is_never_refused() {
        let arrivals: Vec<Micros> = (0..1_000).map(|n| n * 50_000).collect();
        let mut log = SlidingLog::new(20, 1_000_000);
        assert!(refused(&mut log, &arrivals).is_empty());
        assert_eq!(log.most(), 20);
    }

    #[test]
    fn a_pace_just_above_the_limit_is_refused() {
        let arrivals: Vec<Micros> = (0..21).map(|n| n * 49_999).collect();
        let mut log = SlidingLog::new(20, 1_000_000);
        assert_eq!(refused(&mut log, &arrivals), [20 * 49_999]);
        assert_eq!(log.most(), 21);
    }

    #[test]
    fn a_burst_across_the_edge_of_a_second_is_seen() {
        let arrivals: Vec<Micros> = (0..20).map(|n| 990_000 + n).chain((0..20).map(|n| 1_000_000 + n)).collect();
        let mut log = SlidingLog::new(20, 1_000_000);
        assert_eq!(refused(&mut log, &arrivals).len(), 20);
        assert_eq!(log.most(), 40);
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_in_and_who_comes_sooner_is_not() {
        for (early, admitted) in [(0, true), (1, false)] {
            let mut log = SlidingLog::new(3, 1_000);
            assert_eq!(refused(&mut log, &[0, 300, 600, 700]), [700]);
            let wait = log.arrive(800).expect_err("five in a window");
            assert_eq!(wait, 800, "until 600 has left: 700 and 800 count");
            assert_eq!(log.arrive(800 + wait - early).is_ok(), admitted);
        }
    }

    #[test]
    fn the_most_in_a_window_is_what_counting_finds() {
        let mut at = 0;
        let arrivals: Vec<Micros> = (0..500)
            .map(|n: Micros| {
                at += n * n * 7_919 % 1_013;
                at
            })
            .collect();
        let mut log = SlidingLog::new(5, 5_000);
        refused(&mut log, &arrivals);
        assert_eq!(log.most(), most(&arrivals, 5_000));
        assert_ne!(log.most(), most(&arrivals, 4_000), "the count depends on the window");
    }
}
