//! A world in virtual time: a dispenser that wakes late, a network, and a server that notes each arrival.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Range;

use crate::backoff::chance;
use crate::clock::Micros;
use crate::limit::{DEFAULT_JITTER_US, Limit, Spend};
use crate::pace::{Pacer, Sent, void_after};

/// Whatever hands out permits: the pacer, or what it is compared with.
pub(super) trait Dispense {
    fn earliest(&self, now_us: Micros) -> Option<Micros>;
    fn send(&mut self, now_us: Micros) -> Option<Sent>;
    fn cold(&mut self, sent: Sent);
    fn ended(&mut self, sent: Sent, now_us: Micros) -> Micros;
    fn stalled(&mut self, now_us: Micros);
    fn forecast(&self, now_us: Micros, horizon_us: Micros) -> Vec<Micros>;
}

impl Dispense for Pacer {
    fn earliest(&self, now_us: Micros) -> Option<Micros> {
        self.earliest(now_us)
    }
    fn send(&mut self, now_us: Micros) -> Option<Sent> {
        self.send(now_us)
    }
    fn cold(&mut self, sent: Sent) {
        self.cold(sent);
    }
    fn ended(&mut self, sent: Sent, now_us: Micros) -> Micros {
        self.ended(sent, now_us)
    }
    fn stalled(&mut self, now_us: Micros) {
        self.stalled(now_us);
    }
    fn forecast(&self, now_us: Micros, horizon_us: Micros) -> Vec<Micros> {
        self.forecast(now_us, horizon_us, 64, 0)
    }
}

/// What may happen, each span drawn evenly.
#[derive(Debug, Clone)]
pub(super) struct Nature {
    pub(super) seed: u64,
    /// Each way; must stay below J.
    pub(super) one_way: Range<Micros>,
    /// From arrival to answer.
    pub(super) serve: Range<Micros>,
    /// How late a timer fires.
    pub(super) late: Range<Micros>,
    /// Share of requests that open a connection, and how long that takes.
    pub(super) cold: (f64, Range<Micros>),
    /// Share of wake-ups at which the process stands still, and how long.
    pub(super) stall: (f64, Range<Micros>),
}

impl Nature {
    /// Wakes up to 2 ms late; the server answers within 5 ms.
    pub(super) fn quick(seed: u64) -> Self {
        Self { seed, one_way: 100..1_000, serve: 500..3_000, late: 0..2_000, cold: (0.0, 0..1), stall: (0.0, 0..1) }
    }

    /// The server takes 100 ms, and requests overtake each other by up to J.
    pub(super) fn slow(seed: u64) -> Self {
        Self { one_way: 1_000..20_000, serve: 80_000..120_000, ..Self::quick(seed) }
    }

    /// One request in ten opens a connection, which takes up to a second; one wake-up in a hundred is up to 3 s late.
    pub(super) fn rough(seed: u64) -> Self {
        Self {
            serve: 0..400_000,
            one_way: 0..20_000,
            cold: (0.1, 1_000..1_000_000),
            stall: (0.01, 0..3_000_000),
            ..Self::quick(seed)
        }
    }
}

/// How the permits of a run are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claims {
    /// Every permit is used at once.
    None,
    /// As the pipeline does: shortly before it is due, with those that fall due within so many us, written down first.
    Written(Micros),
}

/// How long before the next permit falls due it is claimed.
const CLAIM_AHEAD_US: Micros = 25_000;

/// A request that was let go.
#[derive(Debug, Clone, Copy)]
struct Request {
    /// When it left: at once, or when its connection was open.
    left_us: Micros,
    arrived_us: Micros,
}

#[derive(Debug)]
pub(super) struct World {
    nature: Nature,
    draws: i64,
    pub(super) now_us: Micros,
    requests: Vec<Request>,
    ends: BinaryHeap<Reverse<(Micros, Sent)>>,
    /// Times after which the claimed permits are void.
    queued: VecDeque<Micros>,
    /// The same, of the requests in flight.
    flights: BTreeMap<Sent, Micros>,
    /// The same, of all that were written down.
    pub(super) spends: Vec<Micros>,
}

impl World {
    pub(super) fn new(nature: Nature) -> Self {
        Self {
            nature,
            draws: 0,
            now_us: 1_700_000_000_000_000,
            requests: Vec::new(),
            ends: BinaryHeap::new(),
            queued: VecDeque::new(),
            flights: BTreeMap::new(),
            spends: Vec::new(),
        }
    }

    fn chance(&mut self) -> f64 {
        self.draws += 1;
        chance(self.nature.seed, self.draws, 0)
    }

    fn draw(&mut self, range: &Range<Micros>) -> Micros {
        range.start + ((range.end - range.start) as f64 * self.chance()) as Micros
    }

    fn happens(&mut self, (share, span): &(f64, Range<Micros>)) -> Option<Micros> {
        let happens = *share > 0.0 && self.chance() < *share;
        happens.then(|| self.draw(span))
    }

    /// Lets a process live until `until_us` or a little longer. Then it dies, and what it claimed and did not send is lost.
    pub(super) fn live(&mut self, dispenser: &mut impl Dispense, claims: Claims, until_us: Micros) {
        self.go(dispenser, claims, until_us);
        self.die();
    }

    /// Lets a process go on until then.
    pub(super) fn go(&mut self, dispenser: &mut impl Dispense, claims: Claims, until_us: Micros) {
        while self.now_us < until_us {
            let ahead = if self.claim(dispenser, claims) { 0 } else { CLAIM_AHEAD_US };
            let target = dispenser.earliest(self.now_us).map(|due_us| (due_us - ahead).max(self.now_us));
            let late = self.draw(&self.nature.late.clone());
            let wake = target.map_or(Micros::MAX, |target| target + late);
            match self.ends.peek() {
                Some(Reverse((end_us, _))) if *end_us <= wake.min(until_us) => self.end(dispenser),
                _ if wake < until_us => self.wake(dispenser, claims, wake),
                _ => self.now_us = until_us,
            }
        }
    }

    /// The store knows which requests were in flight, and that they may have left as late as now.
    fn die(&mut self) {
        let now_us = self.now_us;
        self.requests.retain(|request| request.left_us <= now_us);
        for until_us in std::mem::take(&mut self.flights).into_values() {
            self.correct(until_us, now_us);
        }
        self.ends.clear();
        self.queued.clear();
    }

    /// A request left later than the time its permit was written down with.
    fn correct(&mut self, until_us: Micros, at_us: Micros) {
        if until_us < at_us
            && let Some(spend) = self.spends.iter_mut().find(|spend| **spend == until_us)
        {
            *spend = at_us;
        }
    }

    /// Whether a permit may be used, as far as claims go.
    fn claim(&mut self, dispenser: &impl Dispense, claims: Claims) -> bool {
        let Claims::Written(horizon_us) = claims else { return true };
        let soon = self.now_us + CLAIM_AHEAD_US;
        if self.queued.is_empty() && dispenser.earliest(self.now_us).is_some_and(|due_us| due_us <= soon) {
            self.queued.extend(dispenser.forecast(self.now_us, horizon_us).into_iter().map(void_after));
            self.spends.extend(&self.queued);
        }
        !self.queued.is_empty()
    }

    fn end(&mut self, dispenser: &mut impl Dispense) {
        if let Some(Reverse((end_us, sent))) = self.ends.pop() {
            self.now_us = self.now_us.max(end_us);
            let counts_from_us = dispenser.ended(sent, self.now_us);
            if let Some(until_us) = self.flights.remove(&sent)
                && until_us.saturating_add(DEFAULT_JITTER_US) < counts_from_us
            {
                self.correct(until_us, counts_from_us);
            }
        }
    }

    fn wake(&mut self, dispenser: &mut impl Dispense, claims: Claims, at_us: Micros) {
        self.now_us = at_us;
        self.stall(dispenser);
        loop {
            while self.queued.front().is_some_and(|until_us| *until_us < self.now_us) {
                self.queued.pop_front();
            }
            if claims != Claims::None && self.queued.is_empty() {
                return;
            }
            let Some(sent) = dispenser.send(self.now_us) else { return };
            let until_us = self.queued.pop_front().unwrap_or(Micros::MAX);
            self.flights.insert(sent, until_us);
            // It may stand still after it took a permit, before the request has left.
            self.stall(dispenser);
            self.travel(dispenser, sent);
        }
    }

    fn stall(&mut self, dispenser: &mut impl Dispense) {
        if let Some(stall_us) = self.happens(&self.nature.stall.clone()) {
            self.now_us += stall_us;
            dispenser.stalled(self.now_us);
        }
    }

    fn travel(&mut self, dispenser: &mut impl Dispense, sent: Sent) {
        let connect = self.happens(&self.nature.cold.clone());
        if connect.is_some() {
            dispenser.cold(sent);
        }
        let left_us = self.now_us + connect.unwrap_or(0);
        let arrived_us = left_us + self.draw(&self.nature.one_way.clone());
        self.requests.push(Request { left_us, arrived_us });
        let served_us = arrived_us + self.draw(&self.nature.serve.clone());
        let end_us = served_us + self.draw(&self.nature.one_way.clone());
        self.ends.push(Reverse((end_us, sent)));
    }

    pub(super) fn count(&self) -> usize {
        self.requests.len()
    }

    /// What earlier lives wrote down, as the store gives it back.
    pub(super) fn written(&self, limits: &[Limit]) -> Vec<Spend> {
        let rows = |limit: &Limit| {
            let name = limit.name.clone();
            self.spends.iter().map(move |until_us| Spend { limit: name.clone(), until_us: *until_us, permits: 1 })
        };
        limits.iter().flat_map(rows).collect()
    }

    /// The most requests within any half-open window that ends with the arrival of one that is not among the first so many.
    pub(super) fn most_within_after(&self, window_us: Micros, first: usize) -> usize {
        let within = |end_us: Micros| {
            let before = self.requests.iter().filter(|other| end_us - window_us < other.arrived_us);
            before.filter(|other| other.arrived_us <= end_us).count()
        };
        self.requests[first..].iter().map(|request| within(request.arrived_us)).max().unwrap_or(0)
    }

    /// The most requests that reached the server within any half-open window.
    pub(super) fn most_within(&self, window_us: Micros) -> usize {
        let mut arrivals: Vec<_> = self.requests.iter().map(|request| request.arrived_us).collect();
        arrivals.sort_unstable();
        let mut first = 0;
        let mut most = 0;
        for (last, at_us) in arrivals.iter().enumerate() {
            while arrivals[first] + window_us <= *at_us {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }
}
