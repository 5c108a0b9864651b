//! Databases of earlier schemas, with jobs in them.

use std::borrow::Cow;
use std::path::Path;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{Connection, SqlSafeStr};

use crate::resume::bench::done;

/// The first schema.
const FIRST: &str = include_str!("../../migrations/sqlite/0001_tables.sql");

/// Jobs for a server: an import, so many rows, and their counts, as the first haul wrote them.
const JOBS: &[&str] = &[
    "INSERT INTO imports (source, started_at_us, rows, added) VALUES ('old.txt', 1, ?2, ?2)",
    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
     INSERT INTO jobs (key, import_id, line, created_at_us) SELECT printf('%04d', i), 1, i + 1, 1 FROM n",
    "INSERT INTO requests (job_id, method, url) SELECT id, 'GET', ?1 || '/' || key FROM jobs",
    "INSERT INTO counts (state, n) VALUES ('pending', ?2)",
];

/// Makes a database of the first schema with so many jobs.
pub(crate) fn old(path: &Path, root: &str, jobs: usize) {
    done(async {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .page_size(16_384)
            .journal_mode(SqliteJournalMode::Wal);
        let mut connection = SqliteConnection::connect_with(&options).await.expect("a database");
        let first = Migration::new(1, Cow::Borrowed("tables"), MigrationType::Simple, FIRST.into_sql_str(), false);
        let migrator = Migrator::with_migrations(vec![first]);
        migrator.run_direct(None, &mut connection, false).await.expect("the first schema");
        for sql in JOBS {
            let jobs = i64::try_from(jobs).expect("few");
            sqlx::query(*sql).bind(root).bind(jobs).execute(&mut connection).await.expect("the jobs");
        }
        connection.close().await.expect("closed");
    });
}
