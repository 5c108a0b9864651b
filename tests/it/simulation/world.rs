//! One life: a process that works on a store as the pipeline does, the server it asks, and the deaths it dies.

use std::collections::{BTreeMap, BTreeSet};

use haul::clock::{Micros, SECOND_US};
use haul::minutes::Minutes;
use haul::pace::{Pacer, Queue};
use haul::store::memory::{MemoryStore, Tables};
use haul::store::{Chunk, RunOutcome, Store, WriteBack};

use super::flight::{Flight, Stage};
use super::invariants::{check_recovery, check_step, check_tables};
use super::nature::{Nature, Without};
use super::server::Server;
use crate::random_numbers::Random;
use crate::store_suite::scene::{new_job, new_run};

/// An honest server drains everything within this time, however long the server asked to wait, and however wide the jitter
/// has become.
const DRAINED_WITHIN_US: Micros = 1_200 * SECOND_US;

/// What outlives the process, what one process has in memory, and what is only known to who looks on.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) random: Random,
    pub(super) nature: Nature,
    pub(super) store: MemoryStore,
    pub(super) server: Server,
    pub(super) now_us: Micros,
    pub(super) memory: Memory,
    pub(super) seen: Tables,
    pub(super) histories: BTreeMap<i64, History>,
    /// What was done, in words.
    pub(crate) log: Vec<String>,
    keys: BTreeSet<String>,
    /// Write-backs of leases that are gone, by run, as after a pause of the whole machine. They may arrive at any time.
    pub(super) ghosts: Vec<(i64, WriteBack)>,
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
}

/// What is known of a job from outside.
#[derive(Debug, Default)]
pub(super) struct History {
    /// A request was let go, and nothing allows another one: no crash that lost it, and no outcome that asks for a retry.
    pub(super) sent: bool,
    /// Good answers, and how many of them a crash has cost.
    pub(super) good: u32,
    lost: u32,
    /// Committed failures that are held against it.
    pub(super) failures: u32,
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
        }
    }
}

impl World {
    pub(crate) fn new(random: Random, nature: Nature) -> Self {
        Self {
            random,
            nature,
            store: MemoryStore::default(),
            server: Server::default(),
            now_us: 1_000_000 * SECOND_US,
            memory: Memory::new(),
            seen: Tables::default(),
            histories: BTreeMap::new(),
            log: Vec::new(),
            keys: BTreeSet::new(),
            ghosts: Vec::new(),
        }
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.seen
    }

    pub(crate) fn arrivals(&self) -> &[(Micros, i64)] {
        self.server.arrivals()
    }

    /// Does one thing.
    pub(crate) async fn step(&mut self) {
        let said = match (self.memory.run, self.random.below(100)) {
            (None, 0..60) => self.start().await,
            (Some(_), 0..30) => self.work_on().await,
            (Some(_), 30..40) => self.drift().await,
            (Some(run), 40..48) => self.claim(run).await,
            (Some(_), 48..60) => self.land().await,
            (Some(run), 60..70) => self.process(run).await,
            (Some(run), 70..79) => self.commit(run).await,
            (Some(run), 79..82) => self.release(run).await,
            (Some(_), 82..85) => self.stand_still(),
            (Some(_), 85..89) => self.crash("crashed"),
            (Some(run), 89..91) => self.stop(run).await,
            (Some(_), 91..95) => self.haunt().await,
            (_, 95..100) => self.import(12).await,
            _ => self.wait(),
        };
        self.log.push(said);
    }

    /// Lives on with an honest server and without new jobs and accidents until all is done.
    pub(crate) async fn run_out(&mut self) {
        self.nature = self.nature.clone().honest();
        let until_us = self.now_us + DRAINED_WITHIN_US;
        loop {
            if self.memory.run.is_none() {
                if self.seen.jobs.values().all(|job| job.standing.state.is_final()) {
                    return;
                }
                let said = self.start().await;
                self.log.push(said);
            }
            assert!(self.now_us < until_us, "it never ends: {:?}", self.memory.flights);
            self.pass(SECOND_US, true).await;
        }
    }

    /// Everything that must hold now.
    pub(super) fn look(&mut self) {
        let now = self.store.inspect();
        check_tables(&now, self.nature.slots);
        check_step(&self.seen, &now);
        assert!(now.keys.keys().eq(self.keys.iter()), "jobs and imported keys");
        for (id, job) in &now.jobs {
            let counted = self.histories.get(id).map_or(0, |history| history.failures);
            assert_eq!(job.standing.failures, counted, "job {id}: what is held against it");
        }
        if let Some(run) = self.memory.run {
            let held = now.jobs.iter().filter(|(_, job)| job.run.is_some());
            let held: Vec<_> = held.map(|(id, job)| (*id, job.run, job.attempts)).collect();
            let flying = self.memory.flights.iter().map(|(id, flight)| (*id, Some(run), flight.lease.attempt));
            assert_eq!(held, flying.collect::<Vec<_>>(), "leases and what flies");
        }
        self.seen = now;
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
        // The run sees that something has changed.
        (self.memory.idle_until_us, self.memory.fetched, self.memory.claim_us) = (0, true, self.now_us);
        self.look();
        format!("imported {new} new jobs")
    }

    pub(crate) async fn start(&mut self) -> String {
        let before = self.store.inspect();
        let mut found = self.store.recover(&new_run(&self.nature.limits), self.now_us).await.expect("recover");
        check_recovery(&self.seen, &self.store.inspect());
        match self.nature.without {
            Without::Spends => found.spends.clear(),
            Without::MovedPermits => found.spends = spends_of(&before),
            Without::Pauses => found.limits.iter_mut().for_each(|(_, paused_until_us)| *paused_until_us = 0),
            _ => {}
        }
        let (limits, pauses): (Vec<_>, Vec<_>) = found.limits.into_iter().unzip();
        let paused_until_us = pauses.into_iter().max().unwrap_or(0);
        let pacer = Pacer::new(&limits, &found.spends, paused_until_us, self.now_us);
        let queue = Queue::new(pacer, self.now_us);
        let (look_us, claim_us) = (self.now_us, self.now_us);
        self.memory = Memory { run: Some(found.run), queue, look_us, claim_us, ..Memory::new() };
        self.look();
        let poison = if found.poisoned > 0 { ", poison" } else { "" };
        format!("run {} begins; {} interrupted{poison}", found.run, found.interrupted)
    }

    /// Ends in good order: what waits is not sent, what was sent lands and is committed, leases and permits are given back.
    async fn stop(&mut self, run: i64) -> String {
        self.memory.closing = true;
        for job in self.memory.queue.clear() {
            self.memory.flights.get_mut(&job).expect("it waits").stage = Stage::Unsent;
        }
        let until_us = self.now_us + 60 * SECOND_US;
        while !self.memory.flights.is_empty() {
            self.pass(SECOND_US / 10, true).await;
            if self.memory.run.is_none() {
                return "crashed while it stopped".into();
            }
            assert!(self.now_us < until_us, "what flies does not land: {:?}", self.memory.flights);
        }
        self.end(run, RunOutcome::Interrupted).await;
        assert!(self.seen.jobs.values().all(|job| job.run.is_none()), "a lease was not given back");
        "stopped".into()
    }

    pub(super) async fn end(&mut self, run: i64, outcome: RunOutcome) {
        self.store.end(run, outcome, self.now_us).await.expect("end");
        self.memory = Memory::new();
        self.look();
    }

    /// All that is in memory is gone, wherever it was, and so is what had not left the machine.
    pub(super) fn crash(&mut self, how: &str) -> String {
        let Memory { run, flights, .. } = std::mem::replace(&mut self.memory, Memory::new());
        assert!(flights.len() <= self.nature.slots, "more would be sent again than there are slots");
        for flight in flights.values() {
            let history = self.histories.entry(flight.lease.job).or_default();
            history.sent = false;
            history.lost += u32::from(flight.holds_unstored());
            self.ghosts.extend(run.zip(flight.outcome().cloned()));
        }
        how.to_owned()
    }

    /// The server gives a good answer to this job: the first, or one that makes up for what a crash has cost.
    pub(super) fn note_good(&mut self, job: i64) {
        let history = self.histories.entry(job).or_default();
        history.good += 1;
        assert!(history.good <= history.lost + 1, "job {job} was answered too often: {history:?}");
    }

    /// Somebody who lost his leases, and has not noticed, does all that he believes he may.
    async fn haunt(&mut self) -> String {
        let ghosts = self.random.some_of(&mut self.ghosts);
        if self.nature.without == Without::Fence {
            return self.haunt_unhindered(ghosts).await;
        }
        let before = self.store.inspect();
        for (run, back) in &ghosts {
            let batch = std::slice::from_ref(back);
            let done = self.store.commit(*run, batch, &Minutes::default(), self.now_us).await.expect("commit");
            assert_eq!(done.stale, [0]);
            assert!(!self.store.accuse(*run, back.job, back.attempt).await.expect("accuse"));
            self.store.release(*run, &[(back.job, back.attempt)], &[]).await.expect("release");
        }
        assert!(self.store.inspect() == before, "a ghost has written");
        format!("{} ghosts", ghosts.len())
    }

    /// As if there were no fence: a lease that is held now is taken for the one the ghost held.
    async fn haunt_unhindered(&mut self, ghosts: Vec<(i64, WriteBack)>) -> String {
        for (gone, back) in ghosts {
            let job = &self.seen.jobs[&back.job];
            let Some(run) = job.run else {
                self.ghosts.push((gone, back));
                continue;
            };
            let back = WriteBack { attempt: job.attempts, ..back };
            self.store.commit(run, &[back], &Minutes::default(), self.now_us).await.expect("commit");
        }
        self.look();
        "ghosts, unhindered".into()
    }

    /// While nobody runs.
    fn wait(&mut self) -> String {
        let span_us = if self.random.percent(80) { self.nature.time_of(2) } else { 3 * SECOND_US };
        self.now_us += self.random.below(span_us as usize) as Micros;
        "waited".into()
    }
}

fn spends_of(tables: &Tables) -> Vec<haul::limit::Spend> {
    let spend = |((limit, until_us), permits): (&(String, Micros), &u32)| haul::limit::Spend {
        limit: limit.clone(),
        until_us: *until_us,
        permits: *permits,
    };
    tables.spends.iter().map(spend).collect()
}
