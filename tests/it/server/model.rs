//! How servers count: the models of limits in use, as functions of arrival times.

use std::collections::VecDeque;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// A way to hold clients to N requests per W. What is refused counts only where that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// At most N in each window of the server's clock, which begin at multiples of W.
    FixedByClock,
    /// At most N in a window that begins with the first arrival after the last window.
    FixedByFirst,
    /// At most N admitted in any half-open window.
    SlidingLog,
    /// The same, but what is refused counts too: who goes on asking is never let in.
    EveryArrival,
    /// As content delivery networks do: what this window admitted, and the share of the last one that a sliding window would
    /// still overlap, must be less than N before an arrival is admitted.
    SlidingCounter,
    /// A bucket of N tokens, full at first, that gains N per W; each arrival takes one.
    Bucket,
    /// GCRA with a burst of one: nothing sooner than W/N after the last that was admitted.
    Strict,
}

/// A limit, counting. Times must not run backwards from call to call.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// At most this many ..
    permits: u64,
    /// .. in so long.
    window_ns: u64,
    counts: Counts,
}

/// What a model remembers.
#[derive(Debug)]
enum Counts {
    Fixed {
        by_clock: bool,
        from_ns: Option<u64>,
        count: u64,
    },
    Log {
        counts_refused: bool,
        at_ns: VecDeque<u64>,
    },
    Counter {
        window: u64,
        current: u64,
        previous: u64,
    },
    /// In parts of a token: W of them are one, and each nanosecond brings N.
    Bucket {
        parts: u128,
        at_ns: u64,
    },
    Strict {
        last_ns: Option<u64>,
    },
}

impl Limiter {
    pub(crate) fn new(model: Model, permits: usize, window: Duration) -> Self {
        let permits = permits as u64;
        let window_ns = u64::try_from(window.as_nanos()).expect("a window of less than 584 years");
        assert!(permits > 0 && window_ns > 0, "a limit that lets something through");
        let counts = match model {
            Model::FixedByClock | Model::FixedByFirst => {
                Counts::Fixed { by_clock: model == Model::FixedByClock, from_ns: None, count: 0 }
            }
            Model::SlidingLog | Model::EveryArrival => {
                Counts::Log { counts_refused: model == Model::EveryArrival, at_ns: VecDeque::new() }
            }
            Model::SlidingCounter => Counts::Counter { window: 0, current: 0, previous: 0 },
            Model::Bucket => Counts::Bucket { parts: u128::from(permits) * u128::from(window_ns), at_ns: 0 },
            Model::Strict => Counts::Strict { last_ns: None },
        };
        Self { permits, window_ns, counts }
    }

    /// Admits what arrives now, or tells after how many nanoseconds it would be admitted if nothing else came.
    pub(crate) fn arrive(&mut self, now_ns: u64) -> Result<(), u64> {
        let (permits, window_ns) = (self.permits, self.window_ns);
        match &mut self.counts {
            Counts::Fixed { by_clock, from_ns, count } => {
                let from_ns = match *from_ns {
                    Some(from_ns) if now_ns < from_ns + window_ns => from_ns,
                    _ => {
                        *count = 0;
                        *from_ns.insert(if *by_clock { now_ns - now_ns % window_ns } else { now_ns })
                    }
                };
                admit_if(*count < permits, from_ns + window_ns - now_ns).inspect(|()| *count += 1)
            }
            Counts::Log { counts_refused, at_ns } => log(at_ns, *counts_refused, permits, window_ns, now_ns),
            Counts::Counter { window, current, previous } => {
                let now = now_ns / window_ns;
                if now > *window {
                    (*previous, *current) = (if now == *window + 1 { *current } else { 0 }, 0);
                    *window = now;
                }
                counter(*current, *previous, permits, window_ns, now_ns % window_ns).inspect(|()| *current += 1)
            }
            Counts::Bucket { parts, at_ns } => {
                let (token, gain) = (u128::from(window_ns), u128::from(permits));
                *parts = (*parts + gain * u128::from(now_ns - *at_ns)).min(gain * token);
                *at_ns = now_ns;
                let wait_ns = token.saturating_sub(*parts).div_ceil(gain);
                admit_if(*parts >= token, wait_ns as u64).inspect(|()| *parts -= token)
            }
            Counts::Strict { last_ns } => {
                let next_ns = last_ns.map_or(0, |last_ns| last_ns + window_ns.div_ceil(permits));
                admit_if(now_ns >= next_ns, next_ns.saturating_sub(now_ns)).inspect(|()| *last_ns = Some(now_ns))
            }
        }
    }
}

fn admit_if(admitted: bool, wait_ns: u64) -> Result<(), u64> {
    if admitted { Ok(()) } else { Err(wait_ns) }
}

fn log(at_ns: &mut VecDeque<u64>, counts_refused: bool, permits: u64, window_ns: u64, now_ns: u64) -> Result<(), u64> {
    while at_ns.front().is_some_and(|first_ns| first_ns + window_ns <= now_ns) {
        at_ns.pop_front();
    }
    let admitted = (at_ns.len() as u64) < permits;
    if admitted || counts_refused {
        at_ns.push_back(now_ns);
    }
    if admitted {
        return Ok(());
    }
    // All but N - 1 of them must leave first.
    let last_to_leave_ns = at_ns[at_ns.len() - permits as usize];
    Err(last_to_leave_ns + window_ns - now_ns)
}

fn counter(current: u64, previous: u64, permits: u64, window_ns: u64, into_ns: u64) -> Result<(), u64> {
    let weighed = |count: u64, ns: u64| u128::from(count) * u128::from(ns);
    let left_ns = window_ns - into_ns;
    if weighed(previous, left_ns) + weighed(current, window_ns) < weighed(permits, window_ns) {
        return Ok(());
    }
    if current >= permits {
        return Err(left_ns + 1); // this window is the previous one by then, and weighs a little less than whole
    }
    // `previous` is not 0 here, as `current` alone would have been admitted.
    let over = weighed(previous, window_ns) - weighed(permits - current, window_ns);
    let from_ns = (over / u128::from(previous)) as u64 + 1;
    Err(from_ns - into_ns)
}
