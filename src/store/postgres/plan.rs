//! What a plan asks a database: what is known of an input already, what is sent first, what attempts took.

use super::claim::object;
use super::columns::Requests;
use super::*;
use crate::report::plan::Tried;
use crate::request::Request;
use crate::store::sqlite::plan::{Known, MOST};

impl PostgresStore {
    /// Those of these rows whose key is known.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn known(&self, jobs: &[NewJob]) -> Result<Vec<Known>, StoreError> {
        let keys: Vec<String> = jobs.iter().map(|job| text::kept(&job.key).into_owned()).collect();
        let Requests { methods, urls, headers, texts, bytes, .. } = Requests::of(jobs.iter().map(|job| &job.request));
        read_tx!(self, "look for the rows of the input", |tx| {
            let rows = rows!(tx, "plan/known.sql", &keys, &methods, &urls, &headers, &texts, &bytes);
            rows.iter().map(known).collect::<Inner<_>>()?
        })
    }

    /// The newest attempts, at most a thousand.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn tried(&self) -> Result<Vec<Tried>, StoreError> {
        read_tx!(self, "read the attempts", |tx| {
            rows!(tx, "plan/tried.sql", MOST).iter().map(tried).collect::<Inner<_>>()?
        })
    }

    /// The requests that a run sends first, at most so many.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn first(&self, most: usize) -> Result<Vec<Request>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        read_tx!(self, "read the first requests", |tx| {
            rows!(tx, "plan/first.sql", most).iter().map(request).collect::<Inner<_>>()?
        })
    }

    /// When the oldest permit of this limit that counts now no longer does.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn frees_at(&self, limit: &Limit, now_us: Micros) -> Result<Option<Micros>, StoreError> {
        let counts_for_us = limit.window_us.saturating_add(limit.jitter_us);
        let since_us = now_us - counts_for_us;
        let oldest: Option<Micros> =
            read_tx!(self, "read the permits", |tx| optional!(tx, "overview/spends.sql", &limit.name, since_us))?;
        Ok(oldest.map(|until_us| until_us + counts_for_us))
    }
}

fn known(row: &PgRow) -> Inner<Known> {
    let at = usize::try_from(row.try_get::<i64, _>(0)?)?;
    Ok(Known { at, other: row.try_get(1)?, sent: row.try_get(2)? })
}

fn tried(row: &PgRow) -> Inner<Tried> {
    let (fetch_us, process_us, latency_us) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    Ok(Tried { job: row.try_get(0)?, sent: row.try_get(1)?, fetch_us, process_us, latency_us })
}

fn request(row: &PgRow) -> Inner<Request> {
    let (method, url, headers) = (row.try_get(0)?, text::read(row.try_get(1)?), object(row.try_get(2)?)?);
    let body = text::joined(row.try_get(3)?, row.try_get(4)?);
    Ok(Request { method, url, headers, body, ..Request::default() })
}
