//! One life: a process that works on a store as the pipeline does, the server it asks, and the deaths it dies.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use haul::clock::{Micros, SECOND_US};
use haul::limit::doublings;
use haul::pace::{Pacer, Queue, Sent};
use haul::store::memory::{Job, MemoryStore, Tables};
use haul::store::{Chunk, NewRun, Recovered, RunOutcome, Store, WallClock};

use super::flight::{Flight, Stage};
use super::governor::Governor;
use super::invariants::{Seen, check_job, check_leases, check_recovery, check_results, check_tables};
use super::nature::{Nature, Without};
use super::power::Clocks;
use super::rivals::Rivals;
use super::server::Server;
use crate::random_numbers::Random;
use crate::store_suite::scene::{new_job, new_run};

/// What outlives the process, what one process has in memory, and what is only known to who looks on.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) random: Random,
    pub(super) nature: Nature,
    pub(super) store: MemoryStore,
    pub(super) server: Server,
    /// As the process sees it; see [`Clocks`].
    pub(super) now_us: Micros,
    pub(super) clocks: Clocks,
    pub(super) memory: Memory,
    pub(super) seen: Seen,
    looks: usize,
    pub(super) histories: BTreeMap<i64, History>,
    /// What was done, in words.
    pub(crate) log: Log,
    pub(super) keys: BTreeSet<String>,
    pub(super) rivals: Rivals,
    pub(super) figures: Figures,
}

/// What was done, in words; to be read even where a life ends badly.
pub(crate) type Log = Rc<RefCell<Vec<String>>>;

/// What a life came to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) refusals: usize,
    pub(crate) kills: usize,
    pub(crate) stalls: usize,
    pub(crate) boots: usize,
    pub(crate) steps_of_the_clock: usize,
    pub(crate) stops: usize,
}

/// What a crash takes away.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) run: Option<i64>,
    pub(super) queue: Queue<i64>,
    /// When the queue is to be looked at.
    pub(super) look_us: Micros,
    pub(super) flights: BTreeMap<i64, Flight>,
    /// Fetched jobs may be waiting.
    pub(super) fetched: bool,
    pub(super) idle_until_us: Micros,
    /// When a claim is to be thought of.
    pub(super) claim_us: Micros,
    /// Nothing is claimed any more.
    pub(super) closing: bool,
    /// Those that follow a redirect and have no permit yet, first come first served.
    pub(super) following: VecDeque<i64>,
    /// When it sees what another process has written.
    pub(super) notice_us: Micros,
    /// In the place of the rule.
    pub(super) governor: Option<Governor>,
    /// A request that has ended.
    pub(super) ended: Option<Sent>,
}

/// What is known of a job from outside.
#[derive(Debug, Default, Clone)]
pub(super) struct History {
    /// A request was let go, and nothing allows another one: no crash that lost it, and no outcome that asks for a retry.
    pub(super) sent: bool,
    /// Good answers, and how many of them a crash has cost.
    pub(super) good: u32,
    pub(super) lost: u32,
    /// Committed failures that are held against it.
    pub(super) failures: u32,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, more: Self) {
        self.refusals += more.refusals;
        self.kills += more.kills;
        self.stalls += more.stalls;
        self.boots += more.boots;
        self.steps_of_the_clock += more.steps_of_the_clock;
        self.stops += more.stops;
    }
}

impl Memory {
    fn new() -> Self {
        Self {
            run: None,
            queue: Queue::new(Pacer::new(&[], &[], 0, 0), 0),
            look_us: Micros::MAX,
            flights: BTreeMap::new(),
            fetched: true,
            idle_until_us: 0,
            claim_us: 0,
            closing: false,
            following: VecDeque::new(),
            notice_us: Micros::MAX,
            governor: None,
            ended: None,
        }
    }
}

impl World {
    pub(crate) fn new(random: Random, nature: Nature, log: Log) -> Self {
        Self {
            random,
            nature,
            store: MemoryStore::default(),
            server: Server::default(),
            now_us: 1_000_000 * SECOND_US,
            clocks: Clocks::default(),
            memory: Memory::new(),
            seen: Seen::default(),
            looks: 0,
            histories: BTreeMap::new(),
            log,
            keys: BTreeSet::new(),
            rivals: Rivals::default(),
            figures: Figures::default(),
        }
    }

    pub(crate) fn tables(&self) -> Tables {
        self.store.inspect()
    }

    pub(super) fn say(&mut self, said: String) {
        let mut log = self.log.borrow_mut();
        log.push(said);
        if !self.nature.watched && log.len() > 1_000 {
            log.drain(..500);
        }
    }

    /// A job as it is stored.
    pub(super) fn job(&self, id: i64) -> Arc<Job> {
        self.store.peek(|now| Arc::clone(&now.jobs[&id]))
    }

    pub(crate) fn arrivals(&self) -> &[(Micros, i64)] {
        self.server.arrivals()
    }

    /// Everything that must hold now.
    pub(super) fn look(&mut self) {
        self.looks += 1;
        if self.nature.watched {
            self.look_at_all(self.looks.is_multiple_of(16));
        }
    }

    /// `whole` = what has not changed, too.
    pub(super) fn look_at_all(&mut self, whole: bool) {
        let store = self.store.clone();
        store.peek(|now| self.look_at(now, whole));
    }

    fn look_at(&mut self, now: &Tables, whole: bool) {
        let slots = self.nature.slots;
        let changed = self.seen.changed(now);
        if whole {
            check_tables(now, slots);
            assert!(now.keys.keys().eq(self.keys.iter()), "jobs and imported keys");
        } else {
            changed.iter().for_each(|id| check_job(now, *id, &now.jobs[id]));
            check_leases(now, slots);
        }
        for id in &changed {
            let counted = self.histories.get(id).map_or(0, |history| history.failures);
            assert_eq!(now.jobs[id].standing.failures, counted, "job {id}: what is held against it");
        }
        if let Some(run) = self.memory.run {
            let held = now.jobs.iter().filter_map(|(id, job)| Some((*id, job.run?, job.attempts)));
            let flying = self.memory.flights.iter().map(|(id, flight)| (*id, run, flight.lease.attempt));
            let flying: BTreeSet<_> = flying.chain(self.rivals.held()).collect();
            assert!(held.eq(flying), "leases and what flies");
        }
        if !self.nature.watched {
            self.seen = Seen::of(now); // many changes ago
            return;
        }
        self.seen.go_on(now, &changed);
        if whole {
            check_results(&self.seen, now);
        }
    }

    pub(crate) async fn import(&mut self, most: usize) -> String {
        let keys: BTreeSet<_> = (0..most).map(|_| format!("key {}", self.random.below(self.nature.keys))).collect();
        let new = keys.difference(&self.keys).count() as u64;
        let jobs = keys.iter().zip(1..).map(|(key, line)| new_job(key, line)).collect();
        let import = self.store.begin_import("-", None, self.now_us).await.expect("begin an import");
        let chunk = Chunk { jobs, rejects: Vec::new() };
        let done = self.store.import(import, &chunk, self.now_us).await.expect("import");
        assert_eq!((done.added, done.rejected), (new, 0));
        self.keys.extend(keys);
        self.somebody_wrote();
        self.look();
        format!("{new} new jobs are imported")
    }

    /// The run sees within a quarter of a second that another process has changed something.
    pub(super) fn somebody_wrote(&mut self) {
        let soon_us = self.now_us + self.random.below(250_000) as Micros;
        self.memory.notice_us = self.memory.notice_us.min(soon_us);
    }

    pub(super) fn new_run(&self) -> NewRun {
        let boot = (self.nature.without != Without::WallClock).then(|| self.clocks.boot_time(self.now_us));
        NewRun { boot, ..new_run(&self.nature.limits) }
    }

    pub(crate) async fn start(&mut self) -> String {
        self.now_us = self.clocks.begin(self.now_us);
        self.memory = Memory::new();
        let before = matches!(self.nature.without, Without::MovedPermits | Without::Recovery | Without::Stage);
        let before = before.then(|| self.store.inspect());
        let mut found = self.store.recover(&self.new_run(), self.now_us).await.expect("recover");
        self.rivals.recovered();
        self.seen.follow(found.wall_clock.step_us());
        if let Some(before) = before {
            self.spoil_recovery(&before, &mut found);
        }
        self.store.peek(|now| {
            if self.nature.watched {
                check_recovery(&self.seen, now, found.wall_clock.step_us());
            }
        });
        let queue = Queue::new(self.pacer(&mut found), self.now_us);
        let (look_us, claim_us) = (self.now_us, self.now_us);
        let governor = (self.nature.without == Without::Rule).then(|| Governor::new(&self.nature.limits, self.now_us));
        self.memory = Memory { run: Some(found.run), queue, look_us, claim_us, governor, ..Memory::new() };
        self.look();
        let poison = if found.poisoned > 0 { ", poison" } else { "" };
        format!("run {} begins; {} interrupted{poison}", found.run, found.interrupted)
    }

    /// As the pipeline makes it.
    fn pacer(&self, found: &mut Recovered) -> Pacer {
        let without = self.nature.without;
        match without {
            Without::Spends => found.spends.clear(),
            Without::Rest if !matches!(found.wall_clock, WallClock::Rebooted(_)) => {}
            Without::Pauses | Without::Rest => {
                found.limits.iter_mut().for_each(|(_, paused_until_us)| *paused_until_us = 0)
            }
            Without::Jitter => found.limits.iter_mut().for_each(|(limit, _)| limit.jitter_us = 0),
            Without::Joint => found.limits.truncate(1),
            _ => {}
        }
        let (limits, pauses): (Vec<_>, Vec<_>) = found.limits.drain(..).unzip();
        let rest_until_us = found.wall_clock.rest_until_us(&limits, self.now_us);
        let rest_until_us = if without == Without::Rest { 0 } else { rest_until_us };
        let paused_until_us = pauses.into_iter().max().unwrap_or(0).max(rest_until_us);
        let kept = if without == Without::Rule { &[][..] } else { &limits[..] };
        let pacer = Pacer::new(kept, &found.spends, paused_until_us, self.now_us);
        pacer.wary(doublings(&self.nature.limits, &limits))
    }

    /// Ends in good order: what waits is not sent, what was sent lands and is committed, leases and permits are given back.
    pub(super) async fn stop(&mut self, run: i64) -> String {
        self.memory.closing = true;
        self.figures.stops += 1;
        let waiting: Vec<_> = self.memory.queue.clear().collect();
        for job in waiting {
            self.memory.flights.get_mut(&job).expect("it waits").stage = Stage::Unsent;
        }
        let now_us = self.now_us;
        for flight in self.memory.flights.values_mut() {
            if matches!(flight.stage, Stage::Following | Stage::Asking(_)) {
                flight.interrupted(now_us);
            }
        }
        self.memory.following.clear();
        let until_us = self.now_us + 60 * SECOND_US;
        while !self.memory.flights.is_empty() {
            self.pass(SECOND_US / 10, true).await;
            if self.memory.run.is_none() {
                return "crashed while it stopped".into();
            }
            assert!(self.now_us < until_us, "what flies does not land: {:?}", self.memory.flights);
        }
        self.end(run, RunOutcome::Interrupted).await;
        self.store.peek(|now| {
            let held = now.jobs.values().filter(|job| job.run.is_some()).count();
            assert_eq!(held, self.rivals.leases.len(), "a lease was not given back");
        });
        "stopped".into()
    }

    pub(super) async fn end(&mut self, run: i64, outcome: RunOutcome) {
        self.store.end(run, outcome, self.now_us).await.expect("end");
        self.memory = Memory::new();
        self.look();
    }

    /// All that is in memory is gone, wherever it was, and so is what had not left the machine.
    pub(super) fn crash(&mut self, how: &str) -> String {
        self.figures.kills += 1;
        let Memory { run, flights, .. } = std::mem::replace(&mut self.memory, Memory::new());
        assert!(flights.len() <= self.nature.slots, "more would be sent again than there are slots");
        let accused = flights.values().filter(|flight| flight.accused).count();
        assert!(accused <= 1, "{accused} jobs are accused of one death");
        for flight in flights.values() {
            let history = self.histories.entry(flight.lease.job).or_default();
            history.sent = false;
            history.lost += u32::from(flight.holds_unstored());
            self.rivals.ghosts.extend(run.zip(flight.outcome().cloned()));
        }
        how.to_owned()
    }

    /// The server gives a good answer to this job: the first, or one that makes up for what a crash has cost.
    pub(super) fn note_good(&mut self, job: i64) {
        let history = self.histories.entry(job).or_default();
        history.good += 1;
        assert!(history.good <= history.lost + 1, "job {job} was answered too often: {history:?}");
    }
}
