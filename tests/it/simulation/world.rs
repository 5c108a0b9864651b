//! One life: a process that works on a store as the pipeline does, the server it asks, and the deaths it dies.

use std::collections::{BTreeMap, BTreeSet};

use haul::attempt::{ErrorType, Failure, Measured, Verdict};
use haul::clock::{Micros, SECOND_US};
use haul::job::{Event, Standing, State, next};
use haul::limit::Limit;
use haul::minutes::Minutes;
use haul::store::memory::{MemoryStore, Tables};
use haul::store::{Chunk, Lease, Output, RunOutcome, Store, Want, WriteBack};

use super::invariants::{check_recovery, check_step, check_tables};
use super::permits::{Permits, Plenty};
use crate::random_numbers::Random;
use crate::store_suite::scene::{limit, new_job, new_run, response, rules};

/// Jobs between claim and commit, at most.
const SLOTS: usize = 6;
/// Different keys a life may import.
const KEYS: usize = 24;

/// How far a claimed job has come in the memory of the process.
#[derive(Debug, Clone)]
enum Stage {
    /// Claimed; nothing was sent. Its permit, where it needs one.
    Held(Option<Micros>),
    /// The request has left.
    Sent,
    /// The response is here, stored or not; it waits for a processor.
    Ready,
    /// What became of it waits to be committed.
    Outcome(Box<WriteBack>),
}

/// A claimed job.
#[derive(Debug, Clone)]
struct Flight {
    lease: Lease,
    standing: Standing,
    stage: Stage,
    /// A response that is not stored yet.
    fetched: Option<WriteBack>,
    /// It is being processed alone.
    accused: bool,
}

/// What outlives the process, and what one process has in memory.
#[derive(Debug)]
pub(crate) struct World {
    random: Random,
    store: MemoryStore,
    seen: Tables,
    now_us: Micros,
    keys: BTreeSet<String>,
    /// Good answers the server gave, by job, and how many of them a crash has cost.
    answered: BTreeMap<i64, u32>,
    lost: BTreeMap<i64, u32>,
    // In memory only.
    run: Option<i64>,
    flights: BTreeMap<i64, Flight>,
    permits: Plenty,
    /// Write-backs of leases that are gone, by run, as after a pause of the whole machine. They may arrive at any time.
    ghosts: Vec<(i64, WriteBack)>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            store: MemoryStore::default(),
            seen: Tables::default(),
            now_us: 1_000_000 * SECOND_US,
            keys: BTreeSet::new(),
            answered: BTreeMap::new(),
            lost: BTreeMap::new(),
            run: None,
            flights: BTreeMap::new(),
            permits: Plenty,
            ghosts: Vec::new(),
        }
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.seen
    }

    /// Does one thing, looks whether all is well, and says in words what was done.
    pub(crate) async fn step(&mut self) -> String {
        let said = match (self.run, self.random.below(100)) {
            (None, 0..40) => self.start().await,
            (Some(run), 0..20) => self.claim(run).await,
            (Some(_), 20..35) => self.send(),
            (Some(_), 35..50) => self.answer(),
            (Some(run), 50..65) => self.process(run).await,
            (Some(run), 65..80) => self.commit(run).await,
            (Some(run), 80..84) => self.release(run).await,
            (Some(run), 84..86) => self.stop(run).await,
            (Some(_), 86..89) => self.crash("crashed"),
            (Some(_), 89..90) => self.pause().await,
            (_, 90..93) => self.haunt().await,
            (_, 93..96) => self.import().await,
            _ => self.wait(),
        };
        self.look();
        said
    }

    /// Lives on without new jobs and accidents until all is done.
    pub(crate) async fn run_out(&mut self) {
        for _ in 0..2_000 {
            let Some(run) = self.run else {
                self.start().await;
                self.look();
                continue;
            };
            if self.flights.is_empty() && self.store.next_due().await.expect("next due").is_none() {
                assert!(self.seen.jobs.values().all(|job| job.standing.state.is_final()), "jobs nobody ends");
                return;
            }
            self.now_us += SECOND_US / 2;
            self.claim(run).await;
            self.look();
            self.send();
            self.answer();
            self.process(run).await;
            if self.run.is_some() {
                self.commit(run).await;
            }
            self.look();
        }
        panic!("it never ends: {:?}", self.flights);
    }

    /// Everything that must hold now.
    fn look(&mut self) {
        let now = self.store.inspect();
        check_tables(&now, SLOTS);
        check_step(&self.seen, &now);
        assert!(now.keys.keys().eq(self.keys.iter()), "jobs and imported keys");
        if let Some(run) = self.run {
            let held = now.jobs.iter().filter(|(_, job)| job.run.is_some());
            let held: Vec<_> = held.map(|(id, job)| (*id, job.run, job.attempts)).collect();
            let flying = self.flights.iter().map(|(id, flight)| (*id, Some(run), flight.lease.attempt));
            assert_eq!(held, flying.collect::<Vec<_>>(), "leases and what flies");
        }
        self.seen = now;
    }

    async fn import(&mut self) -> String {
        let keys: BTreeSet<_> = (0..8).map(|_| format!("key {}", self.random.below(KEYS))).collect();
        let new = keys.difference(&self.keys).count() as u64;
        let jobs = keys.iter().zip(1..).map(|(key, line)| new_job(key, line)).collect();
        let import = self.store.begin_import("-", self.now_us).await.expect("begin an import");
        let chunk = Chunk { jobs, rejects: Vec::new() };
        let done = self.store.import(import, &chunk, self.now_us).await.expect("import");
        assert_eq!((done.added, done.rejected), (new, 0));
        self.keys.extend(keys);
        format!("imported {new} new jobs")
    }

    async fn start(&mut self) -> String {
        let found = self.store.recover(&new_run(&limits()), self.now_us).await.expect("recover");
        check_recovery(&self.seen, &self.store.inspect());
        self.permits.begin(&found, self.now_us);
        self.run = Some(found.run);
        let poison = if found.poisoned > 0 { ", poison" } else { "" };
        format!("run {} begins; {} interrupted{poison}", found.run, found.interrupted)
    }

    async fn claim(&mut self, run: i64) -> String {
        let slots = SLOTS - self.flights.len();
        let permits = self.permits.take(self.random.below(slots + 1), self.now_us);
        let want = Want { slots, requests: permits.len() };
        let leases = self.store.claim(run, &want, &permits, self.now_us).await.expect("claim");
        assert!(leases.len() <= slots, "more than there are slots for");
        let mut unused = permits.iter().copied();
        for lease in &leases {
            let permit = (lease.standing.state == State::Pending).then(|| unused.next().expect("a permit a request"));
            let stage = if permit.is_some() { Stage::Held(permit) } else { Stage::Ready };
            assert_eq!(permit.is_none(), lease.response.is_some());
            let was = &self.seen.jobs[&lease.job];
            assert!(was.due_at_us <= self.now_us, "job {} is claimed too soon", lease.job);
            assert_eq!(lease.attempt, was.attempts + 1, "job {}: its fence", lease.job);
            let flight =
                Flight { lease: lease.clone(), standing: lease.standing, stage, fetched: None, accused: false };
            assert!(self.flights.insert(lease.job, flight).is_none(), "handed out twice");
        }
        self.permits.give_back(&unused.collect::<Vec<_>>());
        let suspects = if leases.iter().any(|lease| lease.suspect) { ", a suspect among them" } else { "" };
        format!("claimed {} of {slots}{suspects}", leases.len())
    }

    /// A flight of which this is true.
    fn pick(&mut self, which: impl Fn(&Flight) -> bool) -> Option<i64> {
        let mut found: Vec<_> = self.flights.iter().filter(|(_, flight)| which(flight)).map(|(id, _)| *id).collect();
        (!found.is_empty()).then(|| found.swap_remove(self.random.below(found.len())))
    }

    fn send(&mut self) -> String {
        let Some(id) = self.pick(|flight| matches!(flight.stage, Stage::Held(_))) else { return "no send".into() };
        let flight = self.flights.get_mut(&id).expect("just picked");
        let Stage::Held(Some(permit)) = flight.stage else { panic!("job {id} needs a permit") };
        let job = &self.seen.jobs[&id];
        assert_eq!(job.standing.state, State::Pending, "job {id} is sent although its response is stored");
        for limit in limits() {
            // After a recovery only permits that are long void may be gone, and those of a dead run are never used.
            assert!(self.seen.spends.contains_key(&(limit.name, permit)), "a permit that was not written down");
        }
        flight.stage = Stage::Sent;
        format!("sent job {id}")
    }

    fn answer(&mut self) -> String {
        let Some(id) = self.pick(|flight| matches!(flight.stage, Stage::Sent)) else { return "no answer".into() };
        let (chance, later_us) = (self.random.below(100), self.random.below(5_000_000) as Micros);
        let flight = self.flights.get_mut(&id).expect("just picked");
        let verdict = match chance {
            0..70 => {
                let good = self.answered.entry(id).or_default();
                *good += 1;
                let lost = self.lost.get(&id).copied().unwrap_or(0);
                assert!(*good <= lost + 1, "job {id} was answered {good} times, {lost} of them lost");
                let back = write_back(flight, &Event::Fetched, self.now_us);
                let back = WriteBack { response: Some(response(b"{}")), ..back };
                // A suspect's response is durable before its processor sees it.
                let first = flight.lease.suspect || chance < 25;
                flight.standing = back.next.standing;
                flight.stage = if first { Stage::Outcome(Box::new(back.clone())) } else { Stage::Ready };
                flight.fetched = (!first).then_some(back);
                return format!("answered job {id}{}", if first { ", kept" } else { "" });
            }
            70..85 => Verdict::Transient,
            85..90 => Verdict::Permanent,
            _ => Verdict::Throttled,
        };
        let not_before_us = (verdict == Verdict::Throttled).then_some(self.now_us + later_us);
        let failure = Failure { not_before_us, ..Failure::new(ErrorType::status(503), verdict, "not now") };
        flight.stage = Stage::Outcome(Box::new(write_back(flight, &Event::FetchFailed(failure), self.now_us)));
        format!("{} job {id}", if verdict == Verdict::Throttled { "throttled" } else { "refused" })
    }

    async fn process(&mut self, run: i64) -> String {
        // Suspects one at a time, before anything else.
        if self.flights.values().any(|flight| flight.accused) {
            return "a suspect is being processed".into();
        }
        let suspect = self.pick(|flight| flight.lease.suspect && matches!(flight.stage, Stage::Ready));
        let ready = suspect.or_else(|| self.pick(|flight| matches!(flight.stage, Stage::Ready)));
        let Some(id) = ready else { return "nothing to process".into() };
        let chance = self.random.below(100);
        let flight = self.flights.get_mut(&id).expect("just picked");
        if flight.lease.suspect {
            assert!(self.store.accuse(run, id, flight.lease.attempt).await.expect("accuse"), "job {id} is held");
            assert_eq!(self.seen.jobs[&id].standing.state, State::Fetched, "a suspect whose response is not stored");
            flight.accused = true;
        }
        if flight.lease.key.ends_with('7') {
            return self.crash("crashed by what it processed");
        }
        let failure = |verdict| Failure::new(ErrorType::PROCESS_ERROR, verdict, "does not fit");
        let event = match chance {
            0..80 => Event::Processed,
            80..90 => Event::ProcessFailed(failure(Verdict::Transient)),
            _ => Event::ProcessFailed(failure(Verdict::Permanent)),
        };
        let output = Output { json: chance.to_string(), processor: "none".into() };
        let output = (event == Event::Processed).then_some(output);
        let response = flight.fetched.take().and_then(|fetched| fetched.response);
        let back = WriteBack { output, response, ..write_back(flight, &event, self.now_us) };
        flight.stage = Stage::Outcome(Box::new(back));
        format!("processed job {id}")
    }

    async fn commit(&mut self, run: i64) -> String {
        let mut outcomes: Vec<_> = self.flights.values().filter_map(outcome).collect();
        let batch = self.random.some_of(&mut outcomes);
        let done = self.store.commit(run, &batch, &Minutes::default(), self.now_us).await.expect("commit");
        assert_eq!(done.stale, [0; 0], "a live run writes nothing stale");
        for back in &batch {
            if back.next.keep_lease {
                self.flights.get_mut(&back.job).expect("it flies").stage = Stage::Ready;
            } else {
                self.flights.remove(&back.job);
            }
        }
        format!("committed {} of {}", batch.len(), batch.len() + outcomes.len())
    }

    async fn release(&mut self, run: i64) -> String {
        let held = self.flights.values().filter_map(|flight| match flight.stage {
            Stage::Held(Some(permit)) => Some((flight.lease.job, flight.lease.attempt, permit)),
            _ => None,
        });
        let mut held: Vec<_> = held.collect();
        let back = self.random.some_of(&mut held);
        let leases: Vec<_> = back.iter().map(|(job, attempt, _)| (*job, *attempt)).collect();
        let permits: Vec<_> = back.iter().map(|(.., permit)| *permit).collect();
        self.store.release(run, &leases, &permits).await.expect("release");
        self.permits.give_back(&permits);
        let gone: Vec<_> = leases.iter().filter_map(|(job, _)| self.flights.remove(job)).collect();
        self.ghosts.extend(gone.iter().map(|flight| (run, write_back(flight, &Event::Fetched, self.now_us))));
        format!("released {}", leases.len())
    }

    /// Ends without waiting for what flies: its leases are left to the next recovery.
    async fn stop(&mut self, run: i64) -> String {
        self.release(run).await;
        self.commit(run).await;
        self.store.end(run, RunOutcome::Interrupted, self.now_us).await.expect("end");
        self.crash("stopped")
    }

    /// All that is in memory is gone, wherever it was.
    fn crash(&mut self, how: &str) -> String {
        assert!(self.flights.len() <= SLOTS, "more would be sent again than there are slots");
        for flight in self.flights.values() {
            let unstored = flight.fetched.is_some() || outcome(flight).is_some_and(|back| back.response.is_some());
            if unstored {
                *self.lost.entry(flight.lease.job).or_default() += 1;
            }
        }
        if let Some(run) = self.run.take() {
            self.ghosts.extend(self.flights.values().filter_map(outcome).map(|back| (run, back)));
        }
        self.flights.clear();
        how.to_owned()
    }

    /// Somebody who lost his leases, and has not noticed, does all that he believes he may.
    async fn haunt(&mut self) -> String {
        if self.run.is_none() {
            return "no ghosts yet".into(); // before the recovery a dead run's leases are its own
        }
        let ghosts = self.random.some_of(&mut self.ghosts);
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

    async fn pause(&mut self) -> String {
        let until_us = self.now_us + self.random.below(9) as Micros * SECOND_US;
        self.store.pause_limit(&limits()[0], until_us).await.expect("pause");
        format!("paused until {until_us}")
    }

    fn wait(&mut self) -> String {
        self.now_us += self.random.below(2_000_000) as Micros;
        "waited".into()
    }
}

fn limits() -> [Limit; 2] {
    [limit("20/s", 20, SECOND_US), limit("600/m", 600, 60 * SECOND_US)]
}

fn outcome(flight: &Flight) -> Option<WriteBack> {
    match &flight.stage {
        Stage::Outcome(back) => Some(WriteBack::clone(back)),
        _ => None,
    }
}

/// What is written back when this happens to a job that flies.
fn write_back(flight: &Flight, event: &Event, now_us: Micros) -> WriteBack {
    let Lease { job, attempt, .. } = flight.lease;
    let next = next(flight.standing, event, &rules(), job, attempt, now_us);
    let measured = Measured { started_at_us: Some(now_us), ..Measured::default() };
    WriteBack { job, attempt, next, measured, ..WriteBack::default() }
}
