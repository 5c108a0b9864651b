//! SQL that somebody typed, over a database that it cannot change.

mod kinds;

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Decode, Row, SqliteConnection, TypeInfo, ValueRef};

use super::failed;
use super::params::{self, Bound};
use super::probe::{open_read_only, primary_code};
use super::sandbox::{self, Budget, Refusal};
pub use kinds::Kind;
#[cfg(feature = "postgres")]
pub(in crate::store) use kinds::kind;

use crate::near::nearest;
use crate::store::StoreError;

/// How long a query may work, where nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `NULL`.
    Null,
    /// An integer.
    Integer(i64),
    /// A real; never NaN, perhaps infinite.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes; also text that is no UTF-8.
    Blob(Vec<u8>),
}

/// Why a query gave no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No statement, only comments and space.
    #[error("there is no statement in it; try `SELECT * FROM job_view LIMIT 5`")]
    Nothing,
    /// More than one statement.
    #[error("only one statement is run; leave out what follows it: `{next}`")]
    More {
        /// The beginning of what follows.
        next: String,
    },
    /// It would do more than read.
    #[error(
        "only reading is allowed here ({message}): write one SELECT, VALUES, WITH .. SELECT, EXPLAIN or PRAGMA table_info(..)"
    )]
    Refused {
        /// What SQLite said.
        message: String,
    },
    /// A parameter without a value.
    #[error("the parameter {name} has no value: give it one with -p {} VALUE", name.trim_start_matches([':', '@', '$']))]
    Unbound {
        /// As it stands in the statement.
        name: String,
    },
    /// A value without a parameter.
    #[error("there is no parameter :{name} in the statement")]
    Unused {
        /// As it was given.
        name: String,
    },
    /// A parameter in a form that has no name.
    #[error("parameters have names here: write :name instead of {form}")]
    Nameless {
        /// As it stands in the statement.
        form: String,
    },
    /// It worked longer than it may.
    #[error(
        "it was stopped after {} of work: narrow it down (WHERE id .., LIMIT), or allow more with --timeout",
        humantime::format_duration(*after)
    )]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// SQLite does not understand it, or failed on the way.
    #[error("{message}{}", hint.as_deref().map(|hint| format!(": {hint}")).unwrap_or_default())]
    Sql {
        /// What SQLite said.
        message: String,
        /// What may help.
        hint: Option<String>,
    },
    /// Whoever took the rows failed.
    #[error(transparent)]
    Output(#[from] std::io::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueryError {
    /// What was typed is at fault, not the database: exit 2.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::TimedOut { .. } | Self::Output(_) | Self::Store(_))
    }
}

/// A statement that was checked: one, reading only, all its parameters given.
#[derive(Debug)]
pub struct Query<'p> {
    sql: String,
    values: Vec<&'p str>,
    /// Names of its columns.
    pub columns: Vec<String>,
}

/// A database opened for reading, for SQL that somebody typed. Works while a run is going.
#[derive(Debug)]
pub struct Console {
    conn: SqliteConnection,
    budget: Arc<Budget>,
}

impl Console {
    /// Opens a database; creates none.
    ///
    /// # Errors
    /// Where it is missing, foreign, newer or cannot be read.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::over(path, open_read_only(path).await?).await
    }

    /// Opens a database and sees it as it is now, whatever a run writes meanwhile: all that is asked adds up. Until it is
    /// closed the log of a run that is going cannot be folded back into the file, so it grows.
    ///
    /// # Errors
    /// As of [`Console::open`].
    pub async fn snapshot(path: &Path) -> Result<Self, StoreError> {
        let mut conn = open_read_only(path).await?;
        // Before it is restricted, for the sandbox lets no transaction begin. The first read is what holds the snapshot.
        for sql in [include_str!("snapshot.sql"), include_str!("last_job.sql")] {
            sqlx::query(sql).execute(&mut conn).await.map_err(failed("hold a snapshot of the database"))?;
        }
        Self::over(path, conn).await
    }

    async fn over(path: &Path, mut conn: SqliteConnection) -> Result<Self, StoreError> {
        let budget = Budget::new();
        sandbox::harden(&mut conn, Arc::clone(&budget)).await.map_err(failed("restrict the database"))?;
        // What is ours is tried first: where it does not compile, nothing that anybody typed is to blame.
        match sandbox::compile(&mut conn, "SELECT * FROM job_view").await {
            Ok(_) => Ok(Self { conn, budget }),
            Err(Refusal::Driver(e)) => Err(failed("read the views of the database")(e)),
            Err(Refusal::Sql(_, reason)) => Err(StoreError::Altered { path: path.display().to_string(), reason }),
        }
    }

    /// Checks a statement without running it: one, reading only, its parameters `(name, value)` all given.
    ///
    /// # Errors
    /// Says what is wrong with it, and what may have been meant.
    pub async fn prepare<'p>(&mut self, sql: &str, params: &'p [(String, String)]) -> Result<Query<'p>, QueryError> {
        // Behind a NUL neither SQLite nor sqlx would look; sqlx would look for ever.
        if sql.contains('\0') {
            return Err(QueryError::Sql { message: "there is a NUL in it".to_owned(), hint: None });
        }
        let numbered = params::number(sql.trim(), params)?;
        // An earlier query that was broken off is over when its thread answers.
        self.conn.ping().await.map_err(failed("read the statement"))?;
        self.budget.hold();
        let Some(statement) = self.compile(&numbered.sql).await? else { return Err(QueryError::Nothing) };
        let (first, rest) = numbered.sql.split_at(statement.length);
        // Comments may follow; what does not compile is no comment either.
        if !matches!(sandbox::compile(&mut self.conn, rest).await, Ok(None)) {
            return Err(QueryError::More { next: rest.trim().chars().take(40).collect() });
        }
        if !statement.read_only {
            return Err(QueryError::Refused { message: "this writes".to_owned() });
        }
        let nameless = |name: &Option<String>| name.as_deref().is_none_or(|name| !is_ours(name, &numbered.values));
        if let Some(name) = statement.parameters.iter().find(|name| nameless(name)) {
            return Err(QueryError::Nameless { form: name.clone().unwrap_or_else(|| "?".to_owned()) });
        }
        Ok(Query { sql: first.to_owned(), values: numbered.values, columns: statement.columns })
    }

    /// A statement of the store itself, with its one value `?1`. It was not typed by anybody, so there is nothing to check.
    pub(super) async fn own<'p>(&mut self, sql: &str, value: &'p str) -> Result<Query<'p>, QueryError> {
        self.conn.ping().await.map_err(failed("read the statement"))?;
        self.budget.hold();
        Ok(Query { sql: sql.to_owned(), values: vec![value], columns: Vec::new() })
    }

    async fn compile(&mut self, sql: &str) -> Result<Option<sandbox::Compiled>, QueryError> {
        match sandbox::compile(&mut self.conn, sql).await {
            Ok(compiled) => Ok(compiled),
            Err(Refusal::Driver(e)) => Err(failed("read the statement")(e).into()),
            Err(Refusal::Sql(libsqlite3_sys::SQLITE_AUTH, message)) => Err(QueryError::Refused { message }),
            Err(Refusal::Sql(_, message)) => {
                let hint = self.hint(&message).await;
                Err(QueryError::Sql { message, hint })
            }
        }
    }

    /// Runs a statement and hands its rows over one by one, until there are no more or `each` breaks. Memory is constant:
    /// while `each` is slow, SQLite waits. `timeout` counts only the time in which SQLite works.
    ///
    /// # Errors
    /// What SQLite says, the end of the time, or what `each` says. Rows before that were handed over.
    pub async fn run(
        &mut self,
        query: &Query<'_>,
        timeout: Duration,
        mut each: impl FnMut(&[Value]) -> std::io::Result<ControlFlow<()>>,
    ) -> Result<(), QueryError> {
        // The only place that runs SQL out of a variable: it was compiled above, in the sandbox, by itself.
        let mut statement = sqlx::query(AssertSqlSafe(query.sql.clone())).persistent(false);
        for value in &query.values {
            statement = match params::bound(value) {
                Bound::Integer(n) => statement.bind(n),
                Bound::Real(x) => statement.bind(x),
                Bound::Text(text) => statement.bind(text.to_owned()),
            };
        }
        let mut left = timeout;
        let mut rows = statement.fetch(&mut self.conn);
        let answer = loop {
            self.budget.run_for(left);
            let row = poll_fn(|cx| rows.as_mut().poll_next(cx)).await;
            left = self.budget.hold();
            match row.map(|row| row.and_then(|row| values(&row))) {
                None => break Ok(()),
                Some(Err(e)) => break Err(stopped(e, timeout)),
                Some(Ok(values)) => match each(&values) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => break Ok(()),
                    Err(e) => break Err(e.into()),
                },
            }
        };
        // What is still under way is of no use to anybody.
        self.budget.end();
        drop(rows);
        answer
    }

    /// Hands over the ids of the jobs for which a condition over `job_view` is true, in their order, until `each` breaks.
    ///
    /// # Errors
    /// As of [`Console::prepare`] and [`Console::run`].
    pub async fn jobs_where(
        &mut self,
        condition: &str,
        timeout: Duration,
        mut each: impl FnMut(i64) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        let query = self.prepare(&select_where("id", condition)?, &[]).await?;
        let id = |row: &[Value]| match row {
            [Value::Integer(id)] => Ok(each(*id)),
            _ => Ok(ControlFlow::Continue(())),
        };
        self.run(&query, timeout, id).await
    }

    /// Closes the database.
    ///
    /// # Errors
    /// Where SQLite cannot.
    pub async fn close(self) -> Result<(), StoreError> {
        self.budget.end();
        self.conn.close().await.map_err(failed("close the database"))
    }

    /// What was probably meant.
    async fn hint(&mut self, message: &str) -> Option<String> {
        let (kind, wrong) = message.split_once(": ")?;
        if message.contains("string literal") {
            return None; // SQLite knows better: text in double quotes
        }
        let wrong = wrong.split(" - ").next().unwrap_or(wrong).trim_matches('"');
        let word = wrong.rsplit('.').next().unwrap_or(wrong);
        let known: Vec<String> = match kind {
            "no such column" => self.names(include_str!("columns.sql")).await,
            "no such table" => self.names(include_str!("relations.sql")).await,
            "no such function" => self.names(include_str!("functions.sql")).await,
            _ => return None,
        };
        match (kind, nearest(word, known.iter().map(String::as_str))) {
            (_, Some(near)) => Some(format!("did you mean `{near}`?")),
            ("no such table", None) => Some(format!("there are {}", known.join(", "))),
            ("no such column", None) => Some("`PRAGMA table_info(job_view)` lists those of a view or table".to_owned()),
            _ => None,
        }
    }

    /// Names out of the schema; none where it cannot be read, for a hint is no reason to fail.
    async fn names(&mut self, sql: &'static str) -> Vec<String> {
        self.budget.run_for(Duration::from_secs(2));
        let names = sqlx::query_scalar(sql).fetch_all(&mut self.conn).await;
        self.budget.hold();
        names.unwrap_or_default()
    }
}

/// The jobs for which a condition over `job_view` is true, in their order. The condition stands on lines of its own, so that
/// a comment at its end ends with it.
///
/// # Errors
/// Where it is empty, or would end the parenthesis that it stands in.
pub fn select_where(columns: &str, condition: &str) -> Result<String, QueryError> {
    let wrong = |message: &str| QueryError::Sql { message: message.to_owned(), hint: None };
    if condition.trim().is_empty() {
        return Err(wrong("the condition is empty; `true` takes every job"));
    }
    if leaves_its_parenthesis(condition) {
        return Err(wrong("the condition closes a parenthesis that it does not open"));
    }
    Ok(format!("SELECT {columns} FROM job_view WHERE (\n{condition}\n) ORDER BY id"))
}

/// Outside of quoted text, names and comments.
fn leaves_its_parenthesis(condition: &str) -> bool {
    let (mut depth, mut quote, mut rest) = (0_i32, None, condition);
    while let Some(c) = rest.chars().next() {
        if quote.is_none()
            && let Some(after) = after_comment(rest)
        {
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '[') => quote = Some(']'),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

/// What follows the comment that a text begins with; `None` where it begins with none. A comment without an end takes all.
fn after_comment(text: &str) -> Option<&str> {
    let end = match text.get(..2)? {
        "--" => "\n",
        "/*" => "*/",
        _ => return None,
    };
    Some(text[2..].split_once(end).map_or("", |(_, after)| after))
}

/// A number that stands for a name that was given.
fn is_ours(name: &str, values: &[&str]) -> bool {
    name.strip_prefix('?').and_then(|n| n.parse().ok()).is_some_and(|n| (1..=values.len()).contains(&n))
}

pub(super) fn values(row: &SqliteRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.len()).map(|i| value(row, i)).collect()
}

fn value(row: &SqliteRow, i: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(i)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    let value = match kind.as_str() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(raw).map(Value::Integer),
        "REAL" => <f64 as Decode<Sqlite>>::decode(raw).map(Value::Real),
        // SQLite does not check its text: `CAST(x'ff' AS TEXT)`.
        "TEXT" => <Vec<u8> as Decode<Sqlite>>::decode(raw)
            .map(|bytes| String::from_utf8(bytes).map_or_else(|e| Value::Blob(e.into_bytes()), Value::Text)),
        _ => <Vec<u8> as Decode<Sqlite>>::decode(raw).map(Value::Blob),
    };
    value.map_err(sqlx::Error::Decode)
}

/// What SQLite said on the way, in our words.
fn stopped(error: sqlx::Error, after: Duration) -> QueryError {
    let message = error.as_database_error().map(|e| e.message().to_owned());
    match (primary_code(&error), message) {
        (Some(libsqlite3_sys::SQLITE_INTERRUPT), _) => QueryError::TimedOut { after },
        (Some(libsqlite3_sys::SQLITE_AUTH), Some(message)) => QueryError::Refused { message },
        (Some(libsqlite3_sys::SQLITE_ERROR | libsqlite3_sys::SQLITE_TOOBIG), Some(message)) => {
            QueryError::Sql { message, hint: None }
        }
        _ => failed("read the rows")(error).into(),
    }
}
