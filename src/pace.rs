//! When a request may be sent: the rule of every limit, jointly, and the even pace of the shortest.
//!
//! A state machine without I/O, clock or chance: the dispenser of a run and the simulation drive the same one,
//! through the same queue.

mod allowance;
mod caution;
mod dispenser;
mod even;
mod queue;
mod ring;
mod trouble;

use std::collections::BTreeMap;

use crate::clock::Micros;
use crate::limit::{Allowance, Limit, Spend};

use allowance::Allowances;
use caution::Caution;
pub use dispenser::Dispenser;
use even::Even;
pub use queue::{Queue, TICK_US, Turn};
use ring::{Ahead, Ring};
pub use trouble::Setback;
use trouble::Trouble;

/// How long after it falls due a permit may be used: a claim's commit and a late timer, with room to spare.
pub const PERMIT_SLACK_US: Micros = 50_000;

/// Times after which permits are void are rounded up to this, so that many share one row.
const SHARED_US: Micros = 5_000;

/// The time after which a permit that falls due at `due_us` is void. Whoever holds it must not send by it later than that.
#[must_use]
pub fn void_after(due_us: Micros) -> Micros {
    let until_us = due_us.saturating_add(PERMIT_SLACK_US);
    until_us.saturating_add((SHARED_US - until_us.rem_euclid(SHARED_US)) % SHARED_US)
}

/// A request that took a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sent(u64);

/// What is known of a request that has not ended.
#[derive(Debug, Clone, Copy)]
struct Flight {
    sent_us: Micros,
    /// It had to open a connection.
    cold: bool,
}

/// Hands out permits. Times must not run backwards from call to call.
#[derive(Debug)]
pub struct Pacer {
    limits: Vec<Limit>,
    /// One for each limit, in their order.
    rings: Vec<Ring>,
    even: Option<Even>,
    caution: Option<Caution>,
    allowances: Allowances,
    trouble: Trouble,
    /// When the last request was sent.
    last_us: Micros,
    paused_until_us: Micros,
    /// As many as there are requests in flight.
    flights: BTreeMap<Sent, Flight>,
    next: Sent,
    /// The first request sent since the jitter was last changed.
    widened: Sent,
}

impl Pacer {
    /// A pacer with nothing saved up: the first permit may fall due at once, the others follow evenly.
    ///
    /// All `limits` hold at once; without any, everything is due at once. `spends` are the permits that earlier runs wrote
    /// down: each counts as sent at the last moment it could have been, which is now where that is still to come. Permits
    /// of requests that were in flight when a run died belong at `now_us` too: a slow connection sends after `until_us`.
    #[must_use]
    pub fn new(limits: &[Limit], spends: &[Spend], paused_until_us: Micros, now_us: Micros) -> Self {
        let shortest = limits.iter().min_by_key(|limit| (limit.window_us, limit.permits));
        let mut pacer = Self {
            limits: limits.to_vec(),
            rings: limits.iter().map(Ring::new).collect(),
            even: shortest.map(|limit| Even::new(limit, now_us)),
            caution: shortest.map(|limit| Caution::new(limit, 0)),
            allowances: Allowances::default(),
            trouble: Trouble::default(),
            last_us: Micros::MIN,
            paused_until_us,
            flights: BTreeMap::new(),
            next: Sent(0),
            widened: Sent(0),
        };
        for (limit, ring) in limits.iter().zip(&mut pacer.rings) {
            for spend in spends.iter().filter(|spend| spend.limit == limit.name) {
                ring.sent(spend.until_us.min(now_us), spend.permits);
            }
            ring.forget(now_us);
        }
        pacer.pause(paused_until_us);
        pacer
    }

    /// The same pacer, with what earlier runs learned: the server has refused requests although every limit was kept, and J
    /// was doubled so often for it.
    #[must_use]
    pub fn wary(mut self, doublings: u32) -> Self {
        let shortest = self.limits.iter().min_by_key(|limit| (limit.window_us, limit.permits));
        self.caution = shortest.map(|limit| Caution::new(limit, doublings));
        self
    }

    /// The limits, with their jitter as it is now.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// The earliest time at which the next request may be sent, as far as is known now and never before `now_us`.
    /// An end, a cold connection, a pause or a refusal changes it. `None`: it hangs on connections that are not open yet.
    #[must_use]
    pub fn earliest(&self, now_us: Micros) -> Option<Micros> {
        self.plan(now_us).next()
    }

    /// Takes a permit for a request that is sent now; `None`: it may not be sent yet. A permit taken is spent.
    pub fn send(&mut self, now_us: Micros) -> Option<Sent> {
        if self.earliest(now_us)? > now_us {
            return None;
        }
        if let Some(even) = &mut self.even {
            // Cannot refuse: `earliest` has just asked a copy.
            even.take(now_us).ok()?;
        }
        let sent = self.next;
        self.next = Sent(sent.0 + 1);
        self.last_us = now_us;
        self.trouble.sent(sent);
        self.allowances.sent(now_us);
        for ring in &mut self.rings {
            ring.forget(now_us);
            ring.sent(now_us, 1);
        }
        if !self.rings.is_empty() {
            self.flights.insert(sent, Flight { sent_us: now_us, cold: false });
        }
        Some(sent)
    }

    /// This request has to open a connection: when it will reach the server is not known until it has ended.
    pub fn cold(&mut self, sent: Sent) {
        let Some(flight) = self.flights.get_mut(&sent).filter(|flight| !flight.cold) else { return };
        flight.cold = true;
        for ring in &mut self.rings {
            ring.cold(flight.sent_us);
        }
    }

    /// The head of its response, or its error, was seen. Every permit taken must come here, or it is remembered for good.
    ///
    /// Returns the time from which its permit counts: the latest at which the request can have reached the server. Where
    /// that is more than J after the time its permit was written down with, what is written down is too early.
    pub fn ended(&mut self, sent: Sent, now_us: Micros) -> Micros {
        let Some(flight) = self.flights.remove(&sent) else { return now_us };
        for ring in &mut self.rings {
            ring.ended(flight.sent_us, flight.cold, now_us);
        }
        let jitter_us = self.limits.iter().map(|limit| limit.jitter_us).max().unwrap_or(0);
        if flight.cold { now_us } else { now_us.min(flight.sent_us.saturating_add(jitter_us)) }
    }

    /// The process stood still until now (a timer fired late): requests that took their permit before, and have not ended,
    /// may leave only now. To be called before the next permit is taken.
    pub fn stalled(&mut self, now_us: Micros) {
        for flight in self.flights.values_mut().filter(|flight| !flight.cold) {
            for ring in &mut self.rings {
                ring.delayed(flight.sent_us, now_us);
            }
            flight.sent_us = now_us;
        }
    }

    /// Nothing is sent before `until_us`, and nothing is saved up until then.
    pub fn pause(&mut self, until_us: Micros) {
        self.paused_until_us = self.paused_until_us.max(until_us);
        if let Some(caution) = &mut self.caution {
            caution.paused(until_us);
        }
        if let Some(even) = &mut self.even {
            even.rest(until_us);
        }
    }

    /// The server refused this request with a 429 although every limit was kept: the spread must be wider than J, or the server
    /// counts in another way. Doubles J, up to W, makes the pace strictly even and slower, and returns the limits that
    /// changed. Refusals of requests sent before the last change tell nothing new.
    pub fn refused(&mut self, sent: Sent, now_us: Micros) -> Vec<Limit> {
        self.trouble.well();
        if sent < self.widened {
            return Vec::new();
        }
        self.widened = self.next;
        let mut changed = Vec::new();
        for (limit, ring) in self.limits.iter_mut().zip(&mut self.rings) {
            let open = self.flights.values().filter(|flight| !flight.cold).map(|flight| flight.sent_us);
            if let Some(jitter_us) = ring.widen(open, now_us) {
                limit.jitter_us = jitter_us;
                changed.push(limit.clone());
            }
        }
        if let Some(caution) = &mut self.caution {
            caution.refused(!changed.is_empty(), now_us);
        }
        changed
    }

    /// The server answered this request as a server should, whatever it thinks of the job; and what it said is left.
    ///
    /// Returns whether more may be sent now than before: its trouble is over.
    pub fn well(&mut self, sent: Sent, allowances: Vec<Allowance>) -> bool {
        let over = self.trouble.may_send().is_some();
        self.trouble.well();
        allowances.into_iter().for_each(|allowance| self.allowances.told(allowance, sent, self.next));
        over
    }

    /// This request ended in a way that tells nothing of the server. Returns whether more may be sent now than before: it was
    /// a probe.
    pub fn unclear(&mut self, sent: Sent) -> bool {
        self.trouble.unclear(sent)
    }

    /// This request failed in a way that may pass. Ten in a row mean that the server is in trouble: then nothing is sent for a
    /// while, and after it one probe at a time.
    pub fn failed(&mut self, sent: Sent, now_us: Micros) -> Setback {
        let setback = self.trouble.failed(sent);
        if let Some(wait_us) = setback.wait_us {
            self.pause(now_us.saturating_add(wait_us));
        }
        setback
    }

    /// The times at which the permits after the `queued` next ones (claimed, not sent yet) fall due, as far as they do before
    /// `now_us + horizon_us`: at most `max`, and at least one, however late, if nothing is queued and its time is known.
    /// Every request is taken to be sent when it falls due; one that has to open a connection moves what follows it.
    #[must_use]
    pub fn forecast(&self, now_us: Micros, horizon_us: Micros, max: usize, queued: usize) -> Vec<Micros> {
        let end_us = now_us.saturating_add(horizon_us);
        self.plan(now_us)
            .take(queued.saturating_add(max))
            .enumerate()
            .take_while(|(k, due_us)| *due_us < end_us || (*k == 0 && queued == 0))
            .skip(queued)
            .map(|(_, due_us)| due_us)
            .collect()
    }

    fn plan(&self, now_us: Micros) -> Plan<'_> {
        Plan {
            at_us: now_us.max(self.paused_until_us),
            even: self.even,
            rings: self.rings.iter().map(Ring::ahead).collect(),
            gap_us: self.caution.map_or(0, |caution| caution.gap_us(now_us)),
            last_us: self.last_us,
            allowances: &self.allowances,
            planned: 0,
            most: self.trouble.may_send(),
        }
    }
}

/// The times of the permits to come, if each is used when it falls due.
struct Plan<'a> {
    at_us: Micros,
    even: Option<Even>,
    rings: Vec<Ahead<'a>>,
    /// Between two requests, at least.
    gap_us: Micros,
    last_us: Micros,
    allowances: &'a Allowances,
    planned: u64,
    /// Not more than so many; the time of the next hangs on their answers.
    most: Option<usize>,
}

impl Iterator for Plan<'_> {
    type Item = Micros;

    fn next(&mut self) -> Option<Micros> {
        self.most = match self.most {
            Some(most) => Some(most.checked_sub(1)?),
            None => None,
        };
        self.at_us = self.allowances.earliest(self.planned, self.at_us).max(self.last_us.saturating_add(self.gap_us));
        for ring in &mut self.rings {
            self.at_us = self.at_us.max(ring.next_us()?);
        }
        if let Some(even) = &mut self.even {
            // Ends: each time refused is followed by a later one, and that one is due.
            while let Err(due_us) = even.take(self.at_us) {
                self.at_us = due_us;
            }
        }
        for ring in &mut self.rings {
            ring.plan(self.at_us);
        }
        self.planned += 1;
        self.last_us = self.at_us;
        Some(self.at_us)
    }
}

#[cfg(test)]
mod tests;
