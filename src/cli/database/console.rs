//! SQL that somebody typed, and jobs that are found by it, over either kind of database.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use haul::status::StatusSet;
#[cfg(feature = "postgres")]
use haul::store::postgres::{self, PostgresConsole, PostgresQuery};
use haul::store::sqlite;
use haul::store::sqlite::answers::{Answer, Place, Selection};
use haul::store::sqlite::console::{Kind, QueryError, Value, select_where};
use haul::store::sqlite::detail::{Found, Which};
use haul::store::sqlite::samples::Sample;

use super::Done;

/// A connection that only reads. Works while runs are going.
pub(crate) enum Console {
    /// To a file.
    File(sqlite::console::Console),
    /// To a server.
    #[cfg(feature = "postgres")]
    Server(Box<PostgresConsole>),
}

/// A statement that was checked.
pub(crate) enum Query<'p> {
    /// For a file.
    File(sqlite::console::Query<'p>),
    /// For a server.
    #[cfg(feature = "postgres")]
    Server(PostgresQuery),
}

impl Query<'_> {
    /// Names of its columns.
    pub(crate) fn columns(&self) -> &[String] {
        match self {
            Self::File(query) => &query.columns,
            #[cfg(feature = "postgres")]
            Self::Server(query) => &query.columns,
        }
    }
}

/// The same call on whichever it is.
macro_rules! either {
    ($console:expr, |$open:ident| $call:expr) => {
        match $console {
            Console::File($open) => $call,
            #[cfg(feature = "postgres")]
            Console::Server($open) => $call,
        }
    };
}

impl Console {
    pub(crate) async fn open(db: &Path) -> Done<Self> {
        #[cfg(feature = "postgres")]
        if let Some(address) = super::server(db) {
            return Ok(Self::Server(Box::new(PostgresConsole::open(address).await?)));
        }
        Ok(Self::File(sqlite::console::Console::open(db).await?))
    }

    /// All that is asked of it is of one moment.
    pub(crate) async fn snapshot(db: &Path) -> Done<Self> {
        #[cfg(feature = "postgres")]
        if let Some(address) = super::server(db) {
            return Ok(Self::Server(Box::new(PostgresConsole::snapshot(address).await?)));
        }
        Ok(Self::File(sqlite::console::Console::snapshot(db).await?))
    }

    /// Checks a condition over `job_view`.
    pub(crate) async fn check(&mut self, condition: &str) -> Result<(), QueryError> {
        match self {
            Self::File(console) => console.prepare(&select_where("id", condition)?, &[]).await.map(drop),
            #[cfg(feature = "postgres")]
            Self::Server(console) => console.check(condition).await,
        }
    }

    /// Checks a statement without running it.
    pub(crate) async fn prepare<'p>(
        &mut self,
        sql: &str,
        params: &'p [(String, String)],
    ) -> Result<Query<'p>, QueryError> {
        match self {
            Self::File(console) => console.prepare(sql, params).await.map(Query::File),
            #[cfg(feature = "postgres")]
            Self::Server(console) => console.prepare(sql, params).await.map(Query::Server),
        }
    }

    /// Checks the statement that gives these jobs with their answers.
    pub(crate) async fn select(&mut self, selection: &Selection<'_>) -> Result<Query<'static>, QueryError> {
        match self {
            Self::File(console) => console.prepare(&selection.sql()?, &[]).await.map(Query::File),
            #[cfg(feature = "postgres")]
            Self::Server(console) => console.select(selection).await.map(Query::Server),
        }
    }

    /// Hands the rows of a statement over one by one, until there are no more or `each` breaks.
    pub(crate) async fn run(
        &mut self,
        query: &Query<'_>,
        timeout: Duration,
        each: impl FnMut(&[Value]) -> io::Result<ControlFlow<()>>,
    ) -> Result<(), QueryError> {
        match (self, query) {
            (Self::File(console), Query::File(query)) => console.run(query, timeout, each).await,
            #[cfg(feature = "postgres")]
            (Self::Server(console), Query::Server(query)) => console.run(query, timeout, each).await,
            #[cfg(feature = "postgres")]
            _ => unreachable!("a statement is run where it was checked"),
        }
    }

    /// Hands over the ids of the jobs for which a condition over `job_view` is true.
    pub(crate) async fn jobs_where(
        &mut self,
        condition: &str,
        timeout: Duration,
        each: impl FnMut(i64) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        either!(self, |open| open.jobs_where(condition, timeout, each).await)
    }

    /// Counts the jobs for which a condition over `job_view` is true, by what decides about them.
    pub(crate) async fn kinds_where(&mut self, condition: &str, timeout: Duration) -> Result<Vec<Kind>, QueryError> {
        either!(self, |open| open.kinds_where(condition, timeout).await)
    }

    /// Hands over jobs that can be processed again.
    pub(crate) async fn samples_where(
        &mut self,
        condition: &str,
        timeout: Duration,
        each: impl FnMut(Sample) -> io::Result<ControlFlow<()>>,
    ) -> Result<(), QueryError> {
        either!(self, |open| open.samples_where(condition, timeout, each).await)
    }

    /// The jobs with these keys.
    pub(crate) async fn places(&mut self, keys: &[&str]) -> Result<Vec<Place>, QueryError> {
        either!(self, |open| open.places(keys).await)
    }

    /// The jobs with these numbers, each with the body of its request.
    pub(crate) async fn answers(
        &mut self,
        ids: &[i64],
        with_response: bool,
        retry_on: &StatusSet,
    ) -> Result<Vec<(Answer, Option<Vec<u8>>)>, QueryError> {
        either!(self, |open| open.answers(ids, with_response, retry_on).await)
    }

    /// Whether there is such a run, and the number of the last one.
    pub(crate) async fn has_run(&mut self, run: i64) -> Result<(bool, Option<i64>), QueryError> {
        either!(self, |open| open.has_run(run).await)
    }

    /// The request flags with which this input was imported, as JSON.
    pub(crate) async fn template_of(&mut self, source: &str) -> Result<Option<String>, QueryError> {
        either!(self, |open| open.template_of(source).await)
    }

    /// The imports whose rows become requests by these flags.
    pub(crate) async fn made_by(&mut self, template: &str) -> Result<BTreeSet<i64>, QueryError> {
        either!(self, |open| open.made_by(template).await)
    }

    pub(crate) async fn close(self) -> Done<()> {
        either!(self, |open| open.close().await)
    }
}

/// Reads one job.
pub(crate) async fn detail(db: &Path, which: &Which, retry_on: &StatusSet) -> anyhow::Result<Found> {
    #[cfg(feature = "postgres")]
    if let Some(address) = super::server(db) {
        return match postgres::detail(address, which, retry_on).await {
            Err(QueryError::Store(error)) => Err(error.into()), // it says whether there is a database at all
            found => Ok(found?),
        };
    }
    Ok(sqlite::detail::detail(db, which, retry_on).await?)
}
