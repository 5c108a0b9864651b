//! One job as a line of JSON: the form in which results leave. Stable: members are added, never changed.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::attempt::ErrorType;
use crate::status::StatusSet;

/// Version of this form.
pub const SCHEMA: u32 = 1;

/// Everything about a job that a program wants. Every member is always there, null where there is nothing to say; only a row
/// of an input without a job has no `id`.
#[derive(Debug, Clone, Serialize)]
pub struct ResultLine {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `jobs.id`.
    pub id: Option<i64>,
    /// Its identity.
    pub key: Option<String>,
    /// `pending`, `fetched`, `succeeded`, `failed`, `cancelled`; `rejected` of a row that made no job.
    pub state: Option<String>,
    /// HTTP method.
    pub method: Option<String>,
    /// URL, secrets by name.
    pub url: Option<String>,
    /// Claims so far.
    pub attempts: i64,
    /// Of the last answer.
    pub status_code: Option<i64>,
    /// When the last attempt was sent, ISO 8601.
    pub started_at: Option<String>,
    /// Of the last attempt.
    pub timings_ms: Timings,
    /// Whether the result came within the SLA; null without one.
    pub within_sla: Option<bool>,
    /// Of the body.
    pub bytes: Option<i64>,
    /// The last failure; null after a success.
    pub error: Option<LineError>,
    /// What the processor made, word for word.
    pub result: Option<Box<RawValue>>,
    /// The row of the input.
    pub row: Option<Box<RawValue>>,
}

/// Milliseconds by stage; null where the stage was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Timings {
    /// Waiting for the rate limit.
    pub rate_wait: Option<f64>,
    /// Sent to response headers seen.
    pub ttfb: Option<f64>,
    /// Sent to whole body read.
    pub fetch: Option<f64>,
    /// Waiting for a CPU.
    pub queue: Option<f64>,
    /// In the processor.
    pub process: Option<f64>,
    /// Sent to result ready.
    pub latency: Option<f64>,
}

/// How a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// What one groups by.
    #[serde(rename = "type")]
    pub error_type: String,
    /// What one reads.
    pub message: String,
    /// See [`is_retryable`].
    pub retryable: bool,
}

impl ResultLine {
    /// A row of an input that has no job.
    #[must_use]
    pub fn without_job(row: Option<Box<RawValue>>) -> Self {
        Self {
            schema: SCHEMA,
            id: None,
            key: None,
            state: None,
            method: None,
            url: None,
            attempts: 0,
            status_code: None,
            started_at: None,
            timings_ms: Timings::default(),
            within_sla: None,
            bytes: None,
            error: None,
            result: None,
            row,
        }
    }
}

/// Whether a failure of this type may go away when the request is sent again: it is one that runs retry by themselves. A
/// failure of processing is not, for the same answer would fail again.
#[must_use]
pub fn is_retryable(error_type: &str, retry_on: &StatusSet) -> bool {
    let known = ErrorType::stored(error_type.to_owned());
    match error_type.parse() {
        Ok(code) => retry_on.has_code(code),
        Err(_) => known == ErrorType::INTERRUPTED || retry_on.has_type(&known),
    }
}

/// Stored JSON, word for word: numbers keep their digits, members their order. Only line breaks become spaces, so that it fits
/// on a line; within strings there are none. What is no JSON becomes a string.
#[must_use]
pub fn raw(json: &str) -> Box<RawValue> {
    let text = if json.contains(['\n', '\r']) { &*json.replace(['\n', '\r'], " ") } else { json };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => raw.to_owned(),
        Err(_) => to_raw_value(json).unwrap_or_else(|_| RawValue::NULL.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen failing with the line breaks left.
    #[test]
    fn json_stays_as_it_is_but_on_one_line() {
        let word_for_word = r#"{"z":1.10,"a":123456789012345678901234567890,"z":1e400}"#;
        assert_eq!(raw(word_for_word).get(), word_for_word);
        assert_eq!(raw("\n[1,\r\n 2, \"a\\nb\"]\n").get(), "[1,   2, \"a\\nb\"]");
        assert_eq!(raw("no\nJSON").get(), "\"no\\nJSON\"");
    }

    // Seen failing with every failure retryable.
    #[test]
    fn what_runs_retry_is_retryable() {
        let rules = StatusSet::retry_on();
        let which = |error_type: &&str| is_retryable(error_type, &rules);
        assert!(["timeout", "429", "503", "connect", "interrupted"].iter().all(which));
        assert!(!["404", "process_error", "poison", "tls", "unheard_of"].iter().any(which));
    }
}
