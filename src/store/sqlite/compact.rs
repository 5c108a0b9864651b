//! Gives the space of what was dropped back to the disk.

use sqlx::Row;

use super::{Inner, SqliteStore, failed};
use crate::store::StoreError;

impl SqliteStore {
    /// Whether there are pages that nothing lies in.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn has_free_pages(&self) -> Result<bool, StoreError> {
        let connection = &mut self.writer().await.connection;
        let read = sqlx::query_scalar::<_, i64>(include_str!("free_pages.sql")).fetch_one(connection).await;
        read.map(|pages| pages > 0).map_err(failed("look for free pages"))
    }

    /// Makes the file as small as what is in it. `false`: it will be when others have let go of it.
    ///
    /// SQLite writes all that is left into a temporary file, then into the write-ahead log, and the checkpoint from there into
    /// the database: a crash before the log is whole leaves everything as it was, one after that everything as it will be.
    /// Others read on; who writes waits. The caller holds the run lock.
    ///
    /// # Errors
    /// Where the disk fails or is full; nothing is lost, and the pages stay free for what comes.
    pub async fn compact(&self) -> Result<bool, StoreError> {
        let connection = &mut self.writer().await.connection;
        let work = async {
            // Elsewhere temporary tables are small and live in memory; here it is a copy of the database.
            sqlx::query("PRAGMA temp_store = file").execute(&mut *connection).await?;
            let vacuumed = sqlx::query(include_str!("vacuum.sql")).execute(&mut *connection).await;
            sqlx::query("PRAGMA temp_store = memory").execute(&mut *connection).await?;
            vacuumed?;
            let folded = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?;
            let busy: i64 = folded.try_get(0)?;
            Ok(busy == 0)
        };
        let work: Inner<bool> = work.await;
        work.map_err(failed("write the database anew without its free pages"))
    }
}
