//! Whether the CPU can keep up with the requests: decided from what processing takes, the rate and the threads.

use std::fmt;

use crate::clock::{Micros, SECOND_US};
use crate::limit::Limit;

/// Nothing is concluded from fewer processings.
const ENOUGH: u32 = 20;

/// The mean is that of about the last so many.
const SPAN: f64 = 50.0;

/// It is enough again below this share of the threads; between the two nothing changes.
const AMPLE: f64 = 0.9;

/// Processing takes more CPU than there is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shortage {
    /// Cores that the rate needs.
    pub needs: f64,
    /// The rate: requests a second.
    pub per_s: f64,
    /// Threads there are, each with a core.
    pub threads: usize,
    /// Results a second that these can make.
    pub holds_per_s: f64,
    /// There is an SLA, which queues will break.
    pub sla: bool,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needs, per_s, threads, holds_per_s, sla } = *self;
        let (per_s, holds) = (rate(per_s), rate(holds_per_s));
        write!(f, "processing needs {needs:.1} cores at {per_s}/s, there are {threads}: ")?;
        match sla {
            true => write!(f, "the SLA cannot hold above {holds}/s"),
            false => write!(f, "no more than {holds}/s get done"),
        }
    }
}

/// Rounded down: a promise of more would not hold.
fn rate(per_s: f64) -> String {
    if per_s < 10.0 { format!("{:.1}", (per_s * 10.0).floor() / 10.0) } else { format!("{}", per_s.floor()) }
}

/// What the processings of a run have taken so far.
#[derive(Debug, Clone)]
pub struct Capacity {
    threads: usize,
    per_s: Option<f64>,
    sla: bool,
    seen: u32,
    mean_us: f64,
    short: bool,
}

impl Capacity {
    /// Nothing is known yet. Without a limit requests follow the processing, so it is always enough.
    #[must_use]
    pub fn new(threads: usize, limits: &[Limit], sla: bool) -> Self {
        let mut capacity = Self { threads, per_s: None, sla, seen: 0, mean_us: 0.0, short: false };
        capacity.relimit(limits);
        capacity
    }

    /// From now on these limits hold.
    pub fn relimit(&mut self, limits: &[Limit]) {
        let per_s = limits.iter().map(|limit| f64::from(limit.permits) * SECOND_US as f64 / limit.window_us as f64);
        self.per_s = per_s.min_by(f64::total_cmp);
    }

    /// What a processing takes, as far as that is known.
    #[must_use]
    pub fn mean_us(&self) -> Option<f64> {
        (self.seen >= ENOUGH).then_some(self.mean_us)
    }

    /// Takes a processing into account that took so long. `Some`: what there is has become too little, or enough again.
    pub fn add(&mut self, process_us: Micros) -> Option<Option<Shortage>> {
        self.seen = self.seen.saturating_add(1);
        self.mean_us += (process_us as f64 - self.mean_us) / f64::from(self.seen).min(SPAN);
        let per_s = self.per_s.filter(|_| self.seen >= ENOUGH)?;
        let (needs, threads) = (per_s * self.mean_us / SECOND_US as f64, self.threads as f64);
        let short = needs > if self.short { AMPLE * threads } else { threads };
        if short == self.short {
            return None;
        }
        self.short = short;
        let holds_per_s = threads * SECOND_US as f64 / self.mean_us;
        let shortage = Shortage { needs, per_s, threads: self.threads, holds_per_s, sla: self.sla };
        Some(short.then_some(shortage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(permits: u32, window_us: Micros) -> Limit {
        Limit { name: String::new(), permits, window_us, jitter_us: 0 }
    }

    /// What is said while so many processings each take so long.
    fn said(capacity: &mut Capacity, times: u32, process_us: Micros) -> Vec<Option<String>> {
        let said = (0..times).filter_map(|_| capacity.add(process_us));
        said.map(|shortage| shortage.map(|shortage| shortage.to_string())).collect()
    }

    // Seen failing without the bound between enough and too little: it was said at every processing near it.
    #[test]
    fn a_shortage_is_said_once_and_so_is_its_end() {
        let mut capacity = Capacity::new(2, &[limit(20, SECOND_US), limit(10_000, SECOND_US)], true);
        assert_eq!(said(&mut capacity, 19, 120_000), [], "too few to tell");
        let text = "processing needs 2.4 cores at 20/s, there are 2: the SLA cannot hold above 16/s";
        assert_eq!(said(&mut capacity, 500, 120_000), [Some(text.to_owned())]);
        for n in 0..1_000 {
            assert_eq!(capacity.add(if n % 2 == 0 { 90_000 } else { 105_000 }), None, "about enough, {n}");
        }
        assert_eq!(said(&mut capacity, 500, 50_000), [None]);
        assert_eq!(said(&mut capacity, 500, 120_000).len(), 1);
    }

    #[test]
    fn without_a_limit_or_with_cores_to_spare_nothing_is_said() {
        assert_eq!(said(&mut Capacity::new(1, &[], true), 100, 10_000_000), []);
        assert_eq!(said(&mut Capacity::new(2, &[limit(20, SECOND_US)], true), 100, 99_000), []);
    }

    #[test]
    fn without_an_sla_what_gets_done_is_said() {
        let mut capacity = Capacity::new(1, &[limit(600, 60 * SECOND_US)], false);
        let text = "processing needs 2.5 cores at 10/s, there are 1: no more than 4.0/s get done";
        assert_eq!(said(&mut capacity, 30, 250_000), [Some(text.to_owned())]);
    }
}
