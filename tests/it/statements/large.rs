//! The same statements on a file that is not small.

use std::path::Path;

use haul::clock::Micros;
use haul::settings::Durability;
use haul::store::sqlite::SqliteStore;
use haul::store::{Lease, NewRun, Store, Want};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};

use super::{EXCEPTIONS, WAYS, plan, slow, statements, ways};

const NOW_US: Micros = 1_000_000;

const FILL: &str = include_str!("large.sql");

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
    options.connect().await.expect("a connection")
}

/// The queue as SQL would sort it, if time did not matter: ids.
async fn queue(conn: &mut SqliteConnection) -> Vec<i64> {
    let sql = "SELECT id FROM jobs WHERE run_id IS NULL AND state IN ('pending', 'fetched') AND due_at_us <= ?1 \
               ORDER BY state <> 'fetched', state = 'pending' AND due_at_us = 0, due_at_us, id";
    let rows = sqlx::query(sql).bind(NOW_US).fetch_all(conn).await.expect("the queue");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn claim(store: &SqliteStore, run: i64, slots: usize, requests: usize) -> Vec<Lease> {
    let spends = vec![NOW_US; requests];
    store.claim(run, &Want { slots, requests }, &spends, NOW_US).await.expect("claim")
}

#[tokio::test]
async fn two_hundred_thousand_jobs_are_claimed_in_the_order_of_the_queue() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("haul.db");
    let store = SqliteStore::open(&path, Durability::Crash, true).await.expect("a database");
    let mut conn = connect(&path).await;
    sqlx::raw_sql(FILL).execute(&mut conn).await.expect("many jobs");
    let run = NewRun {
        host: "here".to_owned(),
        pid: 1,
        version: "0".to_owned(),
        settings: "{}".to_owned(),
        limits: Vec::new(),
        on_uncertain: haul::settings::OnUncertain::Retry,
    };
    let found = store.recover(&run, NOW_US).await.expect("recover");
    assert_eq!(found.interrupted, 200, "all that were leased");
    let queue = queue(&mut conn).await;
    assert_eq!(queue.len(), 200 * (9 + 6 + 500 + 1), "retries, fetched, fresh, interrupted");
    let mut claimed = Vec::new();
    // Small claims where the kinds meet, then large ones.
    for slots in [1, 7, 500, 997, 3, 1_500, 2_000, 4_000, 1, 30_000, 1_000_000] {
        claimed.extend(claim(&store, found.run, slots, slots).await.into_iter().map(|lease| lease.job));
    }
    assert_eq!(claimed.len(), queue.len(), "nothing that is due is left, nothing else is taken");
    let wrong = claimed.iter().zip(&queue).position(|(claimed, expected)| claimed != expected);
    assert_eq!(wrong, None, "the first that is out of order");
    conn.close().await.expect("closed");
}

#[tokio::test]
async fn plans_stay_what_they_are_when_somebody_runs_analyze() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("haul.db");
    SqliteStore::open(&path, Durability::Crash, true).await.expect("a database").close().await.expect("closed");
    let mut conn = connect(&path).await;
    let fewer = AssertSqlSafe(FILL.replace("200000", "20000"));
    sqlx::raw_sql(fewer).execute(&mut conn).await.expect("jobs");
    sqlx::raw_sql("ANALYZE").execute(&mut conn).await.expect("statistics");
    let mut conn = connect(&path).await; // they are read when a connection is opened
    let mut broken = Vec::new();
    for (name, sql) in statements() {
        let steps = plan(&mut conn, &sql).await;
        let excused = |step: &&&String| EXCEPTIONS.iter().any(|(file, what, _)| *file == name && step.contains(what));
        broken.extend(
            slow(&sql, &steps).iter().filter(|step| !excused(step)).map(|step| format!("{name}: {step} in {steps:?}")),
        );
        if let Some((_, expected)) = WAYS.iter().find(|(file, _)| *file == name)
            && ways(&sql, &steps) != *expected
        {
            broken.push(format!("{name}: {:?}", ways(&sql, &steps)));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
