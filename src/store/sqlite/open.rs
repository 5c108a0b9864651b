//! Opening a database file: look first, touch only what is ours, then migrate.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlSafeStr};

use super::probe::{Found, look};
use crate::settings::Durability;
use crate::store::StoreError;

/// The schema, in the order of its versions.
const MIGRATIONS: [(&str, &str); 2] = [
    ("tables", include_str!("../../../migrations/sqlite/0001_tables.sql")),
    ("views", include_str!("../../../migrations/sqlite/0002_views.sql")),
];

/// The newest schema version known here.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// A write waits so long for another process to let go of the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens the one connection that writes; creates the file, readable by its owner alone, where `create` says so.
pub(super) async fn writer(path: &Path, durability: Durability, create: bool) -> Result<SqliteConnection, StoreError> {
    let found = look(path).await?;
    match found {
        Found::Absent | Found::Empty if !create => {
            return Err(StoreError::Missing { path: path.display().to_string() });
        }
        Found::Absent => create_file(path).map_err(|e| failed("create the database", path, e))?,
        Found::Empty | Found::Ours { .. } => {}
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .page_size(16_384)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match durability {
            Durability::PowerLoss => SqliteSynchronous::Full,
            Durability::Crash => SqliteSynchronous::Normal,
        })
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(false) // declared for readers; the statements keep them, and checking costs a look-up a row
        .pragma("temp_store", "memory")
        .pragma("cache_size", "-16384")
        .pragma("journal_size_limit", "67108864")
        .row_buffer_size(1024)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(|e| failed("open the database", path, e))?;
    if found != (Found::Ours { version: SCHEMA_VERSION }) {
        migrate(&mut connection).await.map_err(|e| failed("bring the schema up to date in", path, e))?;
    }
    Ok(connection)
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), sqlx::migrate::MigrateError> {
    let migrations = MIGRATIONS.iter().zip(1..).map(|((name, sql), version)| {
        let sql: &'static str = sql;
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect()).run_direct(None, connection, false).await
}

#[cfg(unix)]
fn create_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    // Closing this handle drops no lock of SQLite's: nothing in this process has opened the file yet.
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

#[cfg(not(unix))]
fn create_file(path: &Path) -> std::io::Result<()> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path).map(drop)
}

fn failed(doing: &str, path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Database { doing: format!("{doing} {}", path.display()), source: source.into() }
}
