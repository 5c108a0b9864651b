//! Promises of `commit`.

use haul::attempt::{ErrorType, Measured, Verdict};
use haul::clock::SECOND_US;
use haul::job::{Event, State, next};
use haul::minutes::Minutes;
use haul::store::{Committed, Output, Store, Want, WriteBack};

use super::Inspect;
use super::scene::{Scene, response, rules};

/// The result of a job whose response was written under the same lease before.
fn result_after<T: Inspect>(at: &Scene<T>, fetched: &WriteBack, json: &str) -> WriteBack {
    let next = next(fetched.next.standing, &Event::Processed, &rules(), fetched.job, fetched.attempt, at.now_us);
    let output = Some(Output { json: json.to_owned(), processor: "none".into() });
    WriteBack { next, response: None, output, ..fetched.clone() }
}

pub(crate) async fn a_response_is_kept_under_the_same_lease_until_its_result_is_there<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    let fetched = at.fetched(&lease, "body");
    assert_eq!(at.commit(std::slice::from_ref(&fetched)).await, Committed::default());
    let rows = at.rows().await;
    let job = rows.job("a");
    assert_eq!((job.state, job.leased_by, job.attempts), (State::Fetched, Some(at.run), 1));
    assert_eq!(job.generation, 1);
    assert!(at.claim(1).await.is_empty(), "it is still held");

    assert_eq!(at.commit(&[result_after(&at, &fetched, "42")]).await, Committed::default());
    let rows = at.rows().await;
    let job = rows.job("a");
    assert_eq!((job.state, job.leased_by, job.finished), (State::Succeeded, None, true));
    assert_eq!(rows.results[&job.id], (1, "42".to_owned(), "none".to_owned()));
    assert_eq!(rows.responses[&job.id].2, "body");
}

/// Seen failing with the claim before the commit: nothing is free then but the job that was never claimed.
pub(crate) async fn an_exchange_claims_what_its_own_outcomes_leave_to_do<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a", "b", "c"]).await;
    let leases = at.claim(2).await;
    let again = at.retry_at(&leases[1], at.now_us);
    let stale = WriteBack { attempt: 7, ..at.done(&leases[0], "0") };
    let batch = [at.done(&leases[0], "42"), again, stale];
    at.now_us += 1;
    let (want, permits) = (Want { slots: 2, requests: 2 }, [at.now_us + 5, at.now_us + 6]);
    let exchanged = at.store().exchange(at.run, &batch, &Minutes::default(), &want, &permits, at.now_us).await;
    let (committed, claimed) = exchanged.expect("exchange");
    assert_eq!(committed.stale, [2]);
    let keys: Vec<_> = claimed.iter().map(|lease| (lease.key.as_str(), lease.attempt)).collect();
    assert_eq!(keys, [("b", 2), ("c", 1)], "the retry that fell due, then the fresh one");
    let rows = at.rows().await;
    assert_eq!((rows.job("a").state, rows.leased()), (State::Succeeded, vec!["b", "c"]));
}

pub(crate) async fn response_and_result_can_be_written_at_once<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    at.commit(&[at.done(&lease, "42")]).await;
    let rows = at.rows().await;
    let job = rows.job("a");
    assert_eq!((job.state, job.leased_by, job.generation), (State::Succeeded, None, 1));
    assert_eq!((rows.responses[&job.id].0, rows.results[&job.id].0), (1, 1));
}

pub(crate) async fn a_second_write_back_of_a_claim_replaces_its_attempt<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    let fetched = at.fetched(&lease, "body");
    at.commit(std::slice::from_ref(&fetched)).await;
    let mut result = result_after(&at, &fetched, "42");
    result.measured.process_us = Some(9);
    at.commit(std::slice::from_ref(&result)).await;
    let rows = at.rows().await;
    let attempts = rows.attempts_of("a");
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].0, &attempts[0].1.measured), (1, &result.measured));
}

pub(crate) async fn what_an_attempt_measured_is_stored<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["all", "nothing"]).await;
    let claimed = at.claim(2).await;
    let all = Measured {
        started_at_us: Some(1),
        rate_wait_us: Some(2),
        ttfb_us: Some(3),
        fetch_us: Some(4),
        queue_us: Some(5),
        process_us: Some(6),
        latency_us: Some(7),
        within_sla: Some(false),
        status_code: Some(299),
        bytes: Some(1 << 40),
    };
    let all = WriteBack { measured: all, ..at.done(&claimed[0], "1") };
    let nothing = WriteBack { measured: Measured::default(), ..at.failed(&claimed[1], Verdict::Permanent) };
    at.commit(&[all.clone(), nothing]).await;
    let rows = at.rows().await;
    let [(1, row)] = rows.attempts_of("all")[..] else { panic!("one attempt") };
    assert_eq!((row.run, &row.measured, &row.error_type), (at.run, &all.measured, &None));
    let [(1, row)] = rows.attempts_of("nothing")[..] else { panic!("one attempt") };
    assert_eq!((&row.measured, &row.error_type), (&Measured::default(), &Some(ErrorType::TIMEOUT)));
}

pub(crate) async fn a_lease_ends_with_its_first_final_write_back<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    at.commit(&[at.done(&lease, "1")]).await;
    let before = at.rows().await;
    assert_eq!(at.commit(&[at.done(&lease, "2")]).await.stale, [0]);
    assert_eq!(at.rows().await, before, "the first result stays");
}

pub(crate) async fn a_write_back_of_an_earlier_claim_is_dropped_with_all_that_hangs_on_it<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let old = at.claim_one().await;
    at.store().release(at.run, &[(old.job, old.attempt)], &[]).await.expect("release");
    let new = at.claim_one().await;
    let before = at.rows().await;
    assert_eq!(at.commit(&[at.done(&old, "1")]).await.stale, [0]);
    assert_eq!(at.rows().await, before);
    assert!(at.commit(&[at.done(&new, "2")]).await.stale.is_empty());
}

pub(crate) async fn a_write_back_of_a_dead_run_is_dropped_with_all_that_hangs_on_it<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a", "b"]).await;
    let claimed = at.claim(2).await;
    let dead = at.run;
    at.crash().await;
    let again = at.claim_one().await;
    let before = at.rows().await;
    let backs = [at.done(&claimed[0], "1"), at.failed(&claimed[1], Verdict::Permanent)];
    assert_eq!(at.commit_as(dead, &backs).await.stale, [0, 1], "a zombie writes nothing");
    assert_eq!(at.commit_as(dead, &[at.done(&again, "1")]).await.stale, [0], "nor with the right attempt");
    assert_eq!(at.rows().await, before);
}

pub(crate) async fn neighbours_of_a_stale_write_back_are_written<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a", "stale", "b", "stale too", "c"]).await;
    let claimed = at.claim(5).await;
    let ids = [claimed[1].job, claimed[3].job];
    at.store().release(at.run, &ids.map(|id| (id, 1)), &[]).await.expect("release");
    let mut batch: Vec<_> = claimed.iter().map(|lease| at.done(lease, "1")).collect();
    batch[4] = at.failed(&claimed[4], Verdict::Permanent);
    assert_eq!(at.commit(&batch).await.stale, [1, 3]);
    let rows = at.rows().await;
    let states: Vec<_> = claimed.iter().map(|lease| rows.job(&lease.key).state).collect();
    use State::{Failed, Pending, Succeeded};
    assert_eq!(states, [Succeeded, Pending, Succeeded, Pending, Failed]);
    for id in ids {
        assert!(!rows.responses.contains_key(&id) && !rows.results.contains_key(&id));
        assert!(!rows.attempts.contains_key(&(id, 1)));
    }
    assert_eq!((rows.attempts.len(), rows.results.len(), rows.responses.len()), (3, 2, 2));
}

pub(crate) async fn a_write_back_of_an_unknown_job_is_stale<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    let unknown = WriteBack { job: lease.job + 1_000, ..at.done(&lease, "1") };
    assert_eq!(at.commit(&[unknown]).await.stale, [0]);
}

pub(crate) async fn an_empty_batch_changes_nothing<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    at.claim_one().await;
    let before = at.rows().await;
    assert_eq!(at.commit(&[]).await, Committed::default());
    assert_eq!(at.rows().await, before);
}

pub(crate) async fn a_permanent_failure_ends_the_job<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    at.commit(&[at.failed(&lease, Verdict::Permanent)]).await;
    let rows = at.rows().await;
    let job = rows.job("a");
    assert_eq!((job.state, job.failures, job.leased_by, job.finished), (State::Failed, 1, None, true));
    assert_eq!(job.error_type, Some(ErrorType::TIMEOUT));
}

pub(crate) async fn a_transient_failure_comes_back_when_it_falls_due<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a"]).await;
    let lease = at.claim_one().await;
    let due_us = at.now_us + SECOND_US;
    at.commit(&[at.retry_at(&lease, due_us)]).await;
    let rows = at.rows().await;
    let job = rows.job("a");
    assert_eq!((job.state, job.due_at_us, job.leased_by, job.finished), (State::Pending, due_us, None, false));
    at.now_us = due_us - 1;
    assert!(at.claim(1).await.is_empty());
    at.now_us = due_us;
    at.commit(&[at.done(&at.claim_one().await, "1")]).await;
    let rows = at.rows().await;
    let job = rows.job("a");
    assert_eq!((job.state, job.failures, job.error_type.as_ref()), (State::Succeeded, 1, None));
    let errors: Vec<_> = rows.attempts_of("a").into_iter().map(|(n, row)| (n, row.error_type.clone())).collect();
    assert_eq!(errors, [(1, Some(ErrorType::TIMEOUT)), (2, None)]);
}

pub(crate) async fn a_refetched_response_replaces_the_old_one<T: Inspect>(at: Scene<T>) {
    let mut at = at.with(&["a"]).await;
    let first = at.claim_one().await;
    let refused = WriteBack { response: Some(response(b"500")), ..at.retry_at(&first, at.now_us + 1) };
    at.commit(&[refused]).await;
    at.now_us += 1;
    at.commit(&[at.done(&at.claim_one().await, "\"good\"")]).await;
    let rows = at.rows().await;
    let (attempt, _, body) = &rows.responses[&first.job];
    assert_eq!((*attempt, &body[..]), (2, &b"\"good\""[..]));
}

pub(crate) async fn histograms_add_up<T: Inspect>(at: Scene<T>) {
    let at = at.with(&["a", "b"]).await;
    let claimed = at.claim(2).await;
    let measured = Measured { ttfb_us: Some(100), latency_us: Some(300), ..Measured::default() };
    let mut both = Minutes::default();
    for lease in &claimed {
        let mut minutes = Minutes::default();
        minutes.add(&measured, lease.key == "b", at.now_us);
        both.add(&measured, lease.key == "b", at.now_us);
        at.store().commit(at.run, &[at.done(lease, "1")], &minutes, at.now_us).await.expect("commit");
    }
    assert_eq!(at.rows().await.minutes, both);
}

pub(crate) async fn a_thousand_write_backs_fit_in_one_batch<T: Inspect>(mut at: Scene<T>) {
    let names: Vec<String> = (0..1_000).map(|i| format!("job {i}")).collect();
    at.import(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    at.start().await;
    let claimed = at.claim(2_000).await;
    assert_eq!(claimed.len(), 1_000);
    let batch: Vec<_> = claimed.iter().map(|lease| at.done(lease, &lease.job.to_string())).collect();
    assert!(at.commit(&batch).await.stale.is_empty());
    let rows = at.rows().await;
    assert!(claimed.iter().all(|lease| rows.results[&lease.job].1 == lease.job.to_string()));
    assert!(claimed.iter().all(|lease| rows.responses[&lease.job].2 == lease.job.to_string()));
}
