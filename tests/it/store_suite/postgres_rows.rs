//! What lies in a database on a server.

use std::collections::BTreeMap;

use bytes::Bytes;
use haul::attempt::{ErrorType, Measured};
use haul::job::State;
use haul::minutes::{Bucket, Minutes, STAGES};
use haul::store::postgres::PostgresStore;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::{AttemptRow, Inspect, JobRow, LimitRow, Rows};
use crate::postgres::Database;

/// A store in a database of its own.
pub(crate) struct OnServer {
    database: Database,
    store: PostgresStore,
}

/// An empty store, where this machine has a server.
pub(crate) async fn new() -> Option<OnServer> {
    let database = Database::create().await?;
    let store = open(&database).await;
    Some(OnServer { database, store })
}

async fn open(database: &Database) -> PostgresStore {
    let address = database.url().parse().expect("an address");
    PostgresStore::open(address, true).await.expect("a database")
}

impl Inspect for OnServer {
    type Store = PostgresStore;

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    async fn rows(&self) -> Rows {
        rows(&mut self.database.connect().await).await
    }

    /// Its connection is cut, and it gives no sign of life any more.
    async fn die(&mut self) {
        let mut conn = self.database.connect().await;
        self.database.cut(&mut conn).await;
        let silent = "UPDATE runs SET heartbeat_at_us = 1 WHERE ended_at_us IS NULL";
        sqlx::query(silent).execute(&mut conn).await.expect(silent);
        self.store = open(&self.database).await;
    }
}

async fn map<K: Ord, V>(conn: &mut PgConnection, sql: &'static str, row: fn(&PgRow) -> (K, V)) -> BTreeMap<K, V> {
    sqlx::query(sql).fetch_all(conn).await.expect(sql).iter().map(row).collect()
}

async fn rows(conn: &mut PgConnection) -> Rows {
    let responses =
        "SELECT job_id, attempt, status_code, coalesce(body_bytes, convert_to(body, 'UTF8')) FROM responses";
    let rejected = "SELECT import_id, line, reason FROM rejected";
    let imports = "SELECT id, rows, added, rejected FROM imports";
    let spends = "SELECT limit_name, until_us, permits FROM spends WHERE permits > 0";
    Rows {
        jobs: map(conn, "SELECT * FROM jobs", |row| (unescaped(row.get("key")), job(row))).await,
        attempts: map(conn, "SELECT * FROM attempts", |row| ((row.get(0), count(row, "attempt")), attempt(row))).await,
        responses: map(conn, responses, |row| {
            let status = row.get::<i32, _>(2).try_into().expect("a status");
            (row.get(0), (count(row, "attempt"), status, Bytes::from(row.get::<Vec<u8>, _>(3))))
        })
        .await,
        results: map(conn, "SELECT job_id, attempt, output, processor FROM results", |row| {
            (row.get(0), (count(row, "attempt"), row.get(2), row.get(3)))
        })
        .await,
        rejected: map(conn, rejected, |row| ((row.get(0), number(row, 1)), row.get(2))).await,
        imports: map(conn, imports, |row| (row.get(0), (number(row, 1), number(row, 2), number(row, 3)))).await,
        runs: map(conn, "SELECT id, outcome FROM runs", |row| (row.get(0), row.get(1))).await,
        limits: map(conn, "SELECT * FROM limits", |row| (row.get("name"), limit(row))).await,
        spends: map(conn, spends, |row| ((row.get(0), row.get(1)), number(row, 2).try_into().expect("few"))).await,
        minutes: Minutes(map(conn, "SELECT * FROM minutes", minute).await),
    }
}

/// A NUL in a key is kept as another character with a 0 behind it.
fn unescaped(key: String) -> String {
    key.replace("\u{fdd0}0", "\0")
}

fn job(row: &PgRow) -> JobRow {
    JobRow {
        id: row.get("id"),
        state: State::parse(row.get("state")).expect("a state"),
        attempts: count(row, "attempts"),
        failures: count(row, "failures"),
        generation: count(row, "generation"),
        due_at_us: row.get("due_at_us"),
        leased_by: row.get("run_id"),
        crashes: count(row, "crashes"),
        was: row.get::<Option<&str>, _>("was").map(|was| State::parse(was).expect("a state")),
        error_type: error_type(row),
        finished: row.get::<Option<i64>, _>("finished_at_us").is_some(),
    }
}

fn attempt(row: &PgRow) -> AttemptRow {
    let measured = Measured {
        started_at_us: row.get("started_at_us"),
        rate_wait_us: row.get("rate_wait_us"),
        ttfb_us: row.get("ttfb_us"),
        fetch_us: row.get("fetch_us"),
        queue_us: row.get("queue_us"),
        process_us: row.get("process_us"),
        latency_us: row.get("latency_us"),
        within_sla: row.get::<Option<i32>, _>("within_sla").map(|within| within == 1),
        status_code: row.get::<Option<i32>, _>("status_code").map(|code| code.try_into().expect("a status")),
        bytes: row.get::<Option<i64>, _>("bytes").map(|n| n.try_into().expect("a size")),
    };
    AttemptRow { run: row.get("run_id"), measured, error_type: error_type(row) }
}

fn limit(row: &PgRow) -> LimitRow {
    LimitRow {
        permits: row.get::<i64, _>("permits").try_into().expect("a limit"),
        window_us: row.get("window_us"),
        jitter_us: row.get("jitter_us"),
        paused_until_us: row.get("paused_until_us"),
    }
}

fn minute(row: &PgRow) -> ((i64, &'static str, i64), Bucket) {
    let stage = STAGES.into_iter().find(|stage| *stage == row.get::<&str, _>("stage")).expect("a stage");
    let bucket = Bucket { n: number(row, 3), late: number(row, 4), failed: number(row, 5) };
    ((row.get("minute_at_us"), stage, row.get("up_to_us")), bucket)
}

fn error_type(row: &PgRow) -> Option<ErrorType> {
    row.get::<Option<String>, _>("error_type").map(ErrorType::stored)
}

fn count(row: &PgRow, name: &str) -> u32 {
    row.get::<i32, _>(name).try_into().expect("no count is negative")
}

fn number(row: &PgRow, at: usize) -> u64 {
    row.get::<i64, _>(at).try_into().expect("no count is negative")
}
