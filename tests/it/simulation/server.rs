//! The server of a life: it notes each arrival, and no window may ever hold more than its limit.

use haul::clock::Micros;
use haul::limit::Limit;

/// What arrived, over the whole life: a crash of the process does not touch it.
#[derive(Debug, Default)]
pub(crate) struct Server {
    /// In order of arrival.
    arrivals: Vec<(Micros, i64)>,
}

impl Server {
    /// A request for this job is on its way, and nothing can stop it any more.
    pub(crate) fn expect(&mut self, at_us: Micros, job: i64, limits: &[Limit]) {
        let place = self.arrivals.partition_point(|arrival| *arrival <= (at_us, job));
        self.arrivals.insert(place, (at_us, job));
        for limit in limits {
            // A window that holds too many now holds this one.
            let (most, first) = (limit.permits as usize, place.saturating_sub(limit.permits as usize));
            for many in self.arrivals[first..].windows(most + 1).take(place - first + 1) {
                let span_us = many[most].0 - many[0].0;
                assert!(
                    span_us >= limit.window_us,
                    "{} requests within {span_us} us, and {limit} is allowed",
                    most + 1
                );
            }
        }
    }

    pub(crate) fn arrivals(&self) -> &[(Micros, i64)] {
        &self.arrivals
    }
}
