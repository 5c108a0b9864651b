//! Time passes: permits fall due, requests leave, answers come, the process stands still.

use haul::clock::{Micros, SECOND_US};
use haul::job::State;
use haul::pace::{Sent, Turn};
use haul::store::Store;

use super::flight::{Answer, Stage, What};
use super::nature::Without;
use super::world::World;

/// From the permit to the open connection.
const LETTING_GO_US: Micros = 1_000;

/// A 429 that does not say how long to wait pauses the limit for this long.
const PAUSE_US: Micros = SECOND_US;

impl World {
    fn draw(&mut self, range: &std::ops::Range<Micros>) -> Micros {
        range.start + self.random.below((range.end - range.start) as usize) as Micros
    }

    /// A while in which all goes its way, or soon after.
    pub(super) async fn work_on(&mut self) -> String {
        let span_us = self.nature.time_of(8);
        let span_us = self.draw(&(0..span_us));
        self.pass(span_us, true).await;
        format!("worked until {}", self.now_us)
    }

    /// A while in which requests leave and answers come, and nobody sees to them.
    pub(super) async fn drift(&mut self) -> String {
        let span_us = self.nature.time_of(3);
        let span_us = self.draw(&(0..span_us));
        self.pass(span_us, false).await;
        format!("drifted until {}", self.now_us)
    }

    /// Lets time pass; `busy` = answers are taken in, processed and committed, and jobs are claimed.
    pub(super) async fn pass(&mut self, span_us: Micros, busy: bool) {
        let until_us = self.now_us + span_us;
        while self.memory.run.is_some() {
            let next_us = self.next_us(busy).max(self.now_us);
            if next_us > until_us {
                self.now_us = self.now_us.max(until_us);
                return;
            }
            self.now_us = next_us;
            self.leave();
            if self.memory.look_us <= self.now_us {
                self.serve();
            }
            if busy {
                self.work().await;
            }
        }
        self.now_us = self.now_us.max(until_us);
    }

    /// When something happens.
    fn next_us(&mut self, busy: bool) -> Micros {
        let soon_us = self.now_us + 1 + self.random.below(4_000) as Micros;
        let flights = self.memory.flights.values().map(|flight| match flight.stage {
            Stage::Leaving { at_us, .. } => at_us,
            Stage::Away { end_us, .. } if busy => end_us,
            Stage::Ready | Stage::Outcome(..) | Stage::Unsent if busy => soon_us,
            _ => Micros::MAX,
        });
        let first_us = flights.min().unwrap_or(Micros::MAX).min(self.memory.look_us);
        if busy { first_us.min(self.memory.claim_us) } else { first_us }
    }

    /// The dispenser is told that something has changed, and looks a little later.
    pub(super) fn notify(&mut self) {
        let soon_us = self.now_us + self.random.below(300) as Micros;
        self.memory.look_us = self.memory.look_us.min(soon_us);
    }

    /// Serves all whose moment has come.
    fn serve(&mut self) {
        let mut granted = 0;
        loop {
            match self.memory.queue.turn(self.now_us) {
                Turn::Granted(job, sent) => {
                    self.grant(job, sent);
                    self.maybe_stand_still(1);
                    granted += 1;
                }
                Turn::Void(job) => self.memory.flights.get_mut(&job).expect("it waits").stage = Stage::Unsent,
                Turn::Wait(at_us) => {
                    // Timers are late: a little, and now and then by much.
                    let late_us = if self.random.percent(95) { 2_000 } else { 40_000 };
                    self.memory.look_us = at_us.max(self.now_us + 1) + self.random.below(late_us) as Micros;
                    // The requests that were let go may not have left yet.
                    self.maybe_stand_still(granted);
                    return;
                }
            }
        }
    }

    fn maybe_stand_still(&mut self, chances: usize) {
        if self.random.below(1_000) < self.nature.standstills * chances {
            let said = self.stand_still();
            self.log.push(said);
        }
    }

    /// A request may be sent, now.
    fn grant(&mut self, id: i64, sent: Sent) {
        let (share, opening_us) = self.nature.cold.clone();
        let cold = self.random.percent(share);
        let at_us = self.now_us + self.draw(if cold { &opening_us } else { &(0..LETTING_GO_US) });
        if cold && self.nature.without != Without::ColdConnections {
            self.memory.queue.cold(sent);
        }
        let job = &self.seen.jobs[&id];
        assert_eq!(job.standing.state, State::Pending, "job {id} is sent although its response is stored");
        let flight = self.memory.flights.get_mut(&id).expect("it waits");
        let permit_us = flight.lease.permit_us.unwrap_or_else(|| panic!("job {id} needs a permit"));
        assert!(self.now_us <= permit_us, "a void permit is used");
        for limit in &self.nature.limits {
            // After a recovery only permits that are long void may be gone, and those of a dead run are never used.
            assert!(self.seen.spends.contains_key(&(limit.name.clone(), permit_us)), "a permit nobody wrote down");
            let paused_until_us = self.seen.limits[&limit.name].paused_until_us;
            assert!(paused_until_us <= self.now_us, "sent before the server wanted it, at {}", self.now_us);
        }
        flight.stage = Stage::Leaving { sent, at_us };
        let history = self.histories.entry(id).or_default();
        assert!(!history.sent, "job {id} is sent again for no reason");
        history.sent = true;
    }

    /// Lets go what is ready to leave.
    fn leave(&mut self) {
        let ready = |stage: &Stage| matches!(stage, Stage::Leaving { at_us, .. } if *at_us <= self.now_us);
        let leaving = self.memory.flights.iter().filter(|(_, flight)| ready(&flight.stage)).map(|(id, _)| *id);
        for id in leaving.collect::<Vec<_>>() {
            let (one_way_us, serve_us) = (self.nature.one_way_us.clone(), self.nature.serve_us.clone());
            let arrived_us = self.now_us + self.draw(&one_way_us);
            self.server.expect(arrived_us, id, &self.nature.limits);
            let end_us = arrived_us + self.draw(&serve_us) + self.draw(&one_way_us);
            let answer = self.answer();
            let flight = self.memory.flights.get_mut(&id).expect("it leaves");
            if let Stage::Leaving { sent, .. } = flight.stage {
                flight.stage = Stage::Away { sent, end_us, answer };
            }
        }
    }

    fn answer(&mut self) -> Answer {
        let chance = self.random.below(100);
        match (chance, chance.checked_sub(self.nature.throttled)) {
            (0..2, None) => Answer::Throttled(None),
            (_, None) => Answer::Throttled(Some(self.random.below(5_000_000) as Micros)),
            (_, Some(chance)) if chance < self.nature.failing / 4 => Answer::Wrong,
            (_, Some(chance)) if chance < self.nature.failing => Answer::Busy,
            _ => Answer::Good,
        }
    }

    /// Takes in an answer that has come.
    pub(super) async fn land(&mut self) -> String {
        let now_us = self.now_us;
        let Some(id) = self.pick(|flight| matches!(flight.stage, Stage::Away { end_us, .. } if end_us <= now_us))
        else {
            return "no answer".into();
        };
        let first = self.random.percent(35);
        let flight = self.memory.flights.get_mut(&id).expect("just picked");
        let Stage::Away { sent, answer, .. } = flight.stage else { unreachable!("just picked") };
        let counts_from_us = self.memory.queue.ended(sent, now_us);
        if self.nature.without != Without::LatePermits {
            let late = flight.lease.permit_us.filter(|permit_us| counts_from_us > *permit_us);
            flight.late_permit = late.map(|permit_us| (permit_us, counts_from_us));
        }
        match answer.failure(now_us) {
            // A suspect's response is durable before its processor sees it.
            None => flight.answered(first || flight.lease.suspect, now_us),
            Some((failure, what)) => {
                let wait_until_us = failure.not_before_us.unwrap_or(now_us + PAUSE_US);
                flight.failed(failure, what, now_us);
                if what == What::Throttled {
                    self.pause(sent, wait_until_us).await;
                }
            }
        }
        if answer == Answer::Good {
            self.note_good(id);
        }
        self.notify();
        format!("job {id} is answered: {answer:?}")
    }

    /// The server asked to wait.
    async fn pause(&mut self, sent: Sent, until_us: Micros) {
        for limit in self.memory.queue.refused(sent, until_us, self.now_us).0 {
            self.store.pause_limit(&limit, until_us).await.expect("pause");
        }
        self.look();
    }

    /// The process is stopped and goes on later; what has left the machine goes its way.
    pub(super) fn stand_still(&mut self) -> String {
        // Shorter ones cannot be told from a busy machine; they are part of the jitter.
        self.now_us += self.draw(&(31_000..3 * SECOND_US));
        // When it goes on, nobody knows who comes first: the dispenser, or an answer.
        self.memory.look_us = self.memory.look_us.max(self.now_us) + self.random.below(2_000) as Micros;
        "stood still".into()
    }
}
