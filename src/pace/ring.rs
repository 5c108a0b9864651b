//! The rule of one limit, from the sends that still count.
//!
//! A permit is *void* one window after its request is known to have reached the server: `min(end, send + J) + W`, or `end + W`
//! where a connection had to be opened first. A request may be sent while fewer than N permits are not void.
//!
//! No half-open window at the server then holds more than N. Proof: take N + 1 requests that arrive within less than W and
//! of them the one sent last, at `t`. Each of the others had arrived by `void - W`, and arrives less than W before or after the last
//! one does, at `t` or later; so its `void` is beyond `t`. That makes N permits not void at `t`, and none was to be had.

use std::collections::{BTreeMap, VecDeque, btree_map};
use std::iter::Peekable;

use crate::clock::Micros;
use crate::limit::{Left, Limit};

/// Up to so many permits each is kept to the microsecond; above, they share buckets.
const EXACT_PERMITS: u32 = 20_000;

/// Buckets a window is cut into where permits share them.
const BUCKETS: Micros = 1_000;

/// The permits of one limit that are not void yet.
#[derive(Debug)]
pub(super) struct Ring {
    permits: i64,
    window_us: Micros,
    jitter_us: Micros,
    /// How often J was doubled, in this run and before.
    pub(super) doublings: u32,
    /// Width of a bucket. A permit is void when its bucket ends: later than it need be, never sooner.
    bucket_us: Micros,
    /// Permits by the time at which they are void.
    voids: BTreeMap<Micros, i64>,
    /// Their sum.
    known: i64,
    /// Permits of requests whose connection is not open yet: nobody knows when they are void.
    unknown: i64,
}

impl Ring {
    pub(super) fn new(limit: &Limit) -> Self {
        let window_us = limit.window_us.max(1);
        let bucket_us = if limit.permits > EXACT_PERMITS { (window_us / BUCKETS).max(1) } else { 1 };
        Self {
            permits: i64::from(limit.permits.max(1)),
            window_us,
            jitter_us: limit.jitter_us.max(0),
            doublings: 0,
            bucket_us,
            voids: BTreeMap::new(),
            known: 0,
            unknown: 0,
        }
    }

    /// Counts permits as sent at `sent_us`, on an open connection.
    pub(super) fn sent(&mut self, sent_us: Micros, permits: u32) {
        self.add(sent_us.saturating_add(self.jitter_us), i64::from(permits));
    }

    /// Counts requests that are known to have reached the server by then.
    pub(super) fn arrived(&mut self, arrived_us: Micros, requests: i64) {
        self.add(arrived_us, requests);
    }

    /// How many permits are left now, and when there is one more.
    pub(super) fn left(&self, limit: &Limit, now_us: Micros) -> Left {
        let used = self.voids.range(now_us.saturating_add(1)..);
        let known: i64 = used.clone().map(|(_, permits)| permits).sum();
        let left = u32::try_from((self.permits - known - self.unknown).max(0)).unwrap_or(u32::MAX);
        // Of a limit that is new more may be used than there are.
        let mut over = (known + self.unknown - self.permits).max(0);
        let frees = |(_, permits): &(&Micros, &i64)| {
            over -= **permits;
            over < 0
        };
        let next_us = { used }.find(frees).map(|(void_us, _)| *void_us);
        Left { limit: limit.name.clone(), permits: limit.permits, left, next_us }
    }

    /// The request sent at `sent_us` had to open a connection: it counts until further notice.
    pub(super) fn cold(&mut self, sent_us: Micros) {
        self.remove(sent_us.saturating_add(self.jitter_us));
        self.unknown += 1;
    }

    /// The request sent at `sent_us` was answered, or failed.
    pub(super) fn ended(&mut self, sent_us: Micros, cold: bool, now_us: Micros) {
        let arrived_us = sent_us.saturating_add(self.jitter_us);
        if cold {
            self.unknown -= 1;
            self.add(now_us, 1);
        } else if now_us < arrived_us {
            self.remove(arrived_us);
            self.add(now_us, 1);
        }
    }

    /// The request sent at `sent_us` may have left as late as `now_us`.
    pub(super) fn delayed(&mut self, sent_us: Micros, now_us: Micros) {
        self.remove(sent_us.saturating_add(self.jitter_us));
        self.sent(now_us, 1);
    }

    /// Doubles J, up to W, for what was `sent` and has not ended, and for all that is still to come. The new J, if it is new.
    pub(super) fn widen(&mut self, sent: impl Iterator<Item = Micros>, now_us: Micros) -> Option<Micros> {
        let old_us = self.jitter_us;
        let new_us = old_us.max(1).saturating_mul(2).min(self.window_us);
        if new_us <= old_us {
            return None;
        }
        for sent_us in sent {
            self.remove(sent_us.saturating_add(old_us));
            self.add(sent_us.saturating_add(new_us), 1);
        }
        self.jitter_us = new_us;
        self.doublings += 1;
        self.forget(now_us);
        Some(new_us)
    }

    /// Drops the permits that are void by now.
    pub(super) fn forget(&mut self, now_us: Micros) {
        while let Some(first) = self.voids.first_entry().filter(|first| *first.key() <= now_us) {
            self.known -= first.remove();
        }
    }

    /// What may be sent from here on, as far as it is known.
    pub(super) fn ahead(&self) -> Ahead<'_> {
        Ahead {
            ring: self,
            free: self.permits - self.known - self.unknown,
            voids: self.voids.iter().peekable(),
            planned: VecDeque::new(),
            at_us: Micros::MIN,
        }
    }

    fn void_us(&self, arrived_us: Micros) -> Micros {
        let void_us = arrived_us.saturating_add(self.window_us);
        match void_us.rem_euclid(self.bucket_us) {
            0 => void_us,
            over => void_us.saturating_add(self.bucket_us - over),
        }
    }

    fn add(&mut self, arrived_us: Micros, permits: i64) {
        let void_us = self.void_us(arrived_us);
        *self.voids.entry(void_us).or_insert(0) += permits;
        self.known += permits;
    }

    /// Takes one permit back, unless it was forgotten before.
    fn remove(&mut self, arrived_us: Micros) {
        let void_us = self.void_us(arrived_us);
        if let btree_map::Entry::Occupied(mut bucket) = self.voids.entry(void_us) {
            *bucket.get_mut() -= 1;
            self.known -= 1;
            if *bucket.get() == 0 {
                bucket.remove();
            }
        }
    }
}

/// A walk through the times to come, which counts what it plans as sent.
#[derive(Debug)]
pub(super) struct Ahead<'a> {
    ring: &'a Ring,
    /// Permits to be had at `at_us`.
    free: i64,
    voids: Peekable<btree_map::Iter<'a, Micros, i64>>,
    /// When the planned ones are void, in order.
    planned: VecDeque<Micros>,
    at_us: Micros,
}

impl Ahead<'_> {
    /// The earliest time of the next request; `None`: it hangs on a connection that is not open yet.
    pub(super) fn next_us(&mut self) -> Option<Micros> {
        while self.free <= 0 {
            let kept = self.voids.peek().map(|(void_us, _)| **void_us);
            let (void_us, permits) = match (kept, self.planned.front().copied()) {
                (Some(kept), Some(planned)) if planned < kept => (self.planned.pop_front()?, 1),
                (Some(_), _) => self.voids.next().map(|(void_us, permits)| (*void_us, *permits))?,
                (None, _) => (self.planned.pop_front()?, 1),
            };
            self.at_us = self.at_us.max(void_us);
            self.free += permits;
        }
        Some(self.at_us)
    }

    /// Plans a request, no sooner than the last one planned.
    pub(super) fn plan(&mut self, at_us: Micros) {
        self.free -= 1;
        self.planned.push_back(self.ring.void_us(at_us.saturating_add(self.ring.jitter_us)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: Micros = 1_000_000;
    const J: Micros = 20_000;

    fn ring(rate: &str) -> Ring {
        Ring::new(&rate.parse().unwrap())
    }

    fn next(ring: &Ring) -> Option<Micros> {
        ring.ahead().next_us()
    }

    #[test]
    fn a_permit_comes_back_one_window_after_the_spread() {
        let mut ring = ring("2/s");
        ring.sent(0, 1);
        assert_eq!(next(&ring), Some(Micros::MIN));
        ring.sent(300, 1);
        assert_eq!(next(&ring), Some(J + W));
    }

    #[test]
    fn a_quick_answer_brings_it_back_sooner_and_a_slow_one_no_later() {
        let mut ring = ring("1/s");
        ring.sent(0, 1);
        ring.ended(0, false, 4_000);
        assert_eq!(next(&ring), Some(4_000 + W));
        ring.forget(4_000 + W);
        ring.sent(2 * W, 1);
        ring.ended(2 * W, false, 2 * W + 500_000);
        assert_eq!(next(&ring), Some(2 * W + J + W));
    }

    #[test]
    fn a_new_connection_counts_until_its_request_has_ended() {
        let mut ring = ring("1/s");
        ring.sent(0, 1);
        ring.cold(0);
        ring.forget(10 * W);
        assert_eq!(next(&ring), None);
        ring.ended(0, true, 10 * W);
        assert_eq!(next(&ring), Some(11 * W));
    }

    #[test]
    fn a_new_connection_holds_one_permit_and_not_those_behind_it() {
        let mut ring = ring("2/s");
        ring.sent(0, 1);
        ring.cold(0);
        ring.sent(100, 1);
        assert_eq!(next(&ring), Some(100 + J + W));
    }

    #[test]
    fn planned_requests_count_among_themselves() {
        let ring = ring("2/1ms"); // J is many windows wide here
        let mut ahead = ring.ahead();
        let mut planned = Vec::new();
        for _ in 0..5 {
            let at = ahead.next_us().unwrap().max(0);
            ahead.plan(at);
            planned.push(at);
        }
        assert_eq!(planned, [0, 0, 21_000, 21_000, 42_000]);
    }

    #[test]
    fn a_wider_spread_reaches_what_has_not_ended_and_stops_at_the_window() {
        let mut ring = ring("1/s");
        ring.sent(0, 1);
        assert_eq!(ring.widen([0].into_iter(), 1_000), Some(2 * J));
        assert_eq!(next(&ring), Some(2 * J + W));
        ring.jitter_us = 700_000;
        assert_eq!(ring.widen([].into_iter(), 1_000), Some(W));
        assert_eq!(ring.widen([].into_iter(), 1_000), None);
    }

    #[test]
    fn buckets_bound_the_memory() {
        for rate in ["100000/s", "4294967295/d"] {
            let mut ring = ring(rate);
            for k in 0..200_000 {
                let now_us = k * ring.window_us / 100_000;
                ring.forget(now_us);
                ring.sent(now_us, 1);
                assert!(ring.voids.len() <= 1_100, "{rate}");
            }
        }
    }

    #[test]
    fn a_bucket_is_void_with_the_last_of_its_permits_and_no_sooner() {
        let mut ring = ring("25000/s");
        ring.sent(12_345, 25_000);
        assert_eq!(next(&ring), Some(W + J + 13_000));
        ring.ended(12_345, false, 12_345 + 655);
        assert_eq!(next(&ring), Some(W + 13_000));
        assert_eq!(ring.known, 25_000);
    }
}
