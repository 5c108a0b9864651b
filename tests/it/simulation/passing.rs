//! Time passes: permits fall due, requests leave, answers come, the process stands still.

use haul::attempt::Verdict;
use haul::clock::{Micros, SECOND_US};
use haul::job::State;
use haul::limit::{Allowance, Limit};
use haul::pace::{Sent, TICK_US, Turn};
use haul::store::Store;

use super::flight::{Answer, Flight, Stage, What};
use super::nature::Without;
use super::world::World;

/// From the permit to the open connection.
const LETTING_GO_US: Micros = 1_000;

/// A 429 pauses the limit for at least this long, whatever it says.
const PAUSE_US: Micros = SECOND_US;

impl World {
    pub(super) fn draw(&mut self, range: &std::ops::Range<Micros>) -> Micros {
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
            Stage::Ready | Stage::Outcome(..) | Stage::Unsent | Stage::Asking(_) if busy => soon_us,
            // Where days go by, less often: a server may ask to wait for an hour.
            Stage::Following if busy => self.now_us + if self.nature.watched { TICK_US } else { SECOND_US },
            _ => Micros::MAX,
        });
        let first_us = flights.min().unwrap_or(Micros::MAX).min(self.memory.look_us);
        if busy { first_us.min(self.memory.claim_us).min(self.memory.notice_us) } else { first_us }
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
            if let Some(wait_us) = self.governor_waits() {
                self.memory.look_us = self.now_us + wait_us;
                return;
            }
            match self.memory.queue.turn(self.now_us) {
                Turn::Granted(job, sent) => {
                    self.grant(job, sent);
                    self.maybe_stand_still(1);
                    granted += 1;
                }
                Turn::Void(job) => self.memory.flights.get_mut(&job).expect("it waits").stage = Stage::Unsent,
                // Nobody waits, and nothing is under way of which a standstill could change anything.
                Turn::Wait(_) if !self.memory.flights.values().any(Flight::hangs_on_time) => {
                    self.memory.look_us = Micros::MAX;
                    return;
                }
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

    /// Without the rule: how long its stand-in has the next one wait.
    fn governor_waits(&mut self) -> Option<Micros> {
        let waits = self.memory.flights.values().any(|flight| matches!(flight.stage, Stage::Waiting));
        self.memory.governor.as_mut().filter(|_| waits)?.wait_us(self.now_us)
    }

    fn maybe_stand_still(&mut self, chances: usize) {
        if self.random.below(1_000) < self.nature.standstills * chances {
            let said = self.stand_still(3 * SECOND_US);
            self.say(said);
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
        let job = self.job(id);
        assert_eq!(job.standing.state, State::Pending, "job {id} is sent although its response is stored");
        let flight = self.memory.flights.get_mut(&id).expect("it waits");
        let permit_us = flight.lease.permit_us.unwrap_or_else(|| panic!("job {id} needs a permit"));
        let without = self.nature.without;
        assert!(self.now_us <= permit_us || without == Without::Rule, "a void permit is used");
        self.store.peek(|stored| {
            for (name, kept) in &stored.limits {
                // After a recovery only permits that are long void may be gone, and those of a dead run are never used.
                let written = stored.spends.contains_key(&(name.clone(), permit_us));
                let bucketed = kept.limit.window_us > 60 * SECOND_US;
                let unasked = matches!(without, Without::WrittenFirst | Without::Rule);
                assert!(written || bucketed || unasked, "a permit nobody wrote down");
                assert!(kept.paused_until_us <= self.now_us, "sent before the server wanted it, at {}", self.now_us);
            }
        });
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
            let on_the_way_us = self.draw(&one_way_us);
            let arrives_us = self.true_us() + on_the_way_us;
            self.server.expect(arrives_us, id, &self.nature.limits);
            let end_us = self.now_us + on_the_way_us + self.draw(&serve_us) + self.draw(&one_way_us);
            let answer = self.answer(arrives_us);
            let flight = self.memory.flights.get_mut(&id).expect("it leaves");
            if let Stage::Leaving { sent, .. } = flight.stage {
                flight.stage = Stage::Away { sent, end_us, answer };
            }
        }
    }

    fn answer(&mut self, arrives_us: Micros) -> Answer {
        let limits = self.nature.limits.clone();
        if self.nature.model.is_some_and(|model| !self.server.admits(model, arrives_us, &limits)) {
            return self.refusal();
        }
        let chance = self.random.below(100);
        match chance.checked_sub(self.nature.throttled) {
            None => self.refusal(),
            Some(chance) if chance < self.nature.failing / 4 => Answer::Wrong,
            Some(chance) if chance < self.nature.failing => Answer::Busy,
            _ if self.random.percent(self.nature.redirects) => Answer::Elsewhere,
            _ => Answer::Good,
        }
    }

    /// A 429 says nothing of how long to wait, or that there is no need to, or names seconds; or long ones.
    fn refusal(&mut self) -> Answer {
        self.figures.refusals += 1;
        let long_us = if self.nature.watched { 5_000_000 } else { 3_600_000_000 };
        Answer::Throttled(match self.random.below(20) {
            0..5 => None,
            5 => Some(0),
            6 => Some(self.random.below(long_us) as Micros),
            _ => Some(self.random.below(5_000_000) as Micros),
        })
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
        self.memory.ended = Some(sent);
        if self.nature.without != Without::LatePermits {
            let late = flight.lease.permit_us.filter(|permit_us| counts_from_us > *permit_us);
            flight.late_permit = late.map(|permit_us| (permit_us, counts_from_us));
        }
        if answer == Answer::Elsewhere {
            self.memory.queue.well(sent, Vec::new());
            self.histories.entry(id).or_default().sent = false;
            if self.nature.without == Without::Redirects {
                flight.stage = Stage::Leaving { sent, at_us: now_us };
            } else if self.memory.closing {
                flight.interrupted(now_us);
            } else {
                (flight.redirected, flight.stage) = (true, Stage::Following);
                self.memory.queue.follow();
                self.memory.following.push_back(id);
            }
        } else {
            self.take_in(id, sent, answer, first).await;
        }
        self.notify();
        format!("job {id} is answered: {answer:?}")
    }

    /// What an answer means for the job and for the server, as the pipeline takes it.
    async fn take_in(&mut self, id: i64, sent: Sent, answer: Answer, first: bool) {
        let now_us = self.now_us;
        let told = self.told();
        let early = self.nature.without == Without::StoredFirst;
        let Some((mut failure, mut what)) = answer.failure(now_us) else {
            self.memory.queue.well(sent, told);
            // A suspect's response is durable before its processor sees it.
            let flight = self.memory.flights.get_mut(&id).expect("it was away");
            flight.answered(first || (flight.lease.suspect && !early), now_us);
            self.note_good(id);
            return;
        };
        match failure.verdict {
            Verdict::Permanent => drop(self.memory.queue.well(sent, told)),
            Verdict::Throttled => {
                let until_us = failure.not_before_us.unwrap_or(0).max(now_us + PAUSE_US);
                let (limits, _) = self.memory.queue.refused(sent, until_us, now_us);
                self.pause(&limits, until_us).await;
            }
            Verdict::Transient | Verdict::Refetch => {
                let (setback, limits) = self.memory.queue.failed(sent, now_us);
                if let Some(wait_us) = setback.wait_us {
                    if setback.probe {
                        (failure.verdict, what) = (Verdict::Throttled, What::Throttled);
                        failure.not_before_us = failure.not_before_us.max(Some(now_us + wait_us));
                    }
                    self.pause(&limits, now_us + wait_us).await;
                    self.say("the server is in trouble".into());
                }
            }
        }
        self.memory.flights.get_mut(&id).expect("it was away").failed(failure, what, now_us);
    }

    /// What the server says is left of a limit of its own.
    fn told(&mut self) -> Vec<Allowance> {
        if !self.random.percent(self.nature.telling) {
            return Vec::new();
        }
        let (left, until_us) = (self.random.below(5) as u64, self.now_us + self.random.below(4_000_000) as Micros);
        vec![Allowance { name: "its own".into(), left, until_us }]
    }

    /// The server is to be left alone.
    async fn pause(&mut self, limits: &[Limit], until_us: Micros) {
        for limit in limits {
            self.store.pause_limit(limit, until_us).await.expect("pause");
        }
        self.look();
    }

    /// The process is stopped and goes on later; what has left the machine goes its way.
    pub(super) fn stand_still(&mut self, most_us: Micros) -> String {
        self.figures.stalls += 1;
        let from_us = self.now_us;
        // Shorter ones cannot be told from a busy machine; they are part of the jitter.
        self.now_us += self.draw(&(31_000..most_us));
        // When it goes on, nobody knows who comes first: the dispenser, or an answer.
        self.memory.look_us = self.memory.look_us.max(self.now_us).saturating_add(self.random.below(2_000) as Micros);
        if self.nature.without == Without::Standstills {
            self.overlook(from_us);
        }
        "stood still".into()
    }

    /// A queue that is looked at all the while sees no standstill.
    fn overlook(&mut self, from_us: Micros) {
        let Some(sent) = self.memory.ended else { return };
        for at_us in (from_us..self.now_us).step_by(TICK_US as usize) {
            self.memory.queue.ended(sent, at_us); // it has ended before
        }
    }
}
