//! SQL that somebody typed, over a database that it cannot change: one statement, in a transaction that only reads.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Executor, PgConnection, Row, SqlSafeStr, Statement};

use super::{Address, PostgresStore};
use crate::store::StoreError;
use crate::store::sqlite::console::{QueryError, Value};

/// A connection for SQL that somebody typed. Works while runs are going.
pub struct PostgresConsole(PgConnection);

/// A statement that was checked.
#[derive(Debug)]
pub struct PostgresQuery {
    sql: String,
    values: Vec<String>,
    /// Names of its columns.
    pub columns: Vec<String>,
}

impl PostgresConsole {
    /// Opens a database; makes none.
    ///
    /// # Errors
    /// Where it cannot be reached, is missing, foreign or newer.
    pub async fn open(address: &Address) -> Result<Self, StoreError> {
        PostgresStore::open(address.clone(), false).await?.close().await?;
        Ok(Self(address.options().connect().await.map_err(|e| failed("open the database", e))?))
    }

    /// Checks a statement without running it: one, its parameters `(name, value)` all given.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub async fn prepare(&mut self, sql: &str, params: &[(String, String)]) -> Result<PostgresQuery, QueryError> {
        let (sql, values) = number(sql.trim().trim_end_matches(|c: char| c == ';' || c.is_whitespace()), params)?;
        if sql.is_empty() {
            return Err(QueryError::Nothing);
        }
        // What is prepared by itself cannot end the parenthesis that it is put in below.
        let statement =
            self.0.prepare(AssertSqlSafe(sql.clone()).into_sql_str()).await.map_err(|e| said(e, Duration::ZERO))?;
        let columns = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        Ok(PostgresQuery { sql, values, columns })
    }

    /// Runs a statement and hands its rows over one by one, until there are no more or `each` breaks.
    ///
    /// # Errors
    /// What the server says, the end of the time, or what `each` says. Rows before that were handed over.
    pub async fn run(
        &mut self,
        query: &PostgresQuery,
        timeout: Duration,
        mut each: impl FnMut(&[Value]) -> std::io::Result<ControlFlow<()>>,
    ) -> Result<(), QueryError> {
        let most_ms = timeout.as_millis().min(i32::MAX as u128).to_string();
        let begun = async {
            sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut self.0).await?;
            sqlx::query(include_str!("time_limit.sql")).bind(most_ms).execute(&mut self.0).await
        };
        begun.await.map_err(|e| failed("run the query", e))?;
        // Any type comes as JSON, its values in the order of the columns. As a subquery it can be nothing but a SELECT or VALUES.
        let sql = format!(
            "SELECT (SELECT json_agg(e.value)::text FROM json_each(row_to_json(q)) AS e) FROM (\n{}\n) AS q",
            query.sql
        );
        let mut statement = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for value in &query.values {
            statement = match (value.parse::<i64>(), value.parse::<f64>()) {
                (Ok(n), _) if n.to_string() == *value => statement.bind(n),
                (Err(_), Ok(x)) if value.contains('.') => statement.bind(x),
                _ => statement.bind(value),
            };
        }
        let mut rows = statement.fetch(&mut self.0);
        let answer = loop {
            match poll_fn(|cx| rows.as_mut().poll_next(cx)).await {
                None => break Ok(()),
                Some(Err(e)) => break Err(said(e, timeout)),
                Some(Ok(row)) => match values(&row).map(|values| each(&values)) {
                    Ok(Ok(ControlFlow::Continue(()))) => {}
                    Ok(Ok(ControlFlow::Break(()))) => break Ok(()),
                    Ok(Err(e)) => break Err(e.into()),
                    Err(e) => break Err(failed("read the rows", e).into()),
                },
            }
        };
        drop(rows);
        answer
    }

    /// Says goodbye; what is still under way is of no use to anybody.
    ///
    /// # Errors
    /// Never, by now: a connection that breaks is gone too.
    pub async fn close(self) -> Result<(), StoreError> {
        drop(self.0.close_hard().await);
        Ok(())
    }
}

fn values(row: &sqlx::postgres::PgRow) -> Result<Vec<Value>, sqlx::Error> {
    let json: Option<&str> = row.try_get(0)?;
    let raw: Vec<Box<RawValue>> =
        serde_json::from_str(json.unwrap_or("[]")).map_err(|e| sqlx::Error::Decode(e.into()))?;
    raw.iter().map(|raw| value(raw.get())).collect()
}

fn value(json: &str) -> Result<Value, sqlx::Error> {
    Ok(match json {
        "null" => Value::Null,
        "true" => Value::Integer(1),
        "false" => Value::Integer(0),
        text if text.starts_with('"') => {
            Value::Text(serde_json::from_str(text).map_err(|e| sqlx::Error::Decode(e.into()))?)
        }
        number if !number.starts_with(['{', '[']) => match (number.parse(), number.parse()) {
            (Ok(n), _) => Value::Integer(n),
            (_, Ok(x)) => Value::Real(x),
            _ => Value::Text(number.to_owned()),
        },
        nested => Value::Text(nested.to_owned()),
    })
}

fn failed(doing: &str, source: sqlx::Error) -> StoreError {
    StoreError::Database { doing: doing.to_owned(), source: source.into() }
}

/// What the server said, in our words.
fn said(error: sqlx::Error, after: Duration) -> QueryError {
    let Some(said) = error.as_database_error() else { return failed("run the query", error).into() };
    let message = said.message().to_owned();
    match said.code().as_deref() {
        Some("57014") => QueryError::TimedOut { after },
        Some("25006") => QueryError::Refused { message },
        _ => QueryError::Sql { message, hint: None },
    }
}

/// Numbers the parameters of a statement by the names that were given: `:name` becomes `$1`; `::` is a cast. Text, names and comments
/// hold none.
fn number(sql: &str, given: &[(String, String)]) -> Result<(String, Vec<String>), QueryError> {
    let (mut numbered, mut used, mut rest) = (String::new(), Vec::<usize>::new(), sql);
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(first) = rest.chars().next() {
        let until =
            |end: &str| rest[first.len_utf8()..].find(end).map_or(rest.len(), |at| first.len_utf8() + at + end.len());
        let length = match first {
            '\'' => until("'"),
            '"' => until("\""),
            '-' if rest.starts_with("--") => until("\n"),
            '/' if rest.starts_with("/*") => until("*/"),
            ':' if rest.starts_with("::") => 2,
            ':' => 1 + rest[1..].find(|c| !in_name(c)).unwrap_or(rest.len() - 1),
            _ => first.len_utf8(),
        };
        let (token, later) = rest.split_at(length);
        rest = later;
        let Some(name) = token.strip_prefix(':').filter(|name| name.starts_with(in_name)) else {
            numbered.push_str(token);
            continue;
        };
        let place = given.iter().position(|(known, _)| known.trim_start_matches(':') == name);
        let Some(place) = place else { return Err(QueryError::Unbound { name: token.to_owned() }) };
        let at = used.iter().position(|known| *known == place).unwrap_or_else(|| {
            used.push(place);
            used.len() - 1
        });
        numbered.push_str(&format!("${}", at + 1));
    }
    if let Some(unused) = (0..given.len()).find(|place| !used.contains(place)) {
        return Err(QueryError::Unused { name: given[unused].0.trim_start_matches(':').to_owned() });
    }
    Ok((numbered, used.iter().map(|place| given[*place].1.clone()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_numbered_and_a_cast_is_none() {
        let given = [("b".to_owned(), "2".to_owned()), (":a".to_owned(), "1".to_owned())];
        let (sql, values) = number("SELECT :a::text, ':x', :b, :a -- :y", &given).expect("all are given");
        assert_eq!(sql, "SELECT $1::text, ':x', $2, $1 -- :y");
        assert_eq!(values, ["1", "2"]);
        assert!(matches!(number("SELECT :c", &[]), Err(QueryError::Unbound { .. })));
        assert!(matches!(number("SELECT 1", &given), Err(QueryError::Unused { .. })));
    }
}
