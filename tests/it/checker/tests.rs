//! A check that cannot fail is no check: each is shown something wrong.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A database with the tables of haul and these rows, still open.
async fn database(rows: &'static str) -> (TempDir, PathBuf, SqliteConnection) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("haul.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut writer = SqliteConnection::connect_with(&options).await.expect("a database");
    sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut writer).await.expect("WAL");
    sqlx::raw_sql(include_str!("../../../migrations/sqlite/0001_tables.sql"))
        .execute(&mut writer)
        .await
        .expect("the tables");
    sqlx::raw_sql(
        "INSERT INTO imports VALUES (1, '-', 0, 9, 9, 0);
         INSERT INTO runs (id, started_at_us, heartbeat_at_us, host, pid, version, settings) VALUES (1, 0, 0, 'h', 1, '0', '{}');",
    )
    .execute(&mut writer)
    .await
    .expect("an import and a run");
    sqlx::raw_sql(rows).execute(&mut writer).await.expect("the rows");
    (folder, path, writer)
}

/// Two jobs that succeeded and one that failed, as they should be.
const GOOD: &str = "
    INSERT INTO jobs (id, key, import_id, line, state, attempts, created_at_us, finished_at_us, error_type, error_message) VALUES
        (1, 'a', 1, 1, 'succeeded', 1, 0, 1, NULL, NULL),
        (2, 'b', 1, 2, 'succeeded', 2, 0, 1, NULL, NULL),
        (3, 'c', 1, 3, 'failed', 1, 0, 1, '404', 'not found');
    INSERT INTO results VALUES (1, 1, '1', 'none', 1), (2, 2, '2', 'none', 1);
    INSERT INTO attempts (job_id, attempt, run_id, status_code, rate_wait_us, error_type, error_message) VALUES
        (1, 1, 1, 200, 0, NULL, NULL),
        (2, 1, 1, NULL, 0, 'timeout', 'no answer'),
        (2, 2, 1, 200, 0, NULL, NULL),
        (3, 1, 1, 404, 0, '404', 'not found');";

async fn broken(how: &'static str) -> (TempDir, Finished) {
    let (folder, path, mut writer) = database(GOOD).await;
    sqlx::raw_sql(how).execute(&mut writer).await.expect("a broken database");
    writer.close().await.expect("closed");
    (folder, Finished::open(&path).await)
}

fn arrivals(keys: &str) -> Vec<Arrival> {
    let arrival = |(at_ns, key): (u64, char)| Arrival {
        key: key.to_string(),
        idempotency_key: None,
        at_ns,
        status: Some(200),
        answered: true,
    };
    (0..).zip(keys.chars()).map(arrival).collect()
}

#[test]
fn a_window_is_half_open() {
    assert_eq!(max_window([], 10), 0);
    assert_eq!(max_window([0, 10, 20], 10), 1);
    assert_eq!(max_window([20, 0, 9, 10], 10), 2);
    assert_eq!(max_window([0, 9, 10], 11), 3);
}

#[test]
fn a_burst_in_an_even_pace_is_found() {
    let even: Vec<u64> = (0..1_000).map(|n| n * 50).collect();
    assert_eq!(max_window(even.iter().copied(), 1_000), 20);
    assert_eq!(max_window(even.iter().copied().chain([7_777]), 1_000), 21);
}

#[tokio::test]
async fn a_finished_database_has_nothing_lost_nothing_twice_and_nothing_resent() {
    let (_folder, mut finished) = broken("").await;
    assert_eq!((finished.lost(3).await, finished.dup().await, finished.leased().await), (0, 0, 0));
    assert_eq!(finished.resent(&arrivals("abcb")).await, 0);
    assert_eq!((finished.in_state("succeeded").await, finished.in_state("failed").await), (2, 1));
}

#[tokio::test]
async fn a_job_that_is_gone_or_has_no_end_is_lost() {
    let (_folder, mut finished) = broken("").await;
    assert_eq!(finished.lost(4).await, 1);
    let (_folder, mut finished) = broken("UPDATE jobs SET state = 'fetched', finished_at_us = NULL WHERE id = 1").await;
    assert_eq!(finished.lost(3).await, 1);
}

#[tokio::test]
async fn a_result_too_many_or_too_few_is_found() {
    let twice = "ALTER TABLE results RENAME TO once; CREATE TABLE results AS SELECT * FROM once;
                 INSERT INTO results SELECT * FROM once WHERE job_id = 1";
    for how in [twice, "DELETE FROM results WHERE job_id = 1", "INSERT INTO results VALUES (3, 1, '3', 'none', 1)"] {
        let (_folder, mut finished) = broken(how).await;
        assert_eq!(finished.dup().await, 1, "{how}");
    }
}

#[tokio::test]
async fn a_request_without_a_reason_in_the_database_is_found() {
    let (_folder, mut finished) = broken("").await;
    assert_eq!(finished.resent(&arrivals("aabbc")).await, 1, "a once too often");
    assert_eq!(finished.resent(&arrivals("abbccx")).await, 2, "c once too often, and x is no job");
}

#[tokio::test]
async fn a_request_that_a_crash_cut_short_is_no_logged_retry() {
    let interrupted = "INSERT INTO attempts (job_id, attempt, run_id, error_type, error_message)
                       VALUES (1, 2, 1, 'interrupted', 'the run died')";
    let (_folder, mut finished) = broken(interrupted).await;
    assert_eq!(finished.resent(&arrivals("aabbc")).await, 1);
}

#[tokio::test]
async fn leases_of_a_killed_run_are_counted_in_a_copy_with_its_write_ahead_log() {
    let leased = "INSERT INTO jobs (id, key, import_id, line, run_id, created_at_us) VALUES
                  (1, 'a', 1, 1, 1, 0), (2, 'b', 1, 2, 1, 0), (3, 'c', 1, 3, NULL, 0);";
    let (folder, path, writer) = database(leased).await;
    // What a kill leaves behind: the file, and all that is still in its log.
    let killed = folder.path().join("killed.db");
    std::fs::copy(&path, &killed).expect("a copy");
    std::fs::copy(folder.path().join("haul.db-wal"), folder.path().join("killed.db-wal")).expect("a copy");
    assert_eq!(leased_at_kill(&killed).await, 2);
    assert_eq!(leased_at_kill(&killed).await, 2, "the first look changed nothing");
    drop(writer);
}
