//! What must hold after every step, and between any two of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use haul::attempt::ErrorType;
use haul::clock::Micros;
use haul::job::{POISON_CRASHES, State};
use haul::store::memory::{Job, Tables};
use haul::store::{Counts, Output};

use crate::store_suite::scene::rules;

/// What must hold of the tables by themselves.
pub(crate) fn check_tables(now: &Tables, slots: usize) {
    let mut counts = Counts::new();
    for (id, job) in &now.jobs {
        check_job(now, *id, job);
        let error_type = job.error.as_ref().map(|(error_type, _)| error_type.clone());
        *counts.entry((job.standing.state, error_type)).or_default() += 1;
    }
    assert_eq!(counts, now.counts, "kept counts and the truth");
    for (id, attempt) in now.attempts.keys() {
        assert!(*attempt <= now.jobs[id].attempts, "an attempt at job {id} that was never claimed");
    }
    check_leases(now, slots);
}

/// What must hold of the few that are in flight, and of the permits.
pub(crate) fn check_leases(now: &Tables, slots: usize) {
    let mut leased = BTreeMap::<i64, usize>::new();
    now.jobs.values().filter_map(|job| job.run).for_each(|run| *leased.entry(run).or_default() += 1);
    assert!(leased.values().all(|held| *held <= slots), "more jobs in flight than slots");
    assert!(now.spends.values().all(|permits| *permits > 0), "a row without permits");
    assert!(now.runs.values().rev().skip(1).all(|run| run.ended.is_some()), "two runs at once");
}

pub(crate) fn check_job(now: &Tables, id: i64, job: &Job) {
    let state = job.standing.state;
    let error_type = job.error.as_ref().map(|(error_type, _)| error_type);
    assert!(state != State::Succeeded || now.results.contains_key(&id), "job {id}: {state:?} and no result");
    if matches!(state, State::Fetched | State::Succeeded) {
        assert!(now.responses.contains_key(&id), "job {id}: {state:?} without its response");
    }
    assert_eq!(state.is_final(), job.finished_at_us.is_some(), "job {id}: {state:?} and its end");
    assert!(!state.is_final() || job.run.is_none(), "job {id}: {state:?} and still held");
    assert!(state != State::Succeeded || job.error.is_none(), "job {id}: succeeded with an error");
    assert!(state != State::Failed || job.error.is_some(), "job {id}: failed without an error");
    assert!(job.standing.failures < rules().max_attempts || state == State::Failed, "job {id} is tried too often");
    if state == State::Succeeded || error_type == Some(&ErrorType::PROCESS_ERROR) {
        assert_eq!(job.standing.crashes, 0, "job {id}: its processing came back, and yet it is accused");
    }
    if error_type == Some(&ErrorType::POISON) {
        assert!(state == State::Failed && job.standing.crashes >= POISON_CRASHES, "job {id}: poison too soon");
    }
    if error_type == Some(&ErrorType::INTERRUPTED) {
        let lost = now
            .attempts
            .range((id, 0)..(id + 1, 0))
            .any(|(_, row)| row.error.as_ref().is_some_and(|(error_type, _)| *error_type == ErrorType::INTERRUPTED));
        assert!(lost, "job {id}: interrupted, but no attempt says so");
    }
}

/// What was seen last.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) jobs: BTreeMap<i64, Arc<Job>>,
    pub(crate) results: BTreeMap<i64, (u32, Output)>,
    pub(crate) pauses: BTreeMap<String, Micros>,
    /// How many there were.
    attempts: usize,
}

impl Seen {
    /// All that is there, taken as it is.
    pub(crate) fn of(now: &Tables) -> Self {
        let pauses = now.limits.iter().map(|(name, kept)| (name.clone(), kept.paused_until_us));
        let pauses = pauses.collect();
        Self { jobs: now.jobs.clone(), results: now.results.clone(), pauses, attempts: now.attempts.len() }
    }

    /// Jobs that are other than they were.
    pub(crate) fn changed(&self, now: &Tables) -> Vec<i64> {
        assert!(self.jobs.len() <= now.jobs.len(), "a job is lost");
        let is_as_it_was = |id: &i64, job: &Arc<Job>| self.jobs.get(id).is_some_and(|was| Arc::ptr_eq(was, job));
        let changed = now.jobs.iter().filter(|(id, job)| !is_as_it_was(id, job));
        changed.map(|(id, _)| *id).collect()
    }

    /// The wall clock was set by so much: pauses are moved along.
    pub(crate) fn follow(&mut self, step_us: Micros) {
        self.pauses.values_mut().filter(|until_us| **until_us > 0).for_each(|until_us| *until_us += step_us);
    }

    /// What must hold between then and now; and now is what was seen.
    pub(crate) fn go_on(&mut self, now: &Tables, changed: &[i64]) {
        for id in changed {
            let is = &now.jobs[id];
            if let Some(was) = self.jobs.insert(*id, Arc::clone(is)) {
                check_job_step(*id, &was, is);
            }
            if let Some(result) = now.results.get(id).filter(|_| is.standing.state == State::Succeeded) {
                self.results.insert(*id, result.clone());
            }
        }
        for (name, kept) in &now.limits {
            let was_us = self.pauses.insert(name.clone(), kept.paused_until_us).unwrap_or(0);
            assert!(was_us <= kept.paused_until_us, "a pause of {name} was cut short");
        }
        assert!(self.attempts <= now.attempts.len(), "an attempt is forgotten");
        self.attempts = now.attempts.len();
    }
}

/// Each that succeeded has the result that it was given then.
pub(crate) fn check_results(seen: &Seen, now: &Tables) {
    let succeeded = |id: &i64| now.jobs[id].standing.state == State::Succeeded;
    for (id, result) in seen.results.iter().filter(|(id, _)| succeeded(id)) {
        assert_eq!(now.results.get(id), Some(result), "the result of job {id} changed");
    }
}

/// What must hold of a job between two moments.
fn check_job_step(id: i64, was: &Job, is: &Job) {
    assert_eq!((&was.key, &was.request), (&is.key, &is.request), "job {id} became another");
    assert!(may_follow(was.standing.state, is.standing.state), "job {id}: {:?} -> {:?}", was.standing, is.standing);
    assert!(!was.standing.state.is_final() || was == is, "job {id} changed after its end");
    assert!(was.attempts <= is.attempts && is.attempts <= was.attempts + 1, "job {id}: its fence");
    assert!(was.standing.failures <= is.standing.failures, "job {id}: its failures");
    assert!(was.standing.generation <= is.standing.generation, "job {id}: its generation");
    if was.run.is_some() && is.run.is_some() {
        assert_eq!((was.run, was.attempts), (is.run, is.attempts), "job {id} was taken from its holder");
    }
}

fn may_follow(from: State, to: State) -> bool {
    use State::{Failed, Fetched, Pending, Succeeded};
    from == to || matches!((from, to), (Pending, Fetched | Succeeded | Failed) | (Fetched, Succeeded | Failed))
}

/// What a recovery must have done.
pub(crate) fn check_recovery(before: &Seen, now: &Tables, step_us: Micros) {
    for (id, was) in before.jobs.iter().filter(|(_, job)| job.run.is_some()) {
        let is = &now.jobs[id];
        assert_eq!(is.run, None, "job {id} is still held by the dead");
        assert_eq!((is.attempts, is.standing.failures), (was.attempts, was.standing.failures), "a crash costs nothing");
        let noted = now.attempts.get(&(*id, was.attempts)).and_then(|row| row.error.as_ref());
        assert_eq!(noted.map(|(error_type, _)| error_type), Some(&ErrorType::INTERRUPTED), "job {id}: not noted");
        let poison = was.standing.crashes >= POISON_CRASHES;
        assert_eq!(is.standing.state, if poison { State::Failed } else { was.standing.state }, "job {id}");
    }
    for (id, was) in before.jobs.iter().filter(|(_, job)| job.run.is_none()) {
        // The wall clock was set by so much: who waits, waits as long as before.
        let waits = was.due_at_us > 0 && !was.standing.state.is_final();
        let due_at_us = if waits { (was.due_at_us + step_us).max(1) } else { was.due_at_us };
        assert!(*now.jobs[id] == Job { due_at_us, ..Job::clone(was) }, "job {id} was held by nobody and yet disturbed");
    }
}
