//! Jobs with all that a processor sees of them, for a look at what it would make of them.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::answers::{Columns, stored};
use super::console::{Console, QueryError, Value, select_where};
use crate::attempt::ErrorType;
use crate::job::{Job, Standing, State, Wish, wished};
use crate::response::Response;

const COLUMNS: &str = "id, key, state, error_type, error_message, attempts, method, url, request_headers, request_body, row, \
                       result, status_code, response_headers, body, body_encoding";

/// A job that may be processed again.
#[derive(Debug)]
pub struct Sample {
    /// As its processor sees it.
    pub seen: Job,
    /// Where it stands.
    pub state: State,
    /// How it failed.
    pub error: Option<(ErrorType, String)>,
    /// Its result: JSON.
    pub result: Option<String>,
    /// What the server answered.
    pub response: Response,
}

impl Console {
    /// Hands over jobs for which a condition over `job_view` is true and that can be processed again, in their order, until
    /// `each` breaks. One at a time is in memory.
    ///
    /// # Errors
    /// As of [`Console::prepare`] and [`Console::run`], and what `each` says.
    pub async fn samples_where(
        &mut self,
        condition: &str,
        timeout: Duration,
        mut each: impl FnMut(Sample) -> io::Result<ControlFlow<()>>,
    ) -> Result<(), QueryError> {
        let query = self.prepare(&select_where(COLUMNS, condition)?, &[]).await?;
        let take = |row: &[Value]| match sample(row).map_err(io::Error::other)? {
            Some(sample) => each(sample),
            None => Ok(ControlFlow::Continue(())),
        };
        self.run(&query, timeout, take).await
    }
}

/// `None`: it is not to be processed again.
pub(in crate::store) fn sample(row: &[Value]) -> Result<Option<Sample>, String> {
    let mut columns = Columns(row.iter());
    let (id, key) = (columns.integer().unwrap_or_default(), columns.text().unwrap_or_default());
    let state = columns.text().as_deref().and_then(State::parse).unwrap_or_default();
    let (error_type, message) = (columns.text().map(ErrorType::stored), columns.text().unwrap_or_default());
    let attempts = columns.integer().unwrap_or_default();
    let (method, url) = (columns.text().unwrap_or_default(), columns.text().unwrap_or_default());
    let headers = object(columns.text());
    let (body, cells) = (columns.bytes().map(Bytes::from), object(columns.text()));
    let (result, status_code) = (columns.text(), columns.integer().unwrap_or_default());
    let stored = stored(&mut columns)?;
    let from = Standing { state, ..Standing::default() };
    let (Some(stored), Some(_)) = (stored, wished(Wish::Reprocess, from, error_type.as_ref(), true)) else {
        return Ok(None);
    };
    let attempt = u32::try_from(attempts).unwrap_or(u32::MAX).saturating_add(1);
    let request = crate::request::Request { method, url, headers, body, row: cells };
    let response = Response {
        status_code: u16::try_from(status_code).unwrap_or_default(),
        headers: object(Some(stored.headers)),
        body: stored.body.into(),
        fetched_at_us: 0, // no processor asks
    };
    let error = error_type.map(|error_type| (error_type, message));
    Ok(Some(Sample { seen: Job::claimed(id, attempt, key, request), state, error, result, response }))
}

fn object(json: Option<String>) -> Map<String, Json> {
    json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}
