//! SQL that somebody typed, over a database that it cannot change: one statement, in a transaction that only reads.

mod answers;
mod detail;
mod kinds;
mod values;
mod words;

use std::future::poll_fn;
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgDatabaseError};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Row, SqlSafeStr, Statement, raw_sql};

use super::{Address, PostgresStore};
use crate::store::StoreError;
use crate::store::sqlite::console::{QueryError, Value, select_where};
pub use detail::detail;
use values::{Kind, values};

/// Everything asked in it is of one moment; it may take as long as it takes, unless it is told otherwise.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off";

/// A connection for SQL that somebody typed. Works while runs are going.
pub struct PostgresConsole {
    address: Address,
    connection: PgConnection,
    /// All is asked in one transaction.
    snapshot: bool,
}

/// A statement that was checked.
#[derive(Debug)]
pub struct PostgresQuery {
    sql: String,
    /// It is none that could be a part of another one; its columns are text.
    plain: bool,
    kinds: Vec<Kind>,
    /// Names of its columns.
    pub columns: Vec<String>,
}

impl PostgresConsole {
    /// Opens a database; makes none, and needs no right to write.
    ///
    /// # Errors
    /// Where it cannot be reached, is missing, foreign, older or newer.
    pub async fn open(address: &Address) -> Result<Self, StoreError> {
        PostgresStore::open_to_read(address.clone()).await?.close().await?;
        let connection = address.options().connect().await.map_err(|e| failed("open the database", e))?;
        Ok(Self { address: address.clone(), connection, snapshot: false })
    }

    /// Opens a database and sees it as it is now, whatever is written meanwhile: all that is asked adds up. Until it is closed what
    /// is dead by then is not cleared away.
    ///
    /// # Errors
    /// As of [`PostgresConsole::open`].
    pub async fn snapshot(address: &Address) -> Result<Self, StoreError> {
        let mut console = Self::open(address).await?;
        // The first read is what takes the snapshot.
        for sql in [BEGIN, include_str!("last_job.sql")] {
            raw_sql(sql).execute(&mut console.connection).await.map_err(|e| failed("hold a snapshot", e))?;
        }
        console.snapshot = true;
        Ok(console)
    }

    /// Checks a statement without running it: one, its parameters `(name, value)` all given.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub async fn prepare(&mut self, sql: &str, params: &[(String, String)]) -> Result<PostgresQuery, QueryError> {
        self.checked(words::filled(sql, params)?).await
    }

    /// Checks a condition over `job_view`, by itself: it is to be one however it is put into a statement.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub async fn check(&mut self, condition: &str) -> Result<(), QueryError> {
        let within = select_where("id", condition)?;
        self.prepare(&format!("SELECT id FROM job_view WHERE\n{condition}\n"), &[]).await?;
        self.prepare(&within, &[]).await.map(drop)
    }

    async fn checked(&mut self, sql: String) -> Result<PostgresQuery, QueryError> {
        let statement = self.connection.prepare(AssertSqlSafe(sql.clone()).into_sql_str()).await;
        let statement = statement.map_err(|e| said(e, Duration::ZERO))?;
        let columns: Vec<_> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        if columns.is_empty() {
            return Err(refused("this gives no rows"));
        }
        let kinds = statement.columns().iter().map(Kind::of).collect();
        let plain = matches!(words::verb(&sql).as_str(), "EXPLAIN" | "SHOW");
        Ok(PostgresQuery { sql, plain, kinds, columns })
    }

    /// Runs a statement and hands its rows over one by one, until there are no more or `each` breaks.
    ///
    /// # Errors
    /// What the server says, the end of the time, or what `each` says. Rows before that were handed over.
    pub async fn run(
        &mut self,
        query: &PostgresQuery,
        timeout: Duration,
        each: impl FnMut(&[Value]) -> io::Result<ControlFlow<()>>,
    ) -> Result<(), QueryError> {
        self.run_with(query, None, timeout, each).await
    }

    /// The same; `$1` is this value.
    async fn run_with(
        &mut self,
        query: &PostgresQuery,
        value: Option<&str>,
        timeout: Duration,
        each: impl FnMut(&[Value]) -> io::Result<ControlFlow<()>>,
    ) -> Result<(), QueryError> {
        if !self.snapshot {
            raw_sql(BEGIN).execute(&mut self.connection).await.map_err(|e| failed("run the query", e))?;
        }
        let most_ms = timeout.as_millis().min(i32::MAX as u128).to_string();
        let limited = sqlx::query(include_str!("time_limit.sql")).bind(most_ms).execute(&mut self.connection).await;
        limited.map_err(|e| failed("run the query", e))?;
        let (ended, answer) = rows(&mut self.connection, query, value, timeout, each).await;
        if !ended {
            // The rest would have to be received first.
            let new = self.address.options().connect().await.map_err(|e| failed("go on with the database", e))?;
            let broken_off = std::mem::replace(&mut self.connection, new);
            drop(broken_off.close_hard().await); // it is of no use to anybody
            self.snapshot = false;
        } else if !self.snapshot {
            let over = raw_sql("ROLLBACK").execute(&mut self.connection).await;
            return answer.and(over.map(drop).map_err(|e| failed("run the query", e).into()));
        }
        answer
    }

    /// A statement of the store itself, with its one value, `$1`.
    async fn look_up(&mut self, sql: &str, value: &str, mut each: impl FnMut(&[Value])) -> Result<(), QueryError> {
        const LOOK_UP: Duration = Duration::from_secs(600); // by an index: only a bug makes one that never ends
        let query = self.checked(sql.to_owned()).await?;
        let take = |row: &[Value]| {
            each(row);
            Ok(ControlFlow::Continue(()))
        };
        self.run_with(&query, Some(value), LOOK_UP, take).await
    }

    /// Says goodbye; what is still under way is of no use to anybody.
    ///
    /// # Errors
    /// Never, by now: a connection that breaks is gone too.
    pub async fn close(self) -> Result<(), StoreError> {
        drop(self.connection.close_hard().await);
        Ok(())
    }
}

/// Hands over the rows. Also tells whether all of them came, or an error in their place.
async fn rows(
    connection: &mut PgConnection,
    query: &PostgresQuery,
    value: Option<&str>,
    timeout: Duration,
    mut each: impl FnMut(&[Value]) -> io::Result<ControlFlow<()>>,
) -> (bool, Result<(), QueryError>) {
    // Any type comes as JSON, its values in the order of the columns. As a subquery it can be nothing but a SELECT or VALUES.
    let sql = match query.plain {
        true => query.sql.clone(),
        false => format!(
            "SELECT (SELECT json_agg(e.value)::text FROM json_each(row_to_json(q)) AS e) FROM (\n{}\n) AS q",
            query.sql
        ),
    };
    let statement = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    let statement = match value {
        Some(value) => statement.bind(value.to_owned()),
        None => statement,
    };
    let mut rows = statement.fetch(connection);
    loop {
        let row = match poll_fn(|cx| rows.as_mut().poll_next(cx)).await {
            None => return (true, Ok(())),
            Some(Err(e)) => return (true, Err(said(e, timeout))),
            Some(Ok(row)) => row,
        };
        let values = match query.plain {
            true => row.try_get(0).map(|text: String| vec![Value::Text(text)]),
            false => values(&row, &query.kinds),
        };
        match values.map(|values| each(&values)) {
            Ok(Ok(ControlFlow::Continue(()))) => {}
            Ok(Ok(ControlFlow::Break(()))) => return (false, Ok(())),
            Ok(Err(e)) => return (false, Err(e.into())),
            Err(e) => return (false, Err(failed("read the rows", e).into())),
        }
    }
}

fn failed(doing: &str, source: sqlx::Error) -> StoreError {
    StoreError::Database { doing: doing.to_owned(), source: source.into() }
}

fn refused(message: &str) -> QueryError {
    QueryError::Refused { message: message.to_owned() }
}

/// What the server said, in our words.
fn said(error: sqlx::Error, after: Duration) -> QueryError {
    let Some(said) = error.as_database_error().and_then(|said| said.try_downcast_ref::<PgDatabaseError>()) else {
        return failed("run the query", error).into();
    };
    let message = said.message().to_owned();
    match said.code() {
        "57014" => QueryError::TimedOut { after },
        "25006" => QueryError::Refused { message },
        // What was understood by itself and is not in parentheses is no SELECT, or one that writes.
        "42601" | "0A000" if !after.is_zero() => refused("this is more than a SELECT"),
        code if code.starts_with("08") || code.starts_with("57P") => failed("run the query", error).into(),
        _ => QueryError::Sql { message, hint: said.hint().map(str::to_owned) },
    }
}
