//! Opening a database file: look first, touch only what is ours, then migrate.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};

use crate::settings::Durability;
use crate::store::StoreError;

/// "haul", in the header of every file of ours.
pub(super) const APPLICATION_ID: i64 = 0x6861_756c;

/// The schema, in the order of its versions.
const MIGRATIONS: [(&str, &str); 2] = [
    ("tables", include_str!("../../../migrations/sqlite/0001_tables.sql")),
    ("views", include_str!("../../../migrations/sqlite/0002_views.sql")),
];

/// The newest schema version known here.
pub(super) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// A write waits so long for another process to let go of the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Tables that a creation of ours, killed before its first migration, would not have left.
const OTHER_TABLES: &str = "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations'";

/// What a look at the file told.
#[derive(Debug, PartialEq, Eq)]
enum Probe {
    Absent,
    Empty,
    Ours { version: i64 },
}

/// Opens the one connection that writes; creates the file, readable by its owner alone, where `create` says so.
pub(super) async fn writer(path: &Path, durability: Durability, create: bool) -> Result<SqliteConnection, StoreError> {
    let found = probe(path).await?;
    match found {
        Probe::Absent | Probe::Empty if !create => {
            return Err(StoreError::Missing { path: path.display().to_string() });
        }
        Probe::Absent => create_file(path).map_err(|e| failed("create the database", path, e))?,
        Probe::Empty | Probe::Ours { .. } => {}
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
    if found != (Probe::Ours { version: SCHEMA_VERSION }) {
        migrate(&mut connection).await.map_err(|e| failed("bring the schema up to date in", path, e))?;
    }
    Ok(connection)
}

/// Looks at the file without writing to it: sqlx's migrator and the WAL pragma would both change a foreign one.
async fn probe(path: &Path) -> Result<Probe, StoreError> {
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Probe::Absent),
        Err(e) => return Err(failed("open the database", path, e)),
        Ok(meta) if meta.is_dir() => return Err(foreign(path, "it is a directory".to_owned())),
        Ok(meta) if meta.len() == 0 => return Ok(Probe::Empty),
        Ok(_) => {}
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let look = async {
        let mut connection = options.connect().await?;
        let application_id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
        let tables: i64 = sqlx::query_scalar(OTHER_TABLES).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>((application_id, version, tables))
    };
    match look.await {
        Ok((APPLICATION_ID, found, _)) if found > SCHEMA_VERSION => {
            Err(StoreError::Newer { path: path.display().to_string(), found, known: SCHEMA_VERSION })
        }
        Ok((APPLICATION_ID, version, _)) => Ok(Probe::Ours { version }),
        Ok((0, 0, 0)) => Ok(Probe::Empty), // killed between the first page and the first migration
        Ok(_) => Err(foreign(path, "it is a database of another program".to_owned())),
        Err(e) => match e.as_database_error().and_then(|e| e.code()).as_deref() {
            Some("26") => Err(foreign(path, "it is no SQLite file".to_owned())),
            _ => Err(failed("read the database", path, e)),
        },
    }
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

fn foreign(path: &Path, reason: String) -> StoreError {
    StoreError::Foreign { path: path.display().to_string(), reason }
}

fn failed(doing: &str, path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Database { doing: format!("{doing} {}", path.display()), source: source.into() }
}
