//! Promises of `release` and `accuse`.

use haul::clock::SECOND_US;
use haul::job::State;
use haul::store::Store;

use super::scene::{LIMIT, Scene};
use super::{Inspect, JobRow};

pub(crate) async fn a_released_job_is_as_it_was_before<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["fresh", "retry", "stored"]).await;
    let claimed = at.claim(3).await;
    let due_us = at.now_us + SECOND_US;
    at.commit(&[at.retry_at(&claimed[1], due_us), at.parked(&claimed[2], "body", due_us)]).await;
    at.store().release(at.run, &[(claimed[0].job, 1)], &[]).await.expect("release");
    at.now_us = due_us;
    let before = at.rows().await;
    let claimed = at.claim(3).await;
    let leases: Vec<_> = claimed.iter().map(|lease| (lease.job, lease.attempt)).collect();
    at.store().release(at.run, &leases, &[]).await.expect("release");
    let after = at.rows().await;
    assert_eq!(after.attempts, before.attempts, "nothing was attempted");
    for (key, job) in &after.jobs {
        // The fence stays raised. When it was due is forgotten: it was due, and it still is.
        let before = JobRow { attempts: job.attempts, due_at_us: 0, ..before.job(key).clone() };
        assert_eq!(*job, before);
    }
}

pub(crate) async fn a_released_job_is_claimed_again_under_a_new_fence<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let first = at.claim_one().await;
    at.store().release(at.run, &[(first.job, first.attempt)], &[]).await.expect("release");
    let second = at.claim_one().await;
    assert_eq!((second.job, second.attempt, second.suspect), (first.job, 2, false));
}

pub(crate) async fn unused_permits_are_given_back<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a", "b", "c"]).await;
    let claimed = at.claim(3).await;
    assert_eq!(at.rows().await.spent(LIMIT), 3);
    let spends = [at.now_us + 1, at.now_us + 3];
    at.store().release(at.run, &[(claimed[0].job, 1), (claimed[2].job, 1)], &spends).await.expect("release");
    let rows = at.rows().await;
    assert_eq!(rows.spends.into_iter().collect::<Vec<_>>(), [((LIMIT.to_owned(), at.now_us + 2), 1)]);
}

pub(crate) async fn a_stale_lease_cannot_be_released<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a", "b", "c"]).await;
    let claimed = at.claim(3).await;
    let dead = at.run;
    at.commit(&[at.done(&claimed[0], "1")]).await;
    at.start().await;
    at.claim(3).await;
    let before = at.rows().await;
    let old: Vec<_> = claimed.iter().map(|lease| (lease.job, lease.attempt)).collect();
    at.store().release(at.run, &old, &[]).await.expect("release");
    let new: Vec<_> = claimed.iter().map(|lease| (lease.job, lease.attempt + 1)).collect();
    at.store().release(dead, &new, &[]).await.expect("release");
    assert_eq!(at.rows().await, before);
}

pub(crate) async fn accusing_needs_a_live_lease<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    let dead = at.run;
    assert!(at.store().accuse(at.run, lease.job, lease.attempt).await.expect("accuse"));
    assert_eq!(at.rows().await.job("a").crashes, 1);
    at.crash().await;
    let again = at.claim_one().await;
    let before = at.rows().await;
    for (run, attempt) in [(dead, lease.attempt), (at.run, lease.attempt), (dead, again.attempt)] {
        assert!(!at.store().accuse(run, lease.job, attempt).await.expect("accuse"));
    }
    assert!(!at.store().accuse(at.run, lease.job + 1_000, 1).await.expect("accuse"));
    at.store().release(at.run, &[(again.job, again.attempt)], &[]).await.expect("release");
    assert!(!at.store().accuse(at.run, again.job, again.attempt).await.expect("accuse"));
    assert_eq!(at.rows().await.job("a").crashes, before.job("a").crashes);
}

pub(crate) async fn an_outcome_takes_the_accusation_back<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a"]).await;
    at.commit(&[at.parked(&at.claim_one().await, "body", 0)]).await;
    for crashes in 1..=2 {
        let lease = at.claim_one().await;
        assert!(at.store().accuse(at.run, lease.job, lease.attempt).await.expect("accuse"));
        assert_eq!(at.rows().await.job("a").crashes, crashes);
        at.crash().await;
    }
    let lease = at.claim_one().await;
    assert_eq!((lease.standing.crashes, lease.standing.state), (2, State::Fetched));
    at.store().accuse(at.run, lease.job, lease.attempt).await.expect("accuse");
    at.commit(&[at.done(&lease, "1")]).await;
    let rows = at.rows().await;
    assert_eq!((rows.job("a").state, rows.job("a").crashes), (State::Succeeded, 0));
}
