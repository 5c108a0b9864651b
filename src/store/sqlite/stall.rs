//! A write that could not be made: what that means, and the connection made fit for the next try.

use std::path::Path;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::probe::primary_code;
use super::{IMMEDIATE, SqliteStore, disk};
use crate::store::{Stall, StoreError};

type Source = Box<dyn std::error::Error + Send + Sync>;

impl SqliteStore {
    /// What was done, or what its error means; after one that passes the connection can be used again.
    pub(super) async fn told<T>(
        &self,
        connection: &mut SqliteConnection,
        doing: &'static str,
        done: Result<T, Source>,
    ) -> Result<T, StoreError> {
        let error = match done {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if let Some(said) = self.broken.get() {
            return Err(StoreError::Broken { doing: doing.to_owned(), said: said.clone() });
        }
        if error.downcast_ref().and_then(primary_code) == Some(libsqlite3_sys::SQLITE_IOERR) {
            let _ = self.broken.set(error.to_string()); // none is there yet: see above
        }
        Err(failed(&self.path, connection, doing, error).await)
    }
}

/// What this error means. Where it passes, the connection can be used again.
async fn failed(path: &Path, connection: &mut SqliteConnection, doing: &str, source: Source) -> StoreError {
    let doing = doing.to_owned();
    match stall(path, source.downcast_ref()) {
        None => StoreError::Database { doing, source },
        Some(stall) => match settle(connection).await {
            Ok(()) => {
                if matches!(stall, Stall::Full { .. }) {
                    // The log itself may be what fills the disk. Where this fails too, the next try tells.
                    let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection).await;
                }
                StoreError::Stalled { doing, stall, source }
            }
            Err(_) => StoreError::Database { doing, source },
        },
    }
}

/// Only what is surely not written. A disk that fails (SQLITE_IOERR) may have written a commit and lost word of it, and what
/// it says of a second `fsync` is worth nothing.
pub(super) fn stall(path: &Path, error: Option<&sqlx::Error>) -> Option<Stall> {
    let name = path.display().to_string();
    match primary_code(error?)? {
        libsqlite3_sys::SQLITE_FULL => Some(Stall::Full { path: name, free: disk::free(path) }),
        libsqlite3_sys::SQLITE_BUSY => Some(Stall::Locked { path: name }),
        _ => None,
    }
}

/// SQLite rolls some failed transactions back by itself. sqlx does not see that, counts the transaction on, and would refuse
/// every later one.
async fn settle(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    connection.ping().await?; // stands in line behind the roll-back of a transaction that was dropped
    if connection.is_in_transaction() {
        sqlx::query("BEGIN").execute(&mut *connection).await?;
        // Refused, since sqlx counts one already; and what is refused is rolled back, which ends both the counted and the real.
        drop(connection.begin_with(IMMEDIATE).await);
        connection.ping().await?;
    }
    match connection.is_in_transaction() {
        false => Ok(()),
        true => Err(sqlx::Error::BeginFailed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_sqlite_has_rolled_back_by_itself_the_connection_can_be_used_again() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("a database");
        for rolled_back in [true, false] {
            let mut tx = connection.begin_with(IMMEDIATE).await.expect("a transaction");
            if rolled_back {
                sqlx::query("ROLLBACK").execute(&mut *tx).await.expect("what SQLite does where the disk is full");
            }
            drop(tx);
            settle(&mut connection).await.expect("settled");
            let tx = connection.begin_with(IMMEDIATE).await.expect("a transaction again");
            tx.commit().await.expect("its end");
        }
    }

    #[tokio::test]
    async fn a_full_database_passes_and_a_mistake_does_not() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("a database");
        let path = Path::new("x.db");
        sqlx::raw_sql("CREATE TABLE t (x); PRAGMA max_page_count = 2").execute(&mut connection).await.expect("a table");
        let full =
            sqlx::query("INSERT INTO t VALUES (zeroblob(100000))").execute(&mut connection).await.expect_err("full");
        let told = failed(path, &mut connection, "fill it", full.into()).await;
        assert!(matches!(told, StoreError::Stalled { stall: Stall::Full { .. }, .. }), "{told:?}");
        assert!(told.to_string().starts_with("failed to fill it: the disk of x.db is full"), "{told}");
        let wrong = sqlx::query("INSERT INTO no_table VALUES (1)").execute(&mut connection).await.expect_err("wrong");
        let told = failed(path, &mut connection, "fill it", wrong.into()).await;
        assert!(matches!(told, StoreError::Database { .. }), "{told:?}");
    }
}
