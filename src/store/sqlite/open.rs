//! Opening a database file: look first, touch only what is ours, then migrate.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};

use super::probe::{Found, as_file, check, look, primary_code, read_header};
use super::{IMMEDIATE, disk, stall};
use crate::fail_point::{Point, pass};
use crate::settings::Durability;
use crate::store::StoreError;

/// The schema, in the order of its versions.
const MIGRATIONS: [(&str, &str); 8] = [
    ("tables", include_str!("../../../migrations/sqlite/0001_tables.sql")),
    ("views", include_str!("../../../migrations/sqlite/0002_views.sql")),
    ("templates", include_str!("../../../migrations/sqlite/0003_templates.sql")),
    ("results in order", include_str!("../../../migrations/sqlite/0004_results_order.sql")),
    ("boot time", include_str!("../../../migrations/sqlite/0005_boot_time.sql")),
    ("reprocess", include_str!("../../../migrations/sqlite/0006_reprocess.sql")),
    ("failed attempts", include_str!("../../../migrations/sqlite/0007_failed_attempts.sql")),
    ("timings", include_str!("../../../migrations/sqlite/0008_timings.sql")),
];

// Before it, a write that met a checkpoint of another connection could damage the file.
const _: () = assert!(libsqlite3_sys::SQLITE_VERSION_NUMBER >= 3_051_003, "SQLite is older than 3.51.3");

/// The newest schema version known here.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// A write waits so long for another process to let go of the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A run that goes tells what it waits for, and hears a signal meanwhile: it asks again and again, so long each time.
pub(super) const SHORT_PATIENCE: &str = "PRAGMA busy_timeout = 1000";

/// A run goes through the tables from one end to the other: a larger cache would fill with what it is done with.
pub(super) const SMALL_CACHE: &str = "PRAGMA cache_size = -4096";

/// Opens the one connection that writes; creates the file, readable by its owner alone, where `create` says so.
pub(super) async fn writer(path: &Path, durability: Durability, create: bool) -> Result<SqliteConnection, StoreError> {
    let found = look(path).await?;
    disk::check(path)?; // before anything is made there
    match found {
        Found::Absent | Found::Empty if !create => {
            return Err(StoreError::Missing { path: path.display().to_string() });
        }
        Found::Absent => {
            create_file(path).map_err(|e| not_created(path, e))?;
            pass(Point::Created);
        }
        Found::Empty | Found::Ours { .. } => {}
    }
    let mut connection = connect(path, durability).await.map_err(|e| refused(path, e))?;
    bring_up_to_date(&mut connection, path).await?;
    pass(Point::Opened);
    Ok(connection)
}

/// Where another process is just turning a new file to WAL, SQLite answers "busy" at once, whatever the timeout says.
async fn connect(path: &Path, durability: Durability) -> Result<SqliteConnection, sqlx::Error> {
    const EVERY: Duration = Duration::from_millis(20);
    let options = options(path, durability);
    for _ in 0..BUSY_TIMEOUT.as_millis() / EVERY.as_millis() {
        match options.connect().await {
            Err(e) if primary_code(&e) == Some(libsqlite3_sys::SQLITE_BUSY) => tokio::time::sleep(EVERY).await,
            opened => return opened,
        }
    }
    options.connect().await
}

fn options(path: &Path, durability: Durability) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(as_file(path))
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
        .disable_statement_logging()
}

/// Makes or migrates the schema, all of it or nothing. The lock is taken before looking: of two processes that open a new
/// file at once, the second finds what the first has made. A file that cannot be written is refused here, not in mid-run.
async fn bring_up_to_date(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let mut tx = connection.begin_with(IMMEDIATE).await.map_err(|e| refused(path, e))?;
    let header = read_header(&mut tx).await;
    if check(path, header)? != (Found::Ours { version: SCHEMA_VERSION }) {
        migrate(&mut tx).await.map_err(|e| not_migrated(path, e))?;
        pass(Point::Migrated);
    }
    sqlx::query(include_str!("may_write.sql")).execute(&mut *tx).await.map_err(|e| refused(path, e))?;
    tx.commit().await.map_err(|e| not_migrated(path, e.into()))
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let migrations = MIGRATIONS.iter().zip(1..).map(|((name, sql), version)| {
        let sql: &'static str = sql;
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect()).run_direct(None, connection, false).await
}

fn create_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        // Another process was quicker.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        // Closing this handle drops no lock of SQLite's: nothing in this process has opened the file yet.
        done => done.map(drop),
    }
}

fn not_migrated(path: &Path, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => refused(path, error),
        _ => failed("bring the schema up to date in", path, error),
    }
}

fn not_created(path: &Path, error: std::io::Error) -> StoreError {
    let doing = "create the database";
    match error.kind() {
        std::io::ErrorKind::NotFound => failed(doing, path, "there is no such folder; make it first"),
        _ => failed(doing, path, error),
    }
}

/// Why SQLite will not open it, or not for writing.
fn refused(path: &Path, error: sqlx::Error) -> StoreError {
    match (primary_code(&error), error.as_database_error()) {
        (Some(libsqlite3_sys::SQLITE_READONLY | libsqlite3_sys::SQLITE_CANTOPEN), Some(said)) => {
            let reason = disk::hindrance(path).unwrap_or_else(|| said.message().to_owned());
            StoreError::ReadOnly { path: path.display().to_string(), reason }
        }
        _ => match stall::stall(path, Some(&error)) {
            Some(stall) => StoreError::Stalled { doing: "open the database".to_owned(), stall, source: error.into() },
            None => failed("open the database", path, error),
        },
    }
}

fn failed(doing: &str, path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Database { doing: format!("{doing} {}", path.display()), source: source.into() }
}
