//! A job: what it says, its states, and the one function that knows every legal move between them.

mod asked;

use crate::attempt::{ErrorType, Failure, Verdict};
use crate::backoff::{Backoff, chance};
use crate::clock::Micros;
use crate::settings::{KeepResponses, OnUncertain};

pub use asked::Job;

/// What is durably known of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Nothing yet.
    #[default]
    Pending,
    /// Its response is stored.
    Fetched,
    /// Its result is stored.
    Succeeded,
    /// Given up.
    Failed,
    /// Not to be sent.
    Cancelled,
}

impl State {
    /// Every state, in the order of the journey.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Fetched, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The word in tables and on screens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Fetched => "fetched",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Nothing is left to do.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Crashes in its own processing after which a job is given up as `poison`.
pub const POISON_CRASHES: u32 = 3;

/// Where a job stands: the columns of `jobs` that decisions depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is durably written.
    pub state: State,
    /// Failures that counted so far.
    pub failures: u32,
    /// Complete answers so far, failed ones included.
    pub generation: u32,
    /// Deaths of the process while it alone was being processed.
    pub crashes: u32,
    /// Where it stood before it was to be processed again, and stands again should that fail: its request is not sent.
    pub was: Option<State>,
}

/// What happened to a leased job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A complete response that counts as a success; processing is still to come, under the same lease.
    Fetched,
    /// The request failed.
    FetchFailed(Failure),
    /// The result is there.
    Processed,
    /// The processor failed.
    ProcessFailed(Failure),
    /// The run that held the lease is dead.
    Interrupted,
    /// The same, and its request must not be sent twice.
    Lost,
}

impl Event {
    /// What the death of a run means for a job that it held, where a POST or PATCH is sent again or not.
    #[must_use]
    pub fn of_death(state: State, method: &str, again: OnUncertain) -> Self {
        let harmful = matches!(method, "POST" | "PATCH");
        if state == State::Pending && harmful && again == OnUncertain::Fail { Self::Lost } else { Self::Interrupted }
    }
}

/// Where a job goes: the columns of `jobs` that a write-back sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Next {
    /// Where it stands then.
    pub standing: Standing,
    /// Not before this time; 0 = as soon as possible.
    pub due_at_us: Micros,
    /// Type and message of its last failure.
    pub error: Option<(ErrorType, String)>,
    /// A failure of this attempt that is not held against the job: its old result stays.
    pub spared: Option<(ErrorType, String)>,
    /// The lease is kept: the next stage follows at once.
    pub keep_lease: bool,
}

impl Next {
    /// How the attempt failed, whether or not that is held against the job.
    #[must_use]
    pub fn fault(&self) -> Option<&(ErrorType, String)> {
        self.error.as_ref().or(self.spared.as_ref())
    }
}

/// What decides between another try and giving up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRules {
    /// Failures after which a job is given up, at least 1.
    pub max_attempts: u32,
    /// The wait between them.
    pub backoff: Backoff,
    /// Seed of the jitter.
    pub seed: u64,
}

/// Every legal move of a leased job: `next(standing, event) -> standing`. Pure.
///
/// `job` and `attempt` only choose the jitter of a retry.
#[must_use]
pub fn next(from: Standing, event: &Event, rules: &RetryRules, job: i64, attempt: u32, now_us: Micros) -> Next {
    let moved = |state: State| Next { standing: Standing { state, ..from }, ..Next::default() };
    let next = match event {
        Event::Fetched => Next {
            standing: Standing { state: State::Fetched, generation: from.generation + 1, ..from },
            keep_lease: true,
            ..moved(State::Fetched)
        },
        Event::Processed => {
            Next { standing: Standing { state: State::Succeeded, crashes: 0, ..from }, ..moved(State::Succeeded) }
        }
        Event::FetchFailed(failure) => failed(from, failure, State::Pending, rules, job, attempt, now_us),
        Event::ProcessFailed(failure) => {
            let from = Standing { crashes: 0, ..from }; // it came back: whatever it did, it did not kill the process
            let again = if failure.verdict == Verdict::Refetch { State::Pending } else { State::Fetched };
            failed(from, failure, again, rules, job, attempt, now_us)
        }
        Event::Lost => Next {
            error: Some((
                ErrorType::INTERRUPTED,
                "the run ended while it held this job; its request may have been carried out, so it is not sent again \
                 (--on-uncertain fail)"
                    .to_owned(),
            )),
            ..moved(State::Failed)
        },
        Event::Interrupted if from.crashes >= POISON_CRASHES => Next {
            error: Some((
                ErrorType::POISON,
                format!("the process died {} times while it worked on this job alone", from.crashes),
            )),
            ..moved(State::Failed)
        },
        Event::Interrupted => Next {
            error: Some((ErrorType::INTERRUPTED, "the run ended while it held this job".to_owned())),
            ..moved(from.state)
        },
    };
    kept(from.was, next)
}

/// What becomes of a job that is processed again: a new result is final, a further try of the processing is made, and
/// anything else, a request among it, leaves it where it stood before.
fn kept(was: Option<State>, next: Next) -> Next {
    let Some(was) = was else { return next };
    let to = |state, error, spared| {
        let standing = Standing { state, was: None, crashes: 0, ..next.standing };
        Next { standing, due_at_us: 0, error, spared, keep_lease: false }
    };
    match (next.standing.state, was) {
        (State::Fetched, _) => next,
        (State::Succeeded, _) => to(State::Succeeded, None, None),
        (_, State::Succeeded) => to(State::Succeeded, None, next.error.clone()),
        _ => to(State::Failed, next.error.clone(), None),
    }
}

/// Whether the stored response of a job goes with this write-back. One whose processing failed while its old result stays
/// is kept, for the next processor.
#[must_use]
pub fn drops_response(keep: KeepResponses, next: &Next) -> bool {
    let wanted = match keep {
        KeepResponses::All => true,
        KeepResponses::Failed => next.standing.state == State::Failed,
        KeepResponses::None => false,
    };
    next.standing.state.is_final() && next.spared.is_none() && !wanted
}

/// A failure in a stage: back to `again` later, or given up.
fn failed(
    from: Standing,
    failure: &Failure,
    again: State,
    rules: &RetryRules,
    job: i64,
    attempt: u32,
    now_us: Micros,
) -> Next {
    let generation = from.generation + u32::from(failure.answered);
    let failures = from.failures + u32::from(failure.verdict != Verdict::Throttled);
    let (state, wait_us) = match failure.verdict {
        Verdict::Permanent => (State::Failed, 0),
        Verdict::Transient | Verdict::Refetch if failures >= rules.max_attempts => (State::Failed, 0),
        Verdict::Transient | Verdict::Refetch => {
            (again, rules.backoff.wait_us(failures, chance(rules.seed, job, attempt)))
        }
        Verdict::Throttled => (again, 0),
    };
    let due_at_us = if state == State::Failed { 0 } else { (now_us + wait_us).max(failure.not_before_us.unwrap_or(0)) };
    Next {
        standing: Standing { state, failures, generation, ..from },
        due_at_us,
        error: Some((failure.error_type.clone(), failure.message.clone())),
        ..Next::default()
    }
}

/// What somebody asks of jobs that no run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Failed jobs go back to the stage that failed.
    Retry,
    /// Jobs in any state are requested again, as if for the first time.
    Refetch,
    /// Jobs with work left are not worked on any more; one that was only to be processed again keeps its result.
    Cancel,
    /// What the server answered is processed again, and no request is sent.
    Reprocess,
}

/// Failures of processing: what they worked on is there, so nobody needs to ask the server for it again.
const OF_PROCESSING: [&str; 4] = ["process_error", "process_panic", "process_timeout", "poison"];

/// Where a wish takes a job that no run holds; `None` = it is not for jobs that stand there. Pure.
#[must_use]
pub fn wished(wish: Wish, from: Standing, error_type: Option<&ErrorType>, has_response: bool) -> Option<Standing> {
    match (wish, from.state) {
        (Wish::Retry, State::Failed) => Some(retried(from, error_type, has_response)),
        // What is stored stays until the new answer replaces it; the server is not to replay the one it gave.
        (Wish::Refetch, _) => Some(Standing { generation: from.generation + 1, ..afresh(from, State::Pending) }),
        (Wish::Cancel, State::Pending | State::Fetched) => {
            // Only a success can come back as it was: of a failure nobody knows any more which it was.
            let state = from.was.filter(|was| *was == State::Succeeded).unwrap_or(State::Cancelled);
            Some(Standing { state, was: None, ..from })
        }
        (Wish::Reprocess, State::Succeeded | State::Failed)
            if has_response && (from.state == State::Succeeded || was_answered(error_type)) =>
        {
            Some(Standing { was: Some(from.state), ..afresh(from, State::Fetched) })
        }
        (Wish::Retry | Wish::Cancel | Wish::Reprocess, _) => None,
    }
}

/// Whether a job failed on what the server answered: what is stored is then this answer. After a failure without one, what
/// may be stored is older than the failure.
#[must_use]
pub fn was_answered(error_type: Option<&ErrorType>) -> bool {
    let of_answer = |word: &str| {
        OF_PROCESSING.contains(&word) || word == ErrorType::FAIL_IF.as_str() || word.parse::<u16>().is_ok()
    };
    error_type.is_some_and(|error_type| of_answer(error_type.as_str()))
}

/// Where a failed job goes on: at the stage that failed. Its generation stays: a complete answer has raised it already, and
/// a request whose answer was lost keeps its Idempotency-Key.
#[must_use]
pub fn retried(from: Standing, error_type: Option<&ErrorType>, has_response: bool) -> Standing {
    let in_processing = error_type.is_some_and(|error_type| OF_PROCESSING.contains(&error_type.as_str()));
    afresh(from, if in_processing && has_response { State::Fetched } else { State::Pending })
}

/// What went wrong before is forgiven.
fn afresh(from: Standing, state: State) -> Standing {
    Standing { state, failures: 0, crashes: 0, was: None, ..from }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Standing = Standing { state: State::Pending, failures: 0, generation: 0, crashes: 0, was: None };

    fn rules() -> RetryRules {
        RetryRules { max_attempts: 3, backoff: Backoff::default(), seed: 1 }
    }

    fn after(from: Standing, event: &Event) -> Next {
        next(from, event, &rules(), 1, 1, 1_000_000)
    }

    fn refused(verdict: Verdict) -> Event {
        Event::FetchFailed(Failure::new(ErrorType::TIMEOUT, verdict, "no answer"))
    }

    // Seen failing with the state left as it was, and with a refetch that does not count.
    #[test]
    fn a_processor_may_send_a_job_back_to_be_requested_anew_as_long_as_it_may_fail() {
        let stored = Standing { state: State::Fetched, generation: 1, crashes: 2, ..FROM };
        let refetch = Event::ProcessFailed(Failure::new(ErrorType::PROCESS_ERROR, Verdict::Refetch, "stale"));
        let again = after(stored, &refetch);
        // Of the generation that the answer began: the server is not to replay it.
        assert_eq!(
            again.standing,
            Standing { state: State::Pending, failures: 1, generation: 1, crashes: 0, was: None }
        );
        assert!(again.due_at_us > 0 && !again.keep_lease);
        let spent = after(Standing { failures: 2, ..stored }, &refetch);
        assert_eq!((spent.standing.state, spent.standing.failures), (State::Failed, 3));
    }

    #[test]
    fn a_response_is_kept_under_the_lease_until_its_result_is_there() {
        let fetched = after(FROM, &Event::Fetched);
        assert!(fetched.keep_lease);
        assert_eq!(fetched.standing.state, State::Fetched);
        let done = after(fetched.standing, &Event::Processed);
        assert_eq!((done.standing.state, done.keep_lease, done.error), (State::Succeeded, false, None));
    }

    #[test]
    fn transient_failures_are_retried_until_max_attempts_then_fail() {
        let mut standing = FROM;
        for failures in 1..=2 {
            let step = after(standing, &refused(Verdict::Transient));
            assert_eq!((step.standing.state, step.standing.failures), (State::Pending, failures));
            assert!(step.due_at_us >= 1_000_000);
            standing = step.standing;
        }
        assert_eq!(after(standing, &refused(Verdict::Transient)).standing.state, State::Failed);
    }

    #[test]
    fn a_throttled_job_loses_nothing_and_waits_as_long_as_it_was_told() {
        let Event::FetchFailed(failure) = refused(Verdict::Throttled) else { unreachable!() };
        let step = after(FROM, &Event::FetchFailed(Failure { not_before_us: Some(9_000_000), ..failure }));
        assert_eq!((step.standing, step.due_at_us), (FROM, 9_000_000));
    }

    #[test]
    fn a_processing_failure_never_goes_back_to_the_server() {
        let fetched = Standing { state: State::Fetched, ..FROM };
        let failure = Failure::new(ErrorType::PROCESS_ERROR, Verdict::Transient, "busy");
        assert_eq!(after(fetched, &Event::ProcessFailed(failure)).standing.state, State::Fetched);
    }

    // Seen failing with every death an interruption.
    #[test]
    fn only_an_unanswered_post_or_patch_is_lost_to_a_death_and_only_where_it_must_not_be_sent_twice() {
        for (state, method, again, event) in [
            (State::Pending, "POST", OnUncertain::Fail, Event::Lost),
            (State::Pending, "PATCH", OnUncertain::Fail, Event::Lost),
            (State::Pending, "POST", OnUncertain::Retry, Event::Interrupted),
            (State::Pending, "PUT", OnUncertain::Fail, Event::Interrupted),
            (State::Fetched, "POST", OnUncertain::Fail, Event::Interrupted),
        ] {
            assert_eq!(Event::of_death(state, method, again), event, "{state:?} {method} {again:?}");
        }
        let lost = after(FROM, &Event::Lost);
        assert_eq!((lost.standing.state, lost.standing.failures), (State::Failed, 0));
        assert_eq!(lost.error.map(|(error_type, _)| error_type), Some(ErrorType::INTERRUPTED));
    }

    #[test]
    fn only_a_job_that_crashed_three_times_alone_is_poison() {
        for (crashes, state, error) in
            [(2, State::Fetched, ErrorType::INTERRUPTED), (3, State::Failed, ErrorType::POISON)]
        {
            let step = after(Standing { state: State::Fetched, crashes, ..FROM }, &Event::Interrupted);
            assert_eq!((step.standing.state, step.error.map(|(t, _)| t)), (state, Some(error)));
        }
    }

    #[test]
    fn a_retry_goes_back_to_the_stage_that_failed() {
        let given_up = Standing { state: State::Failed, failures: 5, generation: 3, crashes: 2, was: None };
        for (error_type, has_response, state) in [
            ("process_error", true, State::Fetched),
            ("process_panic", true, State::Fetched),
            ("process_timeout", true, State::Fetched),
            ("poison", true, State::Fetched),
            ("process_error", false, State::Pending),
            ("poison", false, State::Pending),
            ("timeout", true, State::Pending),
            ("503", false, State::Pending),
            ("fail_if", true, State::Pending),
        ] {
            let to = retried(given_up, Some(&ErrorType::stored(error_type.to_owned())), has_response);
            let wanted = Standing { state, failures: 0, generation: 3, crashes: 0, was: None };
            assert_eq!(to, wanted, "{error_type} {has_response}");
        }
    }

    #[test]
    fn a_wish_is_granted_only_where_it_makes_sense() {
        let to = |wish, state| {
            let from = Standing { state, failures: 2, generation: 1, crashes: 1, was: None };
            wished(wish, from, Some(&ErrorType::TIMEOUT), true)
        };
        for state in State::ALL {
            assert_eq!(to(Wish::Retry, state).is_some(), state == State::Failed, "{state:?}");
            assert_eq!(to(Wish::Cancel, state).is_some(), !state.is_final(), "{state:?}");
            let again = Standing { state: State::Pending, failures: 0, generation: 2, crashes: 0, was: None };
            assert_eq!(to(Wish::Refetch, state), Some(again), "{state:?}");
        }
    }

    // Seen failing with `next` given back as it is: a success became a failure, and a wish for a request a pending job.
    #[test]
    fn what_is_processed_again_gets_a_new_result_or_stays_what_it_was() {
        let failure = |verdict| Event::ProcessFailed(Failure::new(ErrorType::PROCESS_ERROR, verdict, "no"));
        for was in [State::Succeeded, State::Failed] {
            let from = Standing { state: State::Fetched, was: Some(was), ..FROM };
            let done = after(from, &Event::Processed);
            assert_eq!((done.standing, done.error), (Standing { state: State::Succeeded, ..FROM }, None));
            let refused = Event::FetchFailed(Failure::new(ErrorType::status(503), Verdict::Transient, "503"));
            let poison = Standing { crashes: POISON_CRASHES, ..from };
            for (from, event) in [(from, failure(Verdict::Permanent)), (from, refused), (poison, Event::Interrupted)] {
                let step = after(from, &event);
                assert_eq!((step.standing.state, step.standing.was, step.due_at_us), (was, None, 0), "{event:?}");
                assert_eq!(step.error.is_some(), was == State::Failed, "{event:?}");
                assert_eq!(step.spared.is_some(), was == State::Succeeded, "{event:?}");
            }
            for event in [failure(Verdict::Transient), Event::Interrupted] {
                let step = after(from, &event);
                assert_eq!((step.standing.state, step.standing.was), (State::Fetched, Some(was)), "{event:?}");
            }
        }
    }

    // Seen failing without `was_answered`.
    #[test]
    fn only_what_was_answered_is_processed_again() {
        let to = |state, error_type: &str, has_response| {
            let error_type = Some(ErrorType::stored(error_type.to_owned())).filter(|_| state == State::Failed);
            let from = Standing { state, failures: 2, generation: 1, crashes: 1, was: None };
            wished(Wish::Reprocess, from, error_type.as_ref(), has_response)
        };
        let again = |was| Standing { state: State::Fetched, failures: 0, generation: 1, crashes: 0, was: Some(was) };
        assert_eq!(to(State::Succeeded, "", true), Some(again(State::Succeeded)));
        for error_type in ["process_error", "process_panic", "process_timeout", "poison", "fail_if", "404", "503"] {
            assert_eq!(to(State::Failed, error_type, true), Some(again(State::Failed)), "{error_type}");
            assert_eq!(to(State::Failed, error_type, false), None, "{error_type}");
        }
        for (state, error_type) in [(State::Failed, "timeout"), (State::Failed, "interrupted"), (State::Pending, "")] {
            assert_eq!(to(state, error_type, true), None, "{state:?} {error_type}");
        }
        assert_eq!([State::Fetched, State::Cancelled].map(|state| to(state, "", true)), [None; 2]);
    }

    #[test]
    fn a_success_that_was_to_be_processed_again_is_a_success_where_that_is_cancelled() {
        let cancelled = |was| {
            let from = Standing { state: State::Fetched, was: Some(was), ..FROM };
            wished(Wish::Cancel, from, None, true)
        };
        assert_eq!(cancelled(State::Succeeded), Some(Standing { state: State::Succeeded, ..FROM }));
        assert_eq!(cancelled(State::Failed), Some(Standing { state: State::Cancelled, ..FROM }));
    }

    #[test]
    fn a_response_stays_until_its_job_is_finished_and_then_as_it_was_told() {
        let drops = |keep, state| {
            let standing = Standing { state, ..FROM };
            drops_response(keep, &Next { standing, ..Next::default() })
        };
        let final_ones = [State::Succeeded, State::Failed];
        assert_eq!(final_ones.map(|state| drops(KeepResponses::All, state)), [false, false]);
        assert_eq!(final_ones.map(|state| drops(KeepResponses::Failed, state)), [true, false]);
        assert_eq!(final_ones.map(|state| drops(KeepResponses::None, state)), [true, true]);
        assert!(!drops(KeepResponses::None, State::Fetched) && !drops(KeepResponses::None, State::Pending));
        let spared = Some((ErrorType::PROCESS_ERROR, "no".to_owned()));
        let standing = Standing { state: State::Succeeded, ..FROM };
        let again = Next { standing, spared, ..Next::default() };
        assert!(!drops_response(KeepResponses::None, &again), "the next processor wants it too");
    }
}
