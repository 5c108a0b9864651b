//! A store with a run in it, and short words for what the promises do to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use haul::attempt::{ErrorType, Failure, Measured, Verdict};
use haul::backoff::Backoff;
use haul::clock::{Micros, SECOND_US};
use haul::job::{Event, Next, RetryRules, Standing, State, next};
use haul::limit::Limit;
use haul::minutes::Minutes;
use haul::request::Request;
use haul::response::Response;
use haul::settings::OnUncertain;
use haul::store::{
    Chunk, Committed, Imported, Lease, NewJob, NewRun, OnConflict, Output, Recovered, Reject, Store, Want, WriteBack,
};
use serde_json::{Map, Value};

use super::{Inspect, Rows};

/// The one limit of a run, unless a promise is about limits.
pub(crate) const LIMIT: &str = "20/s";

/// A store, its live run and the time.
pub(crate) struct Scene<T> {
    pub(crate) stored: T,
    pub(crate) run: i64,
    pub(crate) now_us: Micros,
}

impl<T: Inspect> Scene<T> {
    pub(crate) fn new(stored: T) -> Self {
        Self { stored, run: 0, now_us: 1_000_000 * SECOND_US }
    }

    /// A scene with these jobs and a live run.
    pub(crate) async fn with(mut self, keys: &[&str]) -> Self {
        self.import(keys).await;
        self.start().await;
        self
    }

    pub(crate) fn store(&self) -> &T::Store {
        self.stored.store()
    }

    /// What lies in the store. Counts are compared with the truth at every look.
    pub(crate) async fn rows(&self) -> Rows {
        let rows = self.stored.rows().await;
        let mut counts = self.store().counts().await.expect("counts");
        counts.retain(|_, n| *n > 0);
        assert_eq!(counts, rows.counted(), "kept counts and the truth");
        rows
    }

    /// Imports a job a key, the first on line 1.
    pub(crate) async fn import(&self, keys: &[&str]) -> Imported {
        let jobs = keys.iter().zip(1..).map(|(key, line)| new_job(key, line)).collect();
        self.import_chunk(Chunk { jobs, rejects: Vec::new() }).await
    }

    pub(crate) async fn import_chunk(&self, chunk: Chunk) -> Imported {
        let import = self.store().begin_import("rows.csv", None, self.now_us).await.expect("begin an import");
        self.store().import(import, &chunk, self.now_us).await.expect("import")
    }

    /// Begins a run.
    pub(crate) async fn start(&mut self) -> Recovered {
        self.start_with(&[limit(LIMIT, 20, SECOND_US)]).await
    }

    pub(crate) async fn start_with(&mut self, limits: &[Limit]) -> Recovered {
        let found = self.store().recover(&new_run(limits), self.now_us).await.expect("recover");
        self.run = found.run;
        found
    }

    /// The process dies, and another one begins a run.
    pub(crate) async fn crash(&mut self) -> Recovered {
        self.stored.die().await;
        self.start().await
    }

    /// Claims at most so many jobs.
    pub(crate) async fn claim(&self, slots: usize) -> Vec<Lease> {
        self.claim_want(slots, slots).await
    }

    /// Claims with permits that are void one after the other.
    pub(crate) async fn claim_want(&self, slots: usize, requests: usize) -> Vec<Lease> {
        let spends: Vec<Micros> = (1..).map(|i| self.now_us + i).take(requests).collect();
        self.store().claim(self.run, &Want { slots, requests }, &spends, self.now_us).await.expect("claim")
    }

    /// Claims the one job there is to claim.
    pub(crate) async fn claim_one(&self) -> Lease {
        let [lease] = <[Lease; 1]>::try_from(self.claim(1).await).expect("one job to claim");
        lease
    }

    pub(crate) async fn commit(&self, batch: &[WriteBack]) -> Committed {
        self.commit_as(self.run, batch).await
    }

    pub(crate) async fn commit_as(&self, run: i64, batch: &[WriteBack]) -> Committed {
        self.store().commit(run, batch, &Minutes::default(), self.now_us).await.expect("commit")
    }

    /// What is written back when this happens to a job that stands there.
    pub(crate) fn back(&self, lease: &Lease, from: Standing, event: &Event) -> WriteBack {
        let next = next(from, event, &rules(), lease.job, lease.attempt, self.now_us);
        let measured = Measured { started_at_us: Some(self.now_us), ..Measured::default() };
        WriteBack { job: lease.job, attempt: lease.attempt, next, measured, ..WriteBack::default() }
    }

    /// The response is there, processing is still to come.
    pub(crate) fn fetched(&self, lease: &Lease, body: &str) -> WriteBack {
        let response = Some(response(body.as_bytes()));
        WriteBack { response, ..self.back(lease, lease.standing, &Event::Fetched) }
    }

    /// A response is stored, and the job waits for its processing until then, held by nobody.
    pub(crate) fn parked(&self, lease: &Lease, body: &str, due_at_us: Micros) -> WriteBack {
        let mut back = self.fetched(lease, body);
        back.next = Next { keep_lease: false, due_at_us, ..back.next };
        back
    }

    /// Response and result at once; the result alone where the response is stored.
    pub(crate) fn done(&self, lease: &Lease, json: &str) -> WriteBack {
        let output = Some(Output { json: json.to_owned(), processor: "none".into() });
        let mut back = match lease.standing.state {
            State::Pending => self.fetched(lease, json),
            _ => self.back(lease, lease.standing, &Event::Processed),
        };
        back.next = next(back.next.standing, &Event::Processed, &rules(), lease.job, lease.attempt, self.now_us);
        WriteBack { output, ..back }
    }

    /// The request failed.
    pub(crate) fn failed(&self, lease: &Lease, verdict: Verdict) -> WriteBack {
        let failure = Failure::new(ErrorType::TIMEOUT, verdict, "no answer");
        self.back(lease, lease.standing, &Event::FetchFailed(failure))
    }

    /// The request failed and is to be tried again then.
    pub(crate) fn retry_at(&self, lease: &Lease, due_at_us: Micros) -> WriteBack {
        let mut back = self.failed(lease, Verdict::Transient);
        back.next.due_at_us = due_at_us;
        back
    }
}

pub(crate) fn rules() -> RetryRules {
    let backoff = Backoff { base: Duration::from_secs(1), ceiling: Duration::from_secs(8) };
    RetryRules { max_attempts: 3, backoff, seed: 7 }
}

pub(crate) fn request(key: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        url: format!("http://127.0.0.1/{key}"),
        headers: Map::new(),
        body: None,
        row: Map::from_iter([("id".to_owned(), Value::from(key))]),
    }
}

pub(crate) fn new_job(key: &str, line: u64) -> NewJob {
    NewJob { key: key.to_owned(), line, request: request(key), on_conflict: OnConflict::Reject }
}

pub(crate) fn reject(line: u64, reason: &str) -> Reject {
    Reject { line, reason: reason.to_owned(), text: "what,stood,there".to_owned() }
}

pub(crate) fn response(body: &[u8]) -> Arc<Response> {
    let headers = Map::from_iter([("content-type".to_owned(), Value::from("text/plain"))]);
    Arc::new(Response { status_code: 200, headers, body: Bytes::copy_from_slice(body), fetched_at_us: 5 })
}

pub(crate) fn limit(name: &str, permits: u32, window_us: Micros) -> Limit {
    Limit { name: name.to_owned(), permits, window_us, jitter_us: 20_000 }
}

pub(crate) fn new_run(limits: &[Limit]) -> NewRun {
    NewRun {
        host: "here".to_owned(),
        pid: 1,
        version: "0".to_owned(),
        settings: "{}".to_owned(),
        limits: limits.to_vec(),
        boot: None,
        on_uncertain: OnUncertain::Retry,
    }
}

/// The keys of some leases, in their order.
pub(crate) fn keys(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| lease.key.as_str()).collect()
}
