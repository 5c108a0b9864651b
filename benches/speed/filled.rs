//! Databases of any size, filled by SQL: to drain ten million jobs first would take longer than all else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use haul::attempt::Measured;
use haul::clock::{BootTime, Clock};
use haul::job::{Next, Standing, State};
use haul::minutes::Minutes;
use haul::response::Response;
use haul::settings::{Durability, OnUncertain};
use haul::store::sqlite::SqliteStore;
use haul::store::{Lease, NewRun, Output, RunOutcome, Store, Want, WriteBack};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use crate::AT_ONCE;

/// Rows of a transaction.
const CHUNK: i64 = 100_000;

/// The statements of a chunk: ?1 = its first job, ?2 = its last, ?3 = the last job that is done, ?4 = the server.
const CHUNKS: [&str; 5] = [
    "WITH RECURSIVE n(id) AS (SELECT ?1 UNION ALL SELECT id + 1 FROM n WHERE id < ?2)
     INSERT INTO jobs (id, key, import_id, line, state, attempts, generation, created_at_us, finished_at_us)
     SELECT id, 'key ' || id, 1, id, iif(id <= ?3, 'succeeded', 'pending'), id <= ?3, id <= ?3, 1, iif(id <= ?3, 1, NULL) FROM n",
    "WITH RECURSIVE n(id) AS (SELECT ?1 UNION ALL SELECT id + 1 FROM n WHERE id < ?2)
     INSERT INTO requests (job_id, method, url) SELECT id, 'GET', ?4 || '/' || id FROM n",
    "INSERT INTO attempts (job_id, attempt, run_id, started_at_us, status_code, bytes)
     SELECT id, 1, 1, 1, 200, 20 FROM jobs WHERE id BETWEEN ?1 AND min(?2, ?3)",
    "INSERT INTO responses (job_id, attempt, status_code, headers, body, fetched_at_us)
     SELECT id, 1, 200, '{}', '{\"below\":10000}', 1 FROM jobs WHERE id BETWEEN ?1 AND min(?2, ?3)",
    "INSERT INTO results (job_id, attempt, output, processor, finished_at_us)
     SELECT id, 1, '1', 'custom', 1 FROM jobs WHERE id BETWEEN ?1 AND min(?2, ?3)",
];

/// What there is once: ?1 = all jobs, ?2 = those that are done.
const ONCE: [&str; 4] = [
    "INSERT INTO imports (id, source, started_at_us, rows, added) VALUES (1, 'bench', 1, ?1, ?1)",
    "INSERT INTO runs (id, started_at_us, ended_at_us, heartbeat_at_us, host, pid, version, settings, outcome)
     VALUES (1, 1, 1, 1, 'bench', 1, 'bench', '{}', 'stopped')",
    "INSERT INTO counts (state, error_type, n) VALUES ('succeeded', '', ?2)",
    "INSERT INTO counts (state, error_type, n) VALUES ('pending', '', ?1 - ?2)",
];

/// A database of so many jobs, the first of which are done; the others are for this server.
pub(crate) async fn fill(db: PathBuf, jobs: i64, done: i64, url: String) {
    SqliteStore::open(&db, Durability::Crash, true).await.expect("a database").close().await.expect("closed");
    let options = SqliteConnectOptions::new().filename(&db).synchronous(SqliteSynchronous::Off);
    let mut connection = options.disable_statement_logging().connect().await.expect("a connection");
    for sql in ONCE {
        sqlx::query(sql).bind(jobs).bind(done).execute(&mut connection).await.expect("a row");
    }
    for first in (1..=jobs).step_by(CHUNK as usize) {
        let mut tx = connection.begin().await.expect("a transaction");
        for sql in CHUNKS {
            let last = jobs.min(first + CHUNK - 1);
            let insert = sqlx::query(sql).bind(first).bind(last).bind(done).bind(&url);
            insert.execute(&mut *tx).await.expect("rows");
        }
        tx.commit().await.expect("committed");
    }
    connection.close().await.expect("closed");
}

/// Claims and commits so many jobs as a run does, without a request.
pub(crate) async fn work(db: PathBuf, jobs: usize) {
    let store = SqliteStore::open(&db, Durability::PowerLoss, false).await.expect("a database");
    let clock = Clock::start();
    let new = NewRun {
        host: "bench".to_owned(),
        pid: std::process::id(),
        version: "bench".to_owned(),
        settings: "{}".to_owned(),
        limits: Vec::new(),
        boot: BootTime::read(),
        on_uncertain: OnUncertain::Retry,
    };
    let run = store.recover(&new, clock.now_us()).await.expect("a run").run;
    let (mut leases, mut done) = (Vec::new(), 0);
    while done < jobs {
        let writes: Vec<_> = leases.iter().map(succeeded).collect();
        done += writes.len();
        let want = Want { slots: AT_ONCE, requests: AT_ONCE };
        let now_us = clock.now_us();
        let exchanged = store.exchange(run, &writes, &Minutes::default(), &want, &[], now_us).await;
        leases = exchanged.expect("written").1;
        assert!(!leases.is_empty(), "there are more jobs than that");
    }
    let held: Vec<_> = leases.iter().map(|lease| (lease.job, lease.attempt)).collect();
    store.release(run, &held, &[]).await.expect("given back");
    store.end(run, RunOutcome::Stopped, clock.now_us()).await.expect("an end");
    store.close().await.expect("closed");
}

fn succeeded(lease: &Lease) -> WriteBack {
    let standing = Standing { state: State::Succeeded, generation: 1, ..Standing::default() };
    let response =
        Response { status_code: 200, headers: serde_json::Map::new(), body: vec![b'x'; 200].into(), fetched_at_us: 1 };
    WriteBack {
        job: lease.job,
        attempt: lease.attempt,
        next: Next { standing, ..Next::default() },
        measured: Measured { started_at_us: Some(1), status_code: Some(200), ..Measured::default() },
        response: Some(Arc::new(response)),
        output: Some(Output { json: "{\"sum_of_squares\":333283335000}".to_owned(), processor: "custom".into() }),
        ..WriteBack::default()
    }
}

/// So many rows of a number and a name.
pub(crate) fn write_csv(file: &Path, rows: usize) {
    let lines: String = (1..=rows).map(|n| format!("{n},city {n}\n")).collect();
    std::fs::write(file, format!("id,city\n{lines}")).expect("written");
}
