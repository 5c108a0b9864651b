//! What lies in a database file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use haul::attempt::{ErrorType, Measured};
use haul::job::State;
use haul::minutes::{Bucket, Minutes, STAGES};
use haul::settings::Durability;
use haul::store::sqlite::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Row, SqliteConnection};
use tempfile::TempDir;

use super::{AttemptRow, Inspect, JobRow, LimitRow, Rows};

/// A store in a file of its own.
pub(crate) struct InFile {
    dir: TempDir,
    store: SqliteStore,
}

/// An empty store.
pub(crate) async fn new() -> Option<InFile> {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path().join("haul.db")).await;
    Some(InFile { dir, store })
}

async fn open(path: PathBuf) -> SqliteStore {
    SqliteStore::open(&path, Durability::PowerLoss, true).await.expect("a database")
}

impl Inspect for InFile {
    type Store = SqliteStore;

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    async fn rows(&self) -> Rows {
        let options = SqliteConnectOptions::new().filename(self.dir.path().join("haul.db")).read_only(true);
        let mut conn = options.disable_statement_logging().connect().await.expect("a second connection");
        rows(&mut conn).await
    }

    /// Goes on with what the disk held at this moment, the log not folded in: no connection had time to say goodbye.
    async fn die(&mut self) {
        let next = tempfile::tempdir().expect("a folder");
        for name in ["haul.db", "haul.db-wal"] {
            let from = self.dir.path().join(name);
            if from.exists() {
                std::fs::copy(from, next.path().join(name)).expect("a copy");
            }
        }
        self.store = open(next.path().join("haul.db")).await;
        self.dir = next;
    }
}

async fn all<T>(conn: &mut SqliteConnection, sql: &'static str, row: fn(&SqliteRow) -> T) -> Vec<T> {
    sqlx::query(sql).fetch_all(conn).await.expect(sql).iter().map(row).collect()
}

async fn map<K: Ord, V>(
    conn: &mut SqliteConnection,
    sql: &'static str,
    row: fn(&SqliteRow) -> (K, V),
) -> BTreeMap<K, V> {
    all(conn, sql, row).await.into_iter().collect()
}

async fn rows(conn: &mut SqliteConnection) -> Rows {
    let rejected = "SELECT import_id, line, reason FROM rejected";
    let imports = "SELECT id, rows, added, rejected FROM imports";
    let spends = "SELECT limit_name, until_us, permits FROM spends WHERE permits > 0";
    Rows {
        jobs: map(conn, "SELECT * FROM jobs", |row| (row.get("key"), job(row))).await,
        attempts: map(conn, "SELECT * FROM attempts", |row| ((row.get(0), row.get(1)), attempt(row))).await,
        responses: map(conn, "SELECT job_id, attempt, status_code, body FROM responses", |row| {
            (row.get(0), (row.get(1), row.get(2), Bytes::from(row.get::<Vec<u8>, _>(3))))
        })
        .await,
        results: map(conn, "SELECT job_id, attempt, output, processor FROM results", |row| {
            (row.get(0), (row.get(1), row.get(2), row.get(3)))
        })
        .await,
        rejected: map(conn, rejected, |row| ((row.get(0), number(row, 1)), row.get(2))).await,
        imports: map(conn, imports, |row| (row.get(0), (number(row, 1), number(row, 2), number(row, 3)))).await,
        runs: map(conn, "SELECT id, outcome FROM runs", |row| (row.get(0), row.get(1))).await,
        limits: map(conn, "SELECT * FROM limits", |row| (row.get("name"), limit(row))).await,
        spends: map(conn, spends, |row| ((row.get(0), row.get(1)), row.get(2))).await,
        minutes: Minutes(map(conn, "SELECT * FROM minutes", minute).await),
    }
}

fn job(row: &SqliteRow) -> JobRow {
    JobRow {
        id: row.get("id"),
        state: State::parse(row.get("state")).expect("a state"),
        attempts: row.get("attempts"),
        failures: row.get("failures"),
        generation: row.get("generation"),
        due_at_us: row.get("due_at_us"),
        leased_by: row.get("run_id"),
        crashes: row.get("crashes"),
        was: row.get::<Option<&str>, _>("was").map(|was| State::parse(was).expect("a state")),
        error_type: error_type(row),
        finished: row.get::<Option<i64>, _>("finished_at_us").is_some(),
    }
}

fn attempt(row: &SqliteRow) -> AttemptRow {
    let measured = Measured {
        started_at_us: row.get("started_at_us"),
        rate_wait_us: row.get("rate_wait_us"),
        ttfb_us: row.get("ttfb_us"),
        fetch_us: row.get("fetch_us"),
        queue_us: row.get("queue_us"),
        process_us: row.get("process_us"),
        latency_us: row.get("latency_us"),
        within_sla: row.get("within_sla"),
        status_code: row.get("status_code"),
        bytes: row.get::<Option<i64>, _>("bytes").map(|n| n.try_into().expect("a size")),
    };
    AttemptRow { run: row.get("run_id"), measured, error_type: error_type(row) }
}

fn limit(row: &SqliteRow) -> LimitRow {
    LimitRow {
        permits: row.get("permits"),
        window_us: row.get("window_us"),
        jitter_us: row.get("jitter_us"),
        paused_until_us: row.get("paused_until_us"),
    }
}

fn minute(row: &SqliteRow) -> ((i64, &'static str, i64), Bucket) {
    let stage = STAGES.into_iter().find(|stage| *stage == row.get::<&str, _>("stage")).expect("a stage");
    let bucket = Bucket { n: number(row, 3), late: number(row, 4), failed: number(row, 5) };
    ((row.get("minute_at_us"), stage, row.get("up_to_us")), bucket)
}

fn error_type(row: &SqliteRow) -> Option<ErrorType> {
    row.get::<Option<String>, _>("error_type").map(ErrorType::stored)
}

fn number(row: &SqliteRow, i: usize) -> u64 {
    row.get::<i64, _>(i).try_into().expect("no count is negative")
}
