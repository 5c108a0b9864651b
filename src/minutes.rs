//! Latency histograms by minute and stage: what percentiles and throughput are read from, at any size of the table.

use std::collections::BTreeMap;

use crate::attempt::Measured;
use crate::clock::{Micros, SECOND_US};

/// The spans an attempt is made of.
pub const STAGES: [&str; 6] = ["rate_wait", "ttfb", "fetch", "queue", "process", "latency"];

/// What fell into one bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Attempts.
    pub n: u64,
    /// Of these, beyond the SLA.
    pub late: u64,
    /// Of these, failed.
    pub failed: u64,
}

/// Start of the minute, stage, upper bound of the bucket -> what fell into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Minutes(pub BTreeMap<(Micros, &'static str, Micros), Bucket>);

impl Minutes {
    /// Counts an attempt that ended now.
    pub fn add(&mut self, measured: &Measured, failed: bool, now_us: Micros) {
        let minute = now_us - now_us.rem_euclid(60 * SECOND_US);
        let spans = spans(measured);
        // A failure belongs to the last stage that was reached: the one after which nothing was measured.
        let reached = spans[..5].iter().rposition(Option::is_some);
        for (i, (stage, span)) in STAGES.into_iter().zip(spans).enumerate() {
            let Some(span) = span else { continue };
            let bucket = self.0.entry((minute, stage, bucket_of(span))).or_default();
            bucket.n += 1;
            bucket.late += u64::from(stage == "latency" && measured.within_sla == Some(false));
            bucket.failed += u64::from(failed && Some(i) == reached);
        }
    }
}

impl Minutes {
    /// Counts a span of its own, in no minute.
    pub fn count(&mut self, name: &'static str, us: Micros) {
        self.0.entry((0, name, bucket_of(us))).or_default().n += 1;
    }

    /// The smallest bound that holds this share (`0.0 ..= 1.0`) of a stage's attempts, over all minutes; `None` = no attempt.
    #[must_use]
    pub fn percentile_us(&self, stage: &str, share: f64) -> Option<Micros> {
        let mut buckets = BTreeMap::<Micros, u64>::new();
        for ((_, _, bound), bucket) in self.0.iter().filter(|((_, s, _), _)| *s == stage) {
            *buckets.entry(*bound).or_default() += bucket.n;
        }
        let wanted = (buckets.values().sum::<u64>() as f64 * share).ceil() as u64;
        let mut seen = 0;
        buckets.into_iter().find_map(|(bound, n)| {
            seen += n;
            (seen >= wanted).then_some(bound)
        })
    }
}

/// How long each stage took, in the order of [`STAGES`].
#[must_use]
pub fn spans(measured: &Measured) -> [Option<Micros>; 6] {
    [
        measured.rate_wait_us,
        measured.ttfb_us,
        measured.fetch_us,
        measured.queue_us,
        measured.process_us,
        measured.latency_us,
    ]
}

/// Upper bound of the bucket that holds `us`: eight buckets an octave, so a bound is at most 1/8 above what it holds.
#[must_use]
pub fn bucket_of(us: Micros) -> Micros {
    let us = us.max(1);
    let octave = us.ilog2();
    let step = 1 << octave.saturating_sub(3);
    us.div_euclid(step).saturating_mul(step).saturating_add(step - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_at_most_an_eighth_above_what_it_holds() {
        for us in (1..5_000).chain([77_777, 1_234_567, 86_400_000_000]) {
            let bound = bucket_of(us);
            assert!(bound >= us && bound - us <= us / 8, "{us} -> {bound}");
            assert_eq!(bucket_of(bound), bound);
        }
    }

    #[test]
    fn percentiles_are_read_over_all_minutes() {
        let mut minutes = Minutes::default();
        for ms in 1..=100 {
            let measured = Measured { fetch_us: Some(ms * 1000), ..Measured::default() };
            minutes.add(&measured, false, ms * 10 * SECOND_US);
        }
        let p50 = minutes.percentile_us("fetch", 0.5).expect("there are attempts");
        assert!((50_000..=57_000).contains(&p50), "{p50}");
        assert_eq!(minutes.percentile_us("fetch", 1.0), Some(bucket_of(100_000)));
        assert_eq!(minutes.percentile_us("process", 0.5), None);
    }

    #[test]
    fn a_failure_is_counted_once_in_the_stage_it_ended_in() {
        let mut minutes = Minutes::default();
        let measured = Measured { rate_wait_us: Some(5), ttfb_us: Some(9), ..Measured::default() };
        minutes.add(&measured, true, 61 * SECOND_US);
        let failed: Vec<_> = minutes.0.iter().filter(|(_, b)| b.failed == 1).map(|((m, s, _), _)| (*m, *s)).collect();
        assert_eq!(failed, [(60 * SECOND_US, "ttfb")]);
    }
}
