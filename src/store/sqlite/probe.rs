//! Opens a database for reading, and only if it is one of ours: what is newer or foreign is not touched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row, SqliteConnection};

pub use super::open::SCHEMA_VERSION;
use crate::store::StoreError;

/// `PRAGMA application_id` of our files: "haul".
pub const APPLICATION_ID: i64 = 0x6861_756c;

/// Rows that SQLite may work ahead. Few: each may hold a body of 10 MiB.
const ROWS_AHEAD: usize = 16;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Absent,
    /// A database without content: its creation was cut off.
    Empty,
    /// One of ours.
    Ours {
        /// Of its schema.
        version: i64,
    },
}

/// Looks without writing: sqlx's migrator and the WAL pragma would both change a foreign file.
pub(super) async fn look(path: &Path) -> Result<Found, StoreError> {
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Found::Absent),
        Ok(found) if found.is_file() && found.len() == 0 => Ok(Found::Empty),
        _ => Ok(open(path).await?.1),
    }
}

/// A connection that cannot write, also while a run is going. Creates no database, and touches none that is not ours.
///
/// # Errors
/// [`StoreError::Missing`], [`StoreError::Foreign`], [`StoreError::Newer`], or what kept SQLite from reading it.
pub async fn open_read_only(path: &Path) -> Result<SqliteConnection, StoreError> {
    match open(path).await? {
        (conn, Found::Ours { .. }) => Ok(conn),
        _ => Err(StoreError::Foreign { path: path.display().to_string(), reason: "it is empty".to_owned() }),
    }
}

async fn open(path: &Path) -> Result<(SqliteConnection, Found), StoreError> {
    let file = existing(path)?;
    let options = options(&file);
    let mut conn = options.connect().await.map_err(|e| unreadable(path, e))?;
    let mut header = read_header(&mut conn).await;
    // A WAL database that nobody has open needs its `-shm` file made, which a folder that we may not write to forbids.
    // Without a log nothing is missed: the file alone is the whole truth, as long as nobody else begins to write.
    if header.as_ref().is_err_and(wants_sidecars) && is_absent_or_empty(&sidecar(&file, "-wal")) {
        conn = options.immutable(true).connect().await.map_err(|e| unreadable(path, e))?;
        header = read_header(&mut conn).await;
    }
    let found = check(path, header)?;
    Ok((conn, found))
}

/// The path, where there is a file at it that may be a database.
fn existing(path: &Path) -> Result<PathBuf, StoreError> {
    let name = path.display().to_string();
    // Only looked at, never opened: closing a second handle would drop SQLite's locks.
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(StoreError::Missing { path: name }),
        Err(e) => Err(StoreError::Unreadable { path: name, reason: e.to_string() }),
        Ok(found) if found.is_dir() => Err(StoreError::Foreign { path: name, reason: "it is a folder".to_owned() }),
        Ok(found) if !found.is_file() => Err(StoreError::Foreign { path: name, reason: "it is no file".to_owned() }),
        Ok(found) if found.len() == 0 => Err(StoreError::Foreign { path: name, reason: "it is empty".to_owned() }),
        Ok(_) => Ok(as_file(path)),
    }
}

/// The path in a form that SQLite takes for a file: `file:x` or `:memory:` would mean something else.
pub(super) fn as_file(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .busy_timeout(Duration::from_secs(10))
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}

/// Application, version, number of tables and views.
pub(super) type Header = (i64, i64, i64);

pub(super) async fn read_header(conn: &mut SqliteConnection) -> Result<Header, sqlx::Error> {
    let row = sqlx::query(include_str!("header.sql")).fetch_one(conn).await?;
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// What a file with this header is, or why it is not touched.
pub(super) fn check(path: &Path, header: Result<Header, sqlx::Error>) -> Result<Found, StoreError> {
    let at = path;
    let path = path.display().to_string();
    match header {
        Err(e) if wants_sidecars(&e) => Err(unreadable(at, e)),
        Err(e) if primary_code(&e) == Some(libsqlite3_sys::SQLITE_NOTADB) => {
            Err(StoreError::Foreign { path, reason: "it is no SQLite database".to_owned() })
        }
        Err(e) => Err(StoreError::Database { doing: format!("read the database {path}"), source: e.into() }),
        Ok((APPLICATION_ID, found, _)) if found > SCHEMA_VERSION => {
            Err(StoreError::Newer { path, found, known: SCHEMA_VERSION })
        }
        Ok((APPLICATION_ID, version, _)) => Ok(Found::Ours { version }),
        Ok((0, 0, 0)) => Ok(Found::Empty),
        Ok(_) => Err(StoreError::Foreign { path, reason: "it is another program's SQLite database".to_owned() }),
    }
}

/// Why SQLite could not even open it.
fn unreadable(path: &Path, error: sqlx::Error) -> StoreError {
    let said = error.as_database_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
    StoreError::Unreadable { path: path.display().to_string(), reason: said }
}

/// SQLite's result code without its extension.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn wants_sidecars(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(libsqlite3_sys::SQLITE_CANTOPEN | libsqlite3_sys::SQLITE_READONLY))
}

fn sidecar(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn is_absent_or_empty(path: &Path) -> bool {
    std::fs::metadata(path).map_or_else(|e| e.kind() == std::io::ErrorKind::NotFound, |found| found.len() == 0)
}
