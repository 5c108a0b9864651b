//! Other limits while a run goes, and what to say of the wait for them.

use super::{Caution, Even, Pacer, Ring};
use crate::clock::Micros;
use crate::limit::{Left, Limit, Wait, is_long};

impl Pacer {
    /// From now on these limits hold. What was sent counts in the new ones too, so none of their windows holds more than is
    /// allowed from here on, unless it did before. A limit that stays is as it was, with what refusals have taught; a new
    /// one begins without, as it does in a new run. A pause that the server asked for goes on.
    pub fn relimit(&mut self, limits: &[Limit], now_us: Micros) {
        let old: Vec<_> = std::mem::take(&mut self.limits).into_iter().zip(std::mem::take(&mut self.rings)).collect();
        let paced = shortest(old.iter().map(|(limit, _)| limit)).map(|limit| limit.name.clone());
        let known: Vec<_> = old.iter().map(|(limit, _)| limit.name.clone()).collect();
        let mut old: Vec<_> = old.into_iter().map(Some).collect();
        for limit in limits {
            let stays = known.iter().position(|name| *name == limit.name).and_then(|at| old[at].take());
            let (limit, ring) = stays.unwrap_or_else(|| (limit.clone(), self.ring_of(limit, now_us)));
            self.limits.push(limit);
            self.rings.push(ring);
        }
        if self.limits.iter().any(|limit| !known.contains(&limit.name)) {
            self.widened = self.next; // refusals of what was sent under other limits tell nothing of these
        }
        let now_paced = shortest(self.limits.iter());
        if now_paced.map(|limit| &limit.name) == paced.as_ref() {
            return;
        }
        let learned = self.limits.iter().zip(&self.rings).find(|(limit, _)| Some(*limit) == now_paced);
        self.caution = learned.map(|(limit, ring)| Caution::new(limit, ring.doublings));
        self.even = now_paced.map(|limit| {
            let mut even = Even::new(limit, now_us);
            even.rest(self.last_us.saturating_add(limit.window_us / Micros::from(limit.permits.max(1))));
            even
        });
        self.pause(self.paused_until_us);
    }

    /// What this limit would hold had it been kept all the time.
    fn ring_of(&self, limit: &Limit, now_us: Micros) -> Ring {
        let mut ring = Ring::new(limit);
        for (arrived_us, requests) in self.history.after(now_us.saturating_sub(limit.window_us)) {
            ring.arrived(arrived_us.min(now_us), requests);
        }
        for flight in self.flights.values() {
            ring.sent(flight.sent_us, 1);
            if flight.cold {
                ring.cold(flight.sent_us);
            }
        }
        ring.forget(now_us);
        ring
    }

    /// Why the next request may not be sent now, and until when, as far as that is known; `None`: it may, or nobody knows.
    #[must_use]
    pub fn wait(&self, now_us: Micros) -> Option<Wait> {
        let until_us = self.earliest(now_us).filter(|until_us| *until_us > now_us)?;
        let full = |(limit, ring): (&Limit, &Ring)| Some((ring.ahead().next_us()?, limit.name.clone()));
        let full = self.limits.iter().zip(&self.rings).filter_map(full).max();
        let full = full.filter(|(full_until_us, _)| *full_until_us > now_us);
        let asked_us = self.allowances.earliest(0, self.paused_until_us);
        let limit = match full {
            Some((full_until_us, limit)) if full_until_us >= asked_us => Some(limit),
            _ if asked_us > now_us => None,
            _ => shortest(self.limits.iter()).map(|limit| limit.name.clone()),
        };
        Some(Wait { until_us, limit })
    }

    /// What the limits with long windows have left, where anything of them was used.
    #[must_use]
    pub fn left(&self, now_us: Micros) -> Vec<Left> {
        let long = self.limits.iter().zip(&self.rings).filter(|(limit, _)| is_long(limit.window_us));
        let left = long.map(|(limit, ring)| ring.left(limit, now_us));
        left.filter(|left| left.left < left.permits).collect()
    }
}

/// The limit that sets the pace.
fn shortest<'a>(limits: impl Iterator<Item = &'a Limit>) -> Option<&'a Limit> {
    limits.min_by_key(|limit| (limit.window_us, limit.permits))
}
