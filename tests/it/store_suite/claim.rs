//! Promises of `claim` and `next_due`.

use haul::attempt::{ErrorType, Verdict};
use haul::clock::SECOND_US;
use haul::job::State;
use haul::store::{Store, Want};

use super::Inspect;
use super::scene::{LIMIT, Scene, keys};

pub(crate) async fn fetched_jobs_go_first_then_retries_that_fell_due_then_fresh_ones<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["late", "soon", "stored", "not yet", "fresh 1", "fresh 2"]).await;
    let claimed = at.claim(4).await;
    let due = [3, 2, 1, 50].map(|seconds| at.now_us + seconds * SECOND_US);
    at.commit(&[
        at.retry_at(&claimed[0], due[0]),
        at.retry_at(&claimed[1], due[1]),
        at.parked(&claimed[2], "body", due[2]),
        at.retry_at(&claimed[3], due[3]),
    ])
    .await;
    at.now_us = due[0];
    assert_eq!(keys(&at.claim(2).await), ["stored", "soon"]);
    assert_eq!(keys(&at.claim(9).await), ["late", "fresh 1", "fresh 2"]);
}

pub(crate) async fn fetched_jobs_wait_for_their_time_too<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["b", "a"]).await;
    let due_us = at.now_us + SECOND_US;
    let claimed = at.claim(2).await;
    at.commit(&[at.parked(&claimed[0], "body", due_us), at.parked(&claimed[1], "body", due_us - 1)]).await;
    at.now_us = due_us - 2;
    assert!(at.claim(2).await.is_empty());
    at.now_us = due_us;
    assert_eq!(keys(&at.claim(2).await), ["a", "b"], "who waited longest goes first");
}

// Seen failing without the look at the run.
pub(crate) async fn a_run_that_another_one_has_ended_gets_nothing<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a"]).await;
    let ended = at.run;
    at.crash().await;
    let now = std::mem::replace(&mut at.run, ended);
    assert!(at.claim(1).await.is_empty());
    at.run = now;
    assert_eq!(keys(&at.claim(1).await), ["a"]);
}

pub(crate) async fn slots_and_requests_are_bounded_separately<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["stored 1", "stored 2", "a", "b", "c"]).await;
    let claimed = at.claim(2).await;
    at.commit(&[at.parked(&claimed[0], "1", 0), at.parked(&claimed[1], "2", 0)]).await;
    assert_eq!(keys(&at.claim_want(1, 9).await), ["stored 1"], "slots bound fetched jobs too");
    assert_eq!(keys(&at.claim_want(9, 1).await), ["stored 2", "a"], "fetched jobs need no permit");
    assert_eq!(keys(&at.claim_want(9, 0).await), [""; 0]);
    assert_eq!(keys(&at.claim_want(1, 9).await), ["b"]);
}

pub(crate) async fn a_claim_for_nothing_takes_nothing<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let before = at.rows().await;
    assert!(at.claim_want(0, 0).await.is_empty());
    assert!(at.claim_want(0, 5).await.is_empty());
    assert_eq!(at.rows().await, before);
}

pub(crate) async fn no_job_is_handed_out_twice<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a", "b", "c"]).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(at.claim(1).await.into_iter().map(|lease| lease.seen.key));
    }
    assert_eq!(seen, ["a", "b", "c"]);
    let rows = at.rows().await;
    assert!(rows.jobs.values().all(|job| job.leased_by == Some(at.run) && job.attempts == 1));
}

pub(crate) async fn finished_jobs_are_never_handed_out<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["won", "lost"]).await;
    let claimed = at.claim(2).await;
    at.commit(&[at.done(&claimed[0], "1"), at.failed(&claimed[1], Verdict::Permanent)]).await;
    at.crash().await;
    at.now_us += 1_000 * SECOND_US;
    assert!(at.claim(9).await.is_empty());
    assert_eq!(at.store().next_due().await.expect("next due"), None);
}

pub(crate) async fn as_many_permits_are_written_as_jobs_need_a_request<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a", "b", "c", "d"]).await;
    let stored = at.claim_one().await;
    at.commit(&[at.parked(&stored, "body", 0)]).await;
    let before = at.rows().await.spent(LIMIT);
    assert_eq!(at.claim_want(3, 9).await.len(), 3, "one of them has its response");
    assert_eq!(at.rows().await.spent(LIMIT), before + 2);
    assert_eq!(at.claim_want(9, 9).await.len(), 1);
    assert!(at.claim_want(9, 9).await.is_empty());
    assert_eq!(at.rows().await.spent(LIMIT), before + 3);
}

pub(crate) async fn a_fetched_job_comes_with_its_response<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["stored", "fresh"]).await;
    let lease = at.claim_one().await;
    assert!(lease.response.is_none());
    let back = at.parked(&lease, "the body", 0);
    at.commit(std::slice::from_ref(&back)).await;
    let claimed = at.claim(2).await;
    assert_eq!(claimed[0].standing.state, State::Fetched);
    assert_eq!(claimed[0].response, back.response);
    assert!(claimed[1].response.is_none());
}

pub(crate) async fn a_lease_says_where_its_job_stands<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a"]).await;
    let first = at.claim_one().await;
    assert_eq!((first.attempt, first.key.as_str(), first.suspect), (1, "a", false));
    let back = at.failed(&first, Verdict::Transient);
    at.commit(std::slice::from_ref(&back)).await;
    at.now_us = back.next.due_at_us;
    let second = at.claim_one().await;
    assert_eq!((second.job, second.attempt, second.standing), (first.job, 2, back.next.standing));
    assert_eq!(second.request, first.request);
    assert_eq!(at.rows().await.job("a").error_type, Some(ErrorType::TIMEOUT), "a claim forgets no error");
}

pub(crate) async fn every_claim_raises_the_fence<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    for attempt in 1..=3 {
        let lease = at.claim_one().await;
        assert_eq!(lease.attempt, attempt);
        at.store().release(at.run, &[(lease.job, lease.attempt)], &[]).await.expect("release");
        assert_eq!(at.rows().await.job("a").attempts, attempt);
    }
}

pub(crate) async fn the_next_job_falls_due_when_the_earliest_free_one_does<T: Inspect>(mut at: Scene<T>) {
    assert_eq!(at.store().next_due().await.expect("next due"), None);
    at.import(&["a", "b"]).await;
    at.start().await;
    assert_eq!(at.store().next_due().await.expect("next due"), Some(0), "at once");
    let claimed = at.claim(2).await;
    assert_eq!(at.store().next_due().await.expect("next due"), None, "all are held");
    let due_us = at.now_us + SECOND_US;
    at.commit(&[at.retry_at(&claimed[0], due_us + 5), at.parked(&claimed[1], "body", due_us)]).await;
    assert_eq!(at.store().next_due().await.expect("next due"), Some(due_us));
    at.now_us = due_us;
    let spends = [due_us];
    at.store().claim(at.run, &Want { slots: 1, requests: 1 }, &spends, at.now_us).await.expect("claim");
    assert_eq!(at.store().next_due().await.expect("next due"), Some(due_us + 5));
}
