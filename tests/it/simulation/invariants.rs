//! What must hold after every step, and between any two of them.

use std::sync::Arc;

use haul::attempt::ErrorType;
use haul::job::{POISON_CRASHES, State};
use haul::store::Counts;
use haul::store::memory::{Job, Tables};

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
    let leased = now.jobs.values().filter(|job| job.run.is_some());
    assert!(leased.count() <= slots, "more jobs in flight than slots");
    for (id, attempt) in now.attempts.keys() {
        assert!(*attempt <= now.jobs[id].attempts, "an attempt at job {id} that was never claimed");
    }
    assert!(now.spends.values().all(|permits| *permits > 0), "a row without permits");
    let alive = now.runs.values().filter(|run| run.ended.is_none()).count();
    assert!(alive <= 1, "two runs at once");
}

fn check_job(now: &Tables, id: i64, job: &Job) {
    let state = job.standing.state;
    let error_type = job.error.as_ref().map(|(error_type, _)| error_type);
    assert_eq!(state == State::Succeeded, now.results.contains_key(&id), "job {id}: {state:?} and its result");
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

/// What must hold between two moments.
pub(crate) fn check_step(before: &Tables, now: &Tables) {
    for (id, was) in &before.jobs {
        let is = now.jobs.get(id).unwrap_or_else(|| panic!("job {id} is lost"));
        if Arc::ptr_eq(was, is) {
            continue;
        }
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
    for (job, result) in &before.results {
        assert_eq!(now.results.get(job), Some(result), "the result of job {job} changed");
    }
    for (name, was) in &before.limits {
        let is = now.limits.get(name).expect("every run here has the same limits");
        assert!(was.paused_until_us <= is.paused_until_us, "a pause of {name} was cut short");
    }
    for fence in before.attempts.keys() {
        assert!(now.attempts.contains_key(fence), "attempt {fence:?} is forgotten");
    }
}

fn may_follow(from: State, to: State) -> bool {
    use State::{Failed, Fetched, Pending, Succeeded};
    from == to || matches!((from, to), (Pending, Fetched | Succeeded | Failed) | (Fetched, Succeeded | Failed))
}

/// What a recovery must have done.
pub(crate) fn check_recovery(before: &Tables, now: &Tables) {
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
        assert!(now.jobs[id] == *was, "job {id} was held by nobody and yet disturbed");
    }
}
