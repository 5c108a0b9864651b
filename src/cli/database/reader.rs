//! A connection that only reads what plans and reports are made of, over either kind of database.

use std::path::Path;

use haul::clock::{Clock, Micros};
use haul::limit::Limit;
use haul::report::Overview;
use haul::report::history::History;
use haul::report::plan::Tried;
use haul::request::Request;
#[cfg(feature = "postgres")]
use haul::store::postgres::PostgresStore;
use haul::store::sqlite::plan::{self, Known};
use haul::store::sqlite::{self, open_read_only};
use haul::store::{NewJob, StoreError};
use sqlx::{Connection, SqliteConnection};

use super::Done;

/// A database that is open for reading.
pub(crate) enum Reader {
    /// A file.
    File(SqliteConnection),
    /// On a server.
    #[cfg(feature = "postgres")]
    Server(Box<PostgresStore>),
}

impl Reader {
    pub(crate) async fn open(db: &Path) -> Done<Self> {
        #[cfg(feature = "postgres")]
        if let Some(address) = super::server(db) {
            return Ok(Self::Server(Box::new(PostgresStore::open_to_read(address.clone()).await?)));
        }
        Ok(Self::File(open_read_only(db).await?))
    }

    /// `None` where there is no database.
    pub(crate) async fn open_if_there(db: &Path) -> Done<Option<Self>> {
        if !super::is_shared(db) && !db.exists() {
            return Ok(None);
        }
        match Self::open(db).await {
            Err(StoreError::Missing { .. }) if super::is_shared(db) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// What there is to say about it now.
    pub(crate) async fn overview(&mut self, clock: Clock) -> Done<Overview> {
        match self {
            Self::File(conn) => sqlite::overview(conn, clock.now_us()).await,
            #[cfg(feature = "postgres")]
            Self::Server(store) => store.overview().await,
        }
    }

    /// What became of it over time.
    pub(crate) async fn history(&mut self, clock: Clock) -> Done<History> {
        match self {
            Self::File(conn) => sqlite::history(conn, clock.now_us()).await,
            #[cfg(feature = "postgres")]
            Self::Server(store) => store.history().await,
        }
    }

    /// Those of these rows whose key is known.
    pub(crate) async fn known(&mut self, jobs: &[NewJob]) -> Done<Vec<Known>> {
        match self {
            Self::File(conn) => plan::known(conn, jobs).await,
            #[cfg(feature = "postgres")]
            Self::Server(store) => store.known(jobs).await,
        }
    }

    /// The newest attempts.
    pub(crate) async fn tried(&mut self) -> Done<Vec<Tried>> {
        match self {
            Self::File(conn) => plan::tried(conn).await,
            #[cfg(feature = "postgres")]
            Self::Server(store) => store.tried().await,
        }
    }

    /// The requests that a run sends first, at most so many.
    pub(crate) async fn first(&mut self, most: usize) -> Done<Vec<Request>> {
        match self {
            Self::File(conn) => plan::first(conn, most).await,
            #[cfg(feature = "postgres")]
            Self::Server(store) => store.first(most).await,
        }
    }

    /// When the oldest permit of this limit that counts now no longer does.
    pub(crate) async fn frees_at(&mut self, limit: &Limit, now_us: Micros) -> Done<Option<Micros>> {
        match self {
            Self::File(conn) => plan::frees_at(conn, limit, now_us).await,
            #[cfg(feature = "postgres")]
            Self::Server(store) => store.frees_at(limit, now_us).await,
        }
    }

    pub(crate) async fn close(self) -> Done<()> {
        match self {
            Self::File(conn) => conn
                .close()
                .await
                .map_err(|e| StoreError::Database { doing: "close the database".to_owned(), source: e.into() }),
            #[cfg(feature = "postgres")]
            Self::Server(store) => store.close().await,
        }
    }
}
