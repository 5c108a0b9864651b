//! Promises of `grant`, `prune` and `ask_to_stop`: what another terminal does to jobs and runs.
//!
//! Seen failing with each of these taken out: the look at the lease and the set of ids in `wish::grant`, the condition of
//! prune.sql and of ask_to_stop.sql, `has_response` in `job::retried`, the new generation and the forgiven crashes.

use haul::attempt::{ErrorType, Failure, Verdict};
use haul::clock::SECOND_US;
use haul::job::{Event, State, Wish};
use haul::store::{Beat, Granted, RunOutcome, Store};

use super::scene::{Scene, keys};
use super::{Inspect, JobRow, Rows};

/// What is done to the jobs of these keys.
async fn grant<T: Inspect>(at: &Scene<T>, wish: Wish, keys: &[&str]) -> Granted {
    let rows = at.rows().await;
    let ids: Vec<_> = keys.iter().map(|key| rows.job(key).id).collect();
    at.store().grant(wish, &ids, at.now_us).await.expect("grant")
}

async fn prune<T: Inspect>(at: &Scene<T>, keys: &[&str]) -> u64 {
    let rows = at.rows().await;
    let ids: Vec<_> = keys.iter().map(|key| rows.job(key).id).collect();
    at.store().prune(&ids).await.expect("prune")
}

/// Jobs in every place: `asked` failed for want of an answer, `refused` in its processing, `stored` is fetched, `done`
/// succeeded, `held` is leased, `fresh` was never claimed.
async fn places<T: Inspect>(at: Scene<T>) -> Scene<T> {
    let at = at.with(&["asked", "refused", "stored", "done", "held", "fresh"]).await;
    let claimed = at.claim(4).await;
    let later_us = at.now_us + SECOND_US;
    at.commit(&[
        at.failed(&claimed[0], Verdict::Permanent),
        at.parked(&claimed[1], "kept", 0),
        at.parked(&claimed[2], "kept", later_us),
        at.done(&claimed[3], "1"),
    ])
    .await;
    let refused = at.claim_one().await;
    assert_eq!(refused.key, "refused", "it is the one that is fetched and due");
    at.store().accuse(at.run, refused.job, refused.attempt).await.expect("accuse");
    let failure = Failure::new(ErrorType::PROCESS_ERROR, Verdict::Permanent, "refused");
    at.commit(&[at.back(&refused, refused.standing, &Event::ProcessFailed(failure))]).await;
    assert_eq!(keys(&at.claim(1).await), ["held"]);
    at
}

fn states(rows: &Rows) -> Vec<(&str, State)> {
    rows.jobs.iter().map(|(key, job)| (key.as_str(), job.state)).collect()
}

/// Nothing of its failures is left.
fn is_forgiven(job: &JobRow) -> bool {
    (job.failures, job.crashes, job.due_at_us, &job.error_type, job.finished) == (0, 0, 0, &None, false)
}

pub(crate) async fn a_retry_goes_back_to_the_stage_that_failed<T: Inspect>(at: Scene<T>) {
    let at = places(at).await;
    let before = at.rows().await;
    let granted = grant(&at, Wish::Retry, &["asked", "refused"]).await;
    assert_eq!(granted, Granted { pending: 1, fetched: 1, ..Granted::default() });
    let rows = at.rows().await;
    assert_eq!((rows.job("asked").state, rows.job("refused").state), (State::Pending, State::Fetched));
    for key in ["asked", "refused"] {
        assert!(is_forgiven(rows.job(key)), "{:?}", rows.job(key));
        let same = |rows: &Rows| (rows.job(key).generation, rows.job(key).attempts);
        assert_eq!(same(&rows), same(&before), "the same request under the same fence");
    }
    let [first, second] = <[_; 2]>::try_from(at.claim(2).await).expect("both are due");
    assert_eq!((first.key.as_str(), first.permit_us), ("refused", None), "it needs no request");
    assert_eq!(first.response.expect("what is processed again").body, "kept");
    assert_eq!((second.key.as_str(), second.suspect), ("asked", false));
}

pub(crate) async fn without_its_response_a_job_is_requested_again<T: Inspect>(at: Scene<T>) {
    let at = places(at).await;
    assert_eq!(prune(&at, &["refused"]).await, 1);
    assert_eq!(grant(&at, Wish::Retry, &["refused"]).await, Granted { pending: 1, ..Granted::default() });
    assert_eq!(at.rows().await.job("refused").state, State::Pending);
}

pub(crate) async fn only_failed_jobs_are_retried<T: Inspect>(at: Scene<T>) {
    let at = places(at).await;
    let before = at.rows().await;
    let granted = grant(&at, Wish::Retry, &["stored", "done", "held", "fresh"]).await;
    assert_eq!(granted, Granted { held: 1, unfit: 3, ..Granted::default() });
    assert_eq!(at.rows().await, before);
}

pub(crate) async fn a_refetch_requests_any_job_again_in_a_new_generation<T: Inspect>(at: Scene<T>) {
    let at = places(at).await;
    let before = at.rows().await;
    let all = ["asked", "refused", "stored", "done", "held", "fresh"];
    assert_eq!(grant(&at, Wish::Refetch, &all).await, Granted { pending: 5, held: 1, ..Granted::default() });
    let rows = at.rows().await;
    for key in all.into_iter().filter(|key| *key != "held") {
        let job = rows.job(key);
        assert_eq!((job.state, job.generation), (State::Pending, before.job(key).generation + 1), "{key}");
        assert!(is_forgiven(job), "{job:?}");
    }
    assert_eq!((&rows.responses, &rows.results), (&before.responses, &before.results), "until new ones come");
    let claimed = at.claim(5).await;
    assert_eq!(claimed.len(), 5);
    let again = claimed.iter().find(|lease| lease.key == "done").expect("it is among them");
    assert!(again.permit_us.is_some() && again.response.is_none());
    at.commit(&[at.done(again, "2")]).await;
    assert_eq!(at.rows().await.results[&again.job].1, "2");
}

pub(crate) async fn a_job_that_a_run_holds_is_left_alone_by_every_wish<T: Inspect>(at: Scene<T>) {
    let at = places(at).await;
    let before = at.rows().await;
    for wish in [Wish::Retry, Wish::Refetch, Wish::Cancel] {
        assert_eq!(grant(&at, wish, &["held"]).await, Granted { held: 1, ..Granted::default() });
        assert_eq!(at.rows().await, before, "{wish:?}");
    }
}

pub(crate) async fn a_cancelled_job_is_finished_without_a_failure_and_can_come_back<T: Inspect>(at: Scene<T>) {
    let mut at = places(at).await;
    let all = ["asked", "refused", "stored", "done", "held", "fresh"];
    let granted = grant(&at, Wish::Cancel, &all).await;
    assert_eq!(granted, Granted { cancelled: 2, held: 1, unfit: 3, ..Granted::default() });
    let rows = at.rows().await;
    let cancelled: Vec<_> = rows.jobs.iter().filter(|(_, job)| job.state == State::Cancelled).collect();
    assert_eq!(cancelled.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["fresh", "stored"]);
    assert!(cancelled.iter().all(|(_, job)| job.finished && job.error_type.is_none()), "{cancelled:?}");
    at.now_us += 2 * SECOND_US;
    assert_eq!(keys(&at.claim(9).await), [""; 0], "nothing is left to do");
    assert_eq!(grant(&at, Wish::Retry, &["fresh"]).await.moved(), 0);
    assert_eq!(grant(&at, Wish::Refetch, &["fresh"]).await.pending, 1);
    assert_eq!(keys(&at.claim(9).await), ["fresh"]);
}

pub(crate) async fn a_job_named_twice_is_moved_once_and_an_unknown_one_is_nothing<T: Inspect>(at: Scene<T>) {
    let at = places(at).await;
    let id = at.rows().await.job("asked").id;
    let granted = at.store().grant(Wish::Refetch, &[id, id + 1_000, id], at.now_us).await.expect("grant");
    assert_eq!(granted, Granted { pending: 1, ..Granted::default() });
    assert_eq!(at.rows().await.job("asked").generation, 1);
    let none = at.store().grant(Wish::Cancel, &[], at.now_us).await.expect("grant");
    assert_eq!(none, Granted::default());
}

pub(crate) async fn what_was_moved_is_moved_after_a_crash_too<T: Inspect>(at: Scene<T>) {
    let mut at = places(at).await;
    grant(&at, Wish::Retry, &["asked", "refused"]).await;
    grant(&at, Wish::Cancel, &["fresh"]).await;
    prune(&at, &["done"]).await;
    let before = at.rows().await;
    at.stored.die().await;
    assert_eq!(at.rows().await, before);
    at.start().await;
    assert_eq!(states(&at.rows().await), states(&before));
}

pub(crate) async fn a_retried_job_whose_old_lease_comes_back_is_not_disturbed<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    at.commit(&[at.failed(&lease, Verdict::Permanent)]).await;
    grant(&at, Wish::Retry, &["a"]).await;
    let before = at.rows().await;
    assert_eq!(at.commit(&[at.done(&lease, "late")]).await.stale, [0]);
    assert_eq!(at.rows().await, before);
}

/// Response and result are there from an earlier claim, and it is to be processed again.
async fn to_process_again<T: Inspect>(at: Scene<T>) -> Scene<T> {
    let at = places(at).await;
    let all = ["asked", "refused", "stored", "done", "held", "fresh"];
    let granted = grant(&at, Wish::Reprocess, &all).await;
    assert_eq!(granted, Granted { fetched: 2, held: 1, unfit: 3, ..Granted::default() });
    at
}

pub(crate) async fn what_was_answered_is_processed_again_and_stays_what_it_was_where_that_fails<T: Inspect>(
    at: Scene<T>,
) {
    let at = to_process_again(at).await;
    let before = at.rows().await;
    for (key, was) in [("done", State::Succeeded), ("refused", State::Failed)] {
        let job = before.job(key);
        assert_eq!((job.state, job.was), (State::Fetched, Some(was)), "{key}");
        assert!(is_forgiven(job), "{job:?}");
    }
    assert_eq!(before.results[&before.job("done").id].1, "1", "until there is a new one");
    let claimed = at.claim(2).await;
    assert!(claimed.iter().all(|lease| lease.permit_us.is_none() && lease.response.is_some()), "{claimed:?}");
    let worse = || Event::ProcessFailed(Failure::new(ErrorType::PROCESS_ERROR, Verdict::Permanent, "worse"));
    at.commit(&claimed.iter().map(|lease| at.back(lease, lease.standing, &worse())).collect::<Vec<_>>()).await;
    let rows = at.rows().await;
    assert_eq!((rows.job("done").state, rows.job("refused").state), (State::Succeeded, State::Failed));
    assert_eq!((rows.job("done").was, &rows.job("done").error_type), (None, &None));
    assert_eq!(rows.results, before.results, "the old result stays");
    for key in ["done", "refused"] {
        let (_, last) = rows.attempts_of(key).pop().expect("an attempt");
        assert_eq!(last.error_type, Some(ErrorType::PROCESS_ERROR), "{key}");
    }
    assert_eq!(grant(&at, Wish::Reprocess, &["done", "refused"]).await.fetched, 2);
    let claimed = at.claim(2).await;
    at.commit(&claimed.iter().map(|lease| at.done(lease, "new")).collect::<Vec<_>>()).await;
    let rows = at.rows().await;
    for key in ["done", "refused"] {
        let job = rows.job(key);
        assert_eq!((job.state, job.was, &*rows.results[&job.id].1), (State::Succeeded, None, "new"), "{key}");
    }
}

pub(crate) async fn a_death_leaves_what_is_processed_again_to_the_next_run<T: Inspect>(at: Scene<T>) {
    let mut at = to_process_again(at).await;
    for nth in 0..3 {
        let claimed = at.claim(2).await;
        assert_eq!(claimed.len(), 2, "{nth}");
        let done = claimed.iter().find(|lease| lease.key == "done").expect("it is among them");
        assert_eq!((done.standing.was, done.suspect), (Some(State::Succeeded), nth > 0));
        assert!(done.permit_us.is_none(), "it needs no request");
        at.store().accuse(at.run, done.job, done.attempt).await.expect("accuse");
        at.crash().await;
    }
    let rows = at.rows().await;
    let done = rows.job("done");
    assert_eq!((done.state, done.was, done.crashes), (State::Succeeded, None, 0), "poison, but it has a result");
    assert_eq!(rows.results[&done.id].1, "1");
    assert_eq!((rows.job("refused").state, rows.job("refused").was), (State::Fetched, Some(State::Failed)));
}

pub(crate) async fn the_next_job_to_process_needs_no_request<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a", "b"]).await;
    let next = async |at: &Scene<T>| at.store().next_to_process().await.expect("the next");
    assert_eq!(next(&at).await, None, "both ask for a request");
    let lease = at.claim_one().await;
    at.commit(&[at.parked(&lease, "kept", at.now_us + SECOND_US)]).await;
    assert_eq!(next(&at).await, Some(at.now_us + SECOND_US));
    assert_eq!(at.store().next_due().await.expect("the next"), Some(0), "and the other asks for one now");
}

pub(crate) async fn responses_are_dropped_of_finished_jobs_alone<T: Inspect>(at: Scene<T>) {
    let at = places(at).await;
    grant(&at, Wish::Refetch, &["done"]).await;
    let all = ["asked", "refused", "stored", "done", "held", "fresh"];
    let before = at.rows().await;
    assert_eq!(prune(&at, &all).await, 1, "what waits for its new answer keeps its old one");
    let rows = at.rows().await;
    let left: Vec<_> = ["done", "stored"].iter().map(|key| rows.job(key).id).collect();
    let mut kept: Vec<_> = rows.responses.keys().copied().collect();
    kept.sort_by_key(|id| *id != left[0]);
    assert_eq!(kept, left);
    assert_eq!(Rows { responses: before.responses.clone(), ..rows }, before, "and nothing else");
    assert_eq!(prune(&at, &all).await, 0);
}

pub(crate) async fn a_stop_that_was_asked_for_is_seen_until_the_run_ends<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a"]).await;
    assert!(!at.store().look(at.run, None).await.expect("look").stop);
    assert!(at.store().ask_to_stop(at.run).await.expect("asked"));
    let beat = Beat { at_us: at.now_us, boot: None };
    assert!(at.store().look(at.run, Some(&beat)).await.expect("look").stop);
    let stopped = at.run;
    at.store().end(at.run, RunOutcome::Stopped, at.now_us).await.expect("end");
    assert!(!at.store().ask_to_stop(stopped).await.expect("asked"), "nobody listens");
    assert!(!at.store().ask_to_stop(stopped + 100).await.expect("asked"));
    at.start().await;
    assert!(!at.store().look(at.run, None).await.expect("look").stop, "the next one was not asked");
}

// Seen failing with ask_to_pause.sql made to change nothing, and without its `control IS NOT 'stop'`.
pub(crate) async fn a_pause_that_was_asked_for_is_seen_until_it_is_taken_back_or_the_run_ends<T: Inspect>(
    at: Scene<T>,
) {
    let mut at = at.with(&["a"]).await;
    let looked = async |at: &Scene<T>| {
        let look = at.store().look(at.run, None).await.expect("look");
        (look.pause, look.stop)
    };
    let ask = async |at: &Scene<T>, pause| at.store().ask_to_pause(at.run, pause).await.expect("asked");
    assert_eq!((ask(&at, true).await, ask(&at, true).await, looked(&at).await), (true, true, (true, false)));
    assert_eq!((ask(&at, false).await, looked(&at).await), (true, (false, false)));
    assert!(ask(&at, true).await);
    at.crash().await;
    assert_eq!(looked(&at).await, (false, false), "the next one was not asked");
    assert!(ask(&at, true).await && at.store().ask_to_stop(at.run).await.expect("asked"));
    assert_eq!(looked(&at).await, (false, true));
    assert_eq!((ask(&at, false).await, looked(&at).await), (false, (false, true)), "a stop is not taken back");
    assert!(!at.store().ask_to_pause(at.run + 100, true).await.expect("asked"), "nobody listens");
}
