//! How fast it goes, and for how long it will: from how many jobs were done when.

use std::collections::VecDeque;
use std::time::Duration;

use haul::clock::{Micros, SECOND_US, span};
use haul::limit::Limit;
use haul::report::plan::{Window, shortest_us};

/// The rate shown is that of about the last so many seconds.
const RECENT: usize = 5;

/// Of what lies further back so many marks are kept: enough for half of the time there was, to within a 32nd.
const MARKS: usize = 64;

/// Fewer jobs than this tell no rate.
const FEW: u64 = 10;

/// What was done when.
#[derive(Debug, Default)]
pub(super) struct Pace {
    recent: VecDeque<(Micros, u64)>,
    marks: Vec<(Micros, u64)>,
    /// Of the marks, every so many-th second is one.
    every: u64,
    seconds: u64,
}

impl Pace {
    /// It begins now.
    pub(super) fn begin(now_us: Micros) -> Self {
        Self { recent: [(now_us, 0)].into(), marks: vec![(now_us, 0)], every: 1, seconds: 0 }
    }

    /// So many are done. Looked at once a second: a number that changes faster cannot be read.
    pub(super) fn is_at(&mut self, now_us: Micros, done: u64) {
        if self.recent.back().is_none_or(|(last_us, _)| now_us - last_us < SECOND_US) {
            return;
        }
        self.recent.push_back((now_us, done));
        if self.recent.len() > RECENT + 1 {
            self.recent.pop_front();
        }
        self.seconds += 1;
        if self.seconds.is_multiple_of(self.every.max(1)) {
            self.marks.push((now_us, done));
        }
        if self.marks.len() > MARKS {
            let mut nth = 0;
            self.marks.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.every *= 2;
        }
    }

    /// Jobs done a second, lately; of few, over half of the time there was.
    pub(super) fn per_s(&self) -> f64 {
        let (Some(first), Some(last)) = (self.recent.front(), self.recent.back()) else { return 0.0 };
        if last.1 - first.1 < FEW { self.steady_per_s() } else { between(*first, *last) }
    }

    /// The same over half of the time there was: a steady pace is met closer by it.
    fn steady_per_s(&self) -> f64 {
        let (Some(first), Some(last)) = (self.marks.first(), self.recent.back()) else { return 0.0 };
        let half_us = first.0 + (last.0 - first.0) / 2;
        let from = self.marks.iter().rev().find(|(at_us, _)| *at_us <= half_us).unwrap_or(first);
        between(*from, *last)
    }

    /// How long it takes until so many more are done; no run is quicker than its limits allow.
    pub(super) fn left(&self, left: u64, limits: &[Limit]) -> Option<Duration> {
        let per_s = self.steady_per_s();
        if per_s <= 0.0 || left == 0 {
            return None;
        }
        let windows: Vec<_> = limits.iter().map(|limit| Window { limit: limit.clone(), left: None }).collect();
        let us = (left as f64 / per_s * SECOND_US as f64) as Micros;
        Some(span(us.max(shortest_us(left, &windows))))
    }
}

fn between((from_us, from): (Micros, u64), (to_us, to): (Micros, u64)) -> f64 {
    if to_us <= from_us { 0.0 } else { (to - from) as f64 * SECOND_US as f64 / (to_us - from_us) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of `jobs`, as told five times a second of a run that does `per_s` after `latency_us`: each with the truth.
    fn told(jobs: u64, per_s: f64, latency_us: Micros, limits: &[Limit]) -> Vec<(Duration, Duration)> {
        let begun_us = 1_764_000_000_000_000;
        let end_us = latency_us + (jobs as f64 / per_s * SECOND_US as f64) as Micros;
        let mut pace = Pace::begin(begun_us);
        let mut told = Vec::new();
        for us in (0..end_us).step_by(200_000) {
            let done = ((us - latency_us).max(0) as f64 * per_s / SECOND_US as f64) as u64;
            pace.is_at(begun_us + us, done);
            if done * 10 >= jobs
                && let Some(left) = pace.left(jobs - done, limits)
            {
                told.push((left, span(end_us - us)));
            }
        }
        told
    }

    // Seen failing with the mean since the start, where the first answer takes a while.
    #[test]
    fn at_a_steady_pace_the_time_left_is_right_within_5_percent_after_the_first_tenth() {
        for (jobs, per_s, latency_us) in
            [(100_000, 19.6, 200_000), (1_000, 19.6, 1_500_000), (5_000, 400.0, 50_000), (600, 2.0, 3_000_000)]
        {
            let told = told(jobs, per_s, latency_us, &[]);
            assert!(told.len() > 40, "{}", told.len());
            for (left, truth) in told {
                // What is left is counted in whole jobs.
                let grain = Duration::from_secs_f64(1.0 / per_s + 0.05);
                assert!(
                    left.abs_diff(truth) <= truth.mul_f64(0.05) + grain,
                    "{jobs} at {per_s}/s: {left:?}, {truth:?}"
                );
            }
        }
    }

    #[test]
    fn a_limit_that_will_be_used_up_is_foreseen() {
        let limits = ["20/s", "10000/d"].map(|rate| rate.parse().expect("a rate"));
        let mut pace = Pace::begin(0);
        (1..=60).for_each(|s| pace.is_at(s * SECOND_US, s as u64 * 20));
        let left = pace.left(25_000, &limits).expect("it moves");
        assert!(left > Duration::from_secs(2 * 86_400), "{left:?}");
    }

    #[test]
    fn little_is_kept_however_long_it_goes() {
        let mut pace = Pace::begin(0);
        (1..=1_000_000).for_each(|s| pace.is_at(s * SECOND_US, s as u64));
        assert!(pace.marks.len() <= MARKS && pace.recent.len() <= RECENT + 1);
        assert!((pace.steady_per_s() - 1.0).abs() < 0.01);
    }

    #[test]
    fn what_stands_still_tells_no_end() {
        let mut pace = Pace::begin(0);
        (1..=60).for_each(|s| pace.is_at(s * SECOND_US, 0));
        assert_eq!((pace.per_s(), pace.left(10, &[])), (0.0, None));
    }
}
