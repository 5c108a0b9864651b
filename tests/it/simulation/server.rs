//! The server of a life: it notes each arrival, and no window may ever hold more than its limit.

use haul::clock::Micros;
use haul::limit::Limit;

/// How a server counts what it lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// Windows that stand side by side.
    Fixed,
    /// The window that ends now.
    Log,
    /// The window that goes, and a share of the one before it.
    Counter,
    /// Tokens that come back evenly, as many as the limit at most.
    Bucket,
    /// Never two closer together than the limit divided evenly.
    Strict,
}

impl Model {
    pub(crate) const ALL: [Self; 5] = [Self::Fixed, Self::Log, Self::Counter, Self::Bucket, Self::Strict];

    /// Whoever keeps the rule is never refused.
    pub(crate) fn is_fair(self) -> bool {
        !matches!(self, Self::Counter | Self::Strict)
    }
}

/// What arrived, over the whole life: a crash of the process does not touch it.
#[derive(Debug, Default)]
pub(crate) struct Server {
    /// In order of arrival.
    arrivals: Vec<(Micros, i64)>,
    /// Those that were let through.
    admitted: Vec<Micros>,
    /// Tokens of each limit, and when they were counted.
    tokens: Vec<(f64, Micros)>,
    /// The largest share of a window that was ever in use.
    pub(crate) fullest: f64,
    /// Requests that the model refused.
    pub(crate) refused: usize,
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
            let begin = self.arrivals.partition_point(|(arrived_us, _)| *arrived_us <= at_us - limit.window_us);
            self.fullest = self.fullest.max((place + 1 - begin) as f64 / f64::from(limit.permits));
        }
    }

    /// Whether it lets this one through, as it counts.
    pub(crate) fn admits(&mut self, model: Model, at_us: Micros, limits: &[Limit]) -> bool {
        self.tokens.resize(limits.len(), (f64::MAX, at_us));
        let shortest = limits.iter().map(|limit| limit.window_us).min();
        let admits = limits.iter().enumerate().all(|(which, limit)| {
            let short = Some(limit.window_us) == shortest;
            match model {
                Model::Fixed => self.within(at_us - at_us.rem_euclid(limit.window_us), at_us) < limit.permits as usize,
                Model::Counter if short => self.counted(at_us, limit) + 1.0 <= f64::from(limit.permits),
                Model::Strict if short => self.is_even(at_us, limit),
                Model::Bucket => self.drip(which, at_us, limit) >= 1.0,
                Model::Log | Model::Counter | Model::Strict => {
                    self.within(at_us - limit.window_us + 1, at_us) < limit.permits as usize
                }
            }
        });
        if admits {
            let place = self.admitted.partition_point(|admitted_us| *admitted_us <= at_us);
            self.admitted.insert(place, at_us);
            self.tokens.iter_mut().for_each(|(left, _)| *left -= 1.0);
        }
        self.refused += usize::from(!admits);
        admits
    }

    /// Admitted from then on, until now.
    fn within(&self, from_us: Micros, at_us: Micros) -> usize {
        let place = |us| self.admitted.partition_point(|admitted_us| *admitted_us < us);
        place(at_us + 1) - place(from_us)
    }

    fn counted(&self, at_us: Micros, limit: &Limit) -> f64 {
        let into_us = at_us.rem_euclid(limit.window_us);
        let begin_us = at_us - into_us;
        let before = self.within(begin_us - limit.window_us, begin_us - 1) as f64;
        before * (1.0 - into_us as f64 / limit.window_us as f64) + self.within(begin_us, at_us) as f64
    }

    fn is_even(&self, at_us: Micros, limit: &Limit) -> bool {
        let gap_us = limit.window_us / Micros::from(limit.permits);
        self.within(at_us - gap_us + 1, at_us) == 0
    }

    fn drip(&mut self, which: usize, at_us: Micros, limit: &Limit) -> f64 {
        let (left, since_us) = &mut self.tokens[which];
        let come = (at_us - *since_us).max(0) as f64 * f64::from(limit.permits) / limit.window_us as f64;
        (*left, *since_us) = ((*left + come).min(f64::from(limit.permits)), at_us.max(*since_us));
        *left + 1e-6
    }

    pub(crate) fn arrivals(&self) -> &[(Micros, i64)] {
        &self.arrivals
    }
}
