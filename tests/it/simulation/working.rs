//! What the process does with its jobs: claim, process, commit, give back.

use haul::attempt::{ErrorType, Failure, Verdict};
use haul::claim::{HORIZON_US, MOST, Plan, Situation, plan};
use haul::clock::Micros;
use haul::job::{Event, State};
use haul::minutes::Minutes;
use haul::pace::void_after;
use haul::store::memory::Tables;
use haul::store::{Further, Output, RunOutcome, Spent, Store, Want, WriteBack};

use super::flight::{Flight, Stage, What};
use super::nature::Without;
use super::world::World;

/// The shortest window of a life.
const SHORTEST_US: Micros = 500_000;

impl World {
    /// Does all there is to do now, or most of it.
    pub(super) async fn work(&mut self) {
        let Some(run) = self.memory.run else { return };
        let now_us = self.now_us;
        while self.any(|flight| matches!(flight.stage, Stage::Away { end_us, .. } if end_us <= now_us)) {
            let said = self.land().await;
            self.say(said);
        }
        if self.any(|flight| matches!(flight.stage, Stage::Ready)) {
            let said = self.process(run).await;
            self.say(said);
        }
        if self.any(|flight| flight.outcome().is_some()) {
            let said = self.commit(run).await;
            self.say(said);
        }
        if self.any(|flight| matches!(flight.stage, Stage::Unsent)) {
            let said = self.release(run).await;
            self.say(said);
        }
        if self.any(|flight| matches!(flight.stage, Stage::Following | Stage::Asking(_))) {
            let said = self.ask(run).await;
            self.say(said);
        }
        if self.memory.notice_us <= now_us {
            self.memory.notice_us = Micros::MAX;
            (self.memory.idle_until_us, self.memory.fetched, self.memory.claim_us) = (0, true, now_us);
        }
        // What was processed may have killed the process.
        if self.memory.run.is_some() && self.memory.claim_us <= now_us {
            let said = self.claim(run).await;
            self.say(said);
        }
    }

    fn any(&self, which: impl Fn(&Flight) -> bool) -> bool {
        self.memory.flights.values().any(which)
    }

    /// A flight of which this is true.
    pub(super) fn pick(&mut self, which: impl Fn(&Flight) -> bool) -> Option<i64> {
        let flights = self.memory.flights.iter();
        let mut found: Vec<_> = flights.filter(|(_, flight)| which(flight)).map(|(id, _)| *id).collect();
        (!found.is_empty()).then(|| found.swap_remove(self.random.below(found.len())))
    }

    /// Places that are free.
    fn free(&self) -> usize {
        let flights = self.memory.flights.values();
        let early = self.nature.without == Without::Places;
        let taken = flights.filter(|flight| !early || flight.outcome().is_none_or(|back| back.next.keep_lease));
        self.nature.slots - taken.count()
    }

    /// Claims until there is nothing to claim now.
    pub(super) async fn claim(&mut self, run: i64) -> String {
        let mut claimed = 0;
        let mut suspects = "";
        for _ in 0..100 {
            if self.memory.closing {
                self.memory.claim_us = Micros::MAX;
                return "closing".into();
            }
            let free = self.free();
            let due_us = self.memory.queue.forecast(self.now_us, HORIZON_US, free.min(MOST));
            let (fetched, idle_until_us) = (self.memory.fetched, self.memory.idle_until_us);
            let situation = Situation { free, due_us: (free > 0).then_some(&due_us), fetched, idle_until_us };
            match plan(&situation, self.now_us) {
                Plan::Claim(want) => {
                    let (jobs, suspect) = self.claim_once(run, want).await;
                    claimed += jobs;
                    suspects = if suspect { ", a suspect among them" } else { suspects };
                }
                Plan::Wait(_) if self.is_drained().await => {
                    self.end(run, RunOutcome::Drained).await;
                    return format!("claimed {claimed}, drained");
                }
                Plan::Wait(until_us) => {
                    self.memory.claim_us = until_us.saturating_add(self.random.below(3_000) as Micros);
                    return format!("claimed {claimed}{suspects}");
                }
            }
        }
        panic!("it claims and claims");
    }

    async fn is_drained(&self) -> bool {
        self.memory.flights.is_empty() && self.store.next_due().await.expect("next due").is_none()
    }

    /// One claim; how many jobs it got, and whether there is a suspect among them.
    async fn claim_once(&mut self, run: i64, mut want: Want) -> (usize, bool) {
        let permits_us = self.memory.queue.forecast(self.now_us, HORIZON_US, want.requests);
        let permits_us: Vec<_> = permits_us.into_iter().map(void_after).collect();
        want.requests = permits_us.len();
        let spoils = matches!(self.nature.without, Without::WrittenFirst | Without::Lease);
        let before = spoils.then(|| self.store.inspect());
        let leases = self.store.claim(run, &want, &permits_us, self.now_us).await.expect("claim");
        if let Some(before) = before {
            self.spoil_claim(before);
        }
        assert!(leases.len() <= want.slots, "more than there are slots for");
        self.memory.fetched = leases.iter().any(|lease| lease.standing.state == State::Fetched);
        let asking = leases.iter().filter(|lease| lease.standing.state == State::Pending).count();
        if asking < want.requests && leases.len() < want.slots {
            let next = self.store.next_due().await.expect("next due");
            self.memory.idle_until_us = next.unwrap_or(Micros::MAX);
        }
        self.memory.queue.claimed(asking);
        let (jobs, suspect) = (leases.len(), leases.iter().any(|lease| lease.suspect));
        for lease in leases {
            if let Some(was) = self.seen.jobs.get(&lease.job).filter(|_| self.nature.watched) {
                assert!(was.due_at_us <= self.now_us, "job {} is claimed too soon", lease.job);
                assert_eq!(lease.attempt, was.attempts + 1, "job {}: its fence", lease.job);
            }
            assert_eq!(lease.permit_us.is_none(), lease.response.is_some());
            if let Some(permit_us) = lease.permit_us {
                self.join(lease.job, permit_us);
            }
            assert!(self.memory.flights.insert(lease.job, Flight::new(lease)).is_none(), "handed out twice");
        }
        self.notify();
        self.look();
        (jobs, suspect)
    }

    /// Waits in line for its permit.
    fn join(&mut self, job: i64, permit_us: Micros) {
        let for_ever = matches!(self.nature.without, Without::Voids | Without::Rule);
        let void_after_us = if for_ever { Micros::MAX } else { permit_us };
        self.memory.queue.join(void_after_us, job);
    }

    /// Those that follow a redirect have their permits written down, once these fall due soon.
    pub(super) async fn ask(&mut self, run: i64) -> String {
        while let Some(id) = self.memory.following.front().copied() {
            let Some(due_us) = self.memory.queue.follow_due(self.now_us, HORIZON_US) else { break };
            self.memory.following.pop_front();
            self.memory.flights.get_mut(&id).expect("it follows").stage = Stage::Asking(void_after(due_us));
        }
        let asking = self.memory.flights.values_mut().filter_map(|flight| match flight.stage {
            Stage::Asking(permit_us) => {
                let (job, attempt, late_permit) = (flight.lease.job, flight.lease.attempt, flight.late_permit);
                Some(Further { job, attempt, permit_us, late_permit })
            }
            _ => None,
        });
        let mut asking = asking.collect();
        let further = self.random.some_of(&mut asking);
        if further.is_empty() {
            return "0 redirects have their permits".into();
        }
        let spent = self.store.spend(run, &further).await.expect("spend");
        assert!(spent.iter().all(|spent| *spent == Spent::Written), "a live run asks for nothing stale");
        for Further { job, permit_us, .. } in &further {
            let flight = self.memory.flights.get_mut(job).expect("it asks");
            (flight.lease.permit_us, flight.late_permit, flight.stage) = (Some(*permit_us), None, Stage::Waiting);
            self.join(*job, *permit_us);
        }
        self.notify();
        self.look();
        format!("{} redirects have their permits", further.len())
    }

    pub(super) async fn process(&mut self, run: i64) -> String {
        // Suspects one at a time, before anything else.
        if self.nature.without != Without::Alone && self.any(|flight| flight.accused) {
            return "a suspect is being processed".into();
        }
        let suspect = self.pick(|flight| flight.lease.suspect && matches!(flight.stage, Stage::Ready));
        let ready = suspect.or_else(|| self.pick(|flight| matches!(flight.stage, Stage::Ready)));
        let Some(id) = ready else { return "nothing to process".into() };
        let chance = self.random.below(100);
        let now_us = self.now_us;
        let flight = self.memory.flights.get_mut(&id).expect("just picked");
        if flight.lease.suspect {
            let attempt = flight.lease.attempt;
            flight.accused = true;
            if self.nature.without != Without::Accusation {
                assert!(self.store.accuse(run, id, attempt).await.expect("accuse"), "job {id} is held");
            }
            assert_eq!(self.job(id).standing.state, State::Fetched, "a suspect whose response is not stored");
        }
        let flight = self.memory.flights.get_mut(&id).expect("just picked");
        if self.nature.poison && flight.lease.key.ends_with('7') {
            self.look();
            return self.crash("crashed by what it processed");
        }
        let failure = |verdict| Failure::new(ErrorType::PROCESS_ERROR, verdict, "does not fit");
        let (event, what) = match chance {
            0..80 => (Event::Processed, What::Processed),
            80..90 => (Event::ProcessFailed(failure(Verdict::Transient)), What::Failed),
            _ => (Event::ProcessFailed(failure(Verdict::Permanent)), What::Failed),
        };
        let output = Output { json: chance.to_string(), processor: "none".into() };
        let output = (event == Event::Processed).then_some(output);
        let (response, late_permit) =
            flight.fetched.take().map_or((None, None), |back| (back.response, back.late_permit));
        let back = WriteBack { output, response, late_permit, ..flight.write_back(&event, now_us) };
        flight.stage = Stage::Outcome(Box::new(back), what);
        format!("processed job {id}")
    }

    /// Commits some of the outcomes there are.
    pub(super) async fn commit(&mut self, run: i64) -> String {
        let mut outcomes: Vec<_> = self.memory.flights.values().filter_map(with_what).collect();
        let all = outcomes.len();
        let mut batch = self.random.some_of(&mut outcomes);
        if self.nature.without == Without::Mercy {
            let throttled = batch.iter_mut().filter(|(_, what)| *what == What::Throttled);
            throttled.for_each(|(back, _)| back.next.standing.failures += 1);
        }
        let backs: Vec<_> = batch.iter().map(|(back, _)| back.clone()).collect();
        let done = self.store.commit(run, &backs, &Minutes::default(), self.now_us).await.expect("commit");
        assert_eq!(done.stale, [0; 0], "a live run writes nothing stale");
        if self.nature.without == Without::OneTransaction
            && let Some((back, _)) = batch.iter().find(|(back, _)| back.response.is_some())
        {
            self.spoil_commit(back.job);
        }
        for (back, what) in &batch {
            let history = self.histories.entry(back.job).or_default();
            history.failures += u32::from(*what == What::Failed);
            history.sent &= back.next.standing.state != State::Pending;
            if back.next.keep_lease {
                self.memory.flights.get_mut(&back.job).expect("it flies").stage = Stage::Ready;
            } else {
                self.memory.flights.remove(&back.job);
            }
        }
        // A retry may have been scheduled.
        (self.memory.idle_until_us, self.memory.claim_us) = (0, self.now_us);
        self.look();
        format!("committed {} of {all}", batch.len())
    }

    /// Gives back what was not sent in time; a redirect only its permit.
    pub(super) async fn release(&mut self, run: i64) -> String {
        let unsent = self.memory.flights.values().filter(|flight| matches!(flight.stage, Stage::Unsent));
        let mut unsent: Vec<_> = unsent.cloned().collect();
        let gone = self.random.some_of(&mut unsent);
        if gone.is_empty() {
            return "nothing to give back".into();
        }
        let fresh = gone.iter().filter(|flight| !flight.redirected);
        let leases: Vec<_> = fresh.map(|flight| (flight.lease.job, flight.lease.attempt)).collect();
        let permits_us: Vec<_> = gone.iter().filter_map(|flight| flight.lease.permit_us).collect();
        self.give_back(run, &leases, &permits_us).await;
        for mut flight in gone {
            let job = flight.lease.job;
            if !flight.redirected {
                self.memory.flights.remove(&job);
                flight.answered(true, self.now_us);
                self.rivals.ghosts.extend(flight.outcome().cloned().map(|back| (run, back)));
            } else if self.memory.closing {
                self.memory.flights.get_mut(&job).expect("it is held").interrupted(self.now_us);
            } else {
                self.memory.flights.get_mut(&job).expect("it is held").stage = Stage::Following;
                self.memory.queue.follow();
                self.memory.following.push_back(job);
            }
        }
        (self.memory.idle_until_us, self.memory.claim_us) = (0, self.now_us);
        self.look();
        format!("released {}", leases.len())
    }

    async fn give_back(&mut self, run: i64, leases: &[(i64, u32)], permits_us: &[Micros]) {
        let permits = |tables: &Tables| tables.spends.values().map(|permits| *permits as usize).sum::<usize>();
        let before = self.store.peek(permits);
        let given_us = if self.nature.without == Without::GivingBack { &[] } else { permits_us };
        self.store.release(run, leases, given_us).await.expect("release");
        let (less, limits) = (before - self.store.peek(permits), self.nature.limits.len());
        // Those that no window can hold any more may be gone already.
        let recent = permits_us.iter().all(|until_us| *until_us > self.now_us - SHORTEST_US);
        assert!(less == permits_us.len() * limits || !recent, "a permit that nobody used still counts");
    }
}

fn with_what(flight: &Flight) -> Option<(WriteBack, What)> {
    match &flight.stage {
        Stage::Outcome(back, what) => Some((WriteBack::clone(back), *what)),
        _ => None,
    }
}
