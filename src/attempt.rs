//! One attempt at one job: what it measured, and how it failed if it did.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Micros;

/// The kind of a failure: a short word out of a small set, or a status code. What one groups by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorType(Cow<'static, str>);

impl ErrorType {
    /// No complete answer within the time allowed.
    pub const TIMEOUT: Self = Self(Cow::Borrowed("timeout"));
    /// No connection, or it broke before the answer was whole.
    pub const CONNECT: Self = Self(Cow::Borrowed("connect"));
    /// The host name has no address.
    pub const DNS: Self = Self(Cow::Borrowed("dns"));
    /// No trusted, valid TLS connection.
    pub const TLS: Self = Self(Cow::Borrowed("tls"));
    /// The body is larger than allowed.
    pub const BODY_TOO_LARGE: Self = Self(Cow::Borrowed("body_too_large"));
    /// The body ended before its announced end.
    pub const BODY_TRUNCATED: Self = Self(Cow::Borrowed("body_truncated"));
    /// The answer is not HTTP, or its content encoding is broken.
    pub const DECODE: Self = Self(Cow::Borrowed("decode"));
    /// Redirects that lead nowhere, or where a request must not go.
    pub const REDIRECT: Self = Self(Cow::Borrowed("redirect"));
    /// The settings do not allow to send there. Nothing was sent.
    pub const BLOCKED: Self = Self(Cow::Borrowed("blocked"));
    /// The stored request cannot be sent.
    pub const REQUEST: Self = Self(Cow::Borrowed("request"));
    /// The processor refused the response.
    pub const PROCESS_ERROR: Self = Self(Cow::Borrowed("process_error"));
    /// The processor panicked.
    pub const PROCESS_PANIC: Self = Self(Cow::Borrowed("process_panic"));
    /// The processor took longer than it may.
    pub const PROCESS_TIMEOUT: Self = Self(Cow::Borrowed("process_timeout"));
    /// The body of a success met the rule that makes it a failure.
    pub const FAIL_IF: Self = Self(Cow::Borrowed("fail_if"));
    /// The process died three times while it worked on this job alone.
    pub const POISON: Self = Self(Cow::Borrowed("poison"));
    /// The job was leased when its run died: its request may or may not have reached the server.
    pub const INTERRUPTED: Self = Self(Cow::Borrowed("interrupted"));

    /// The type named after a status code: `429`, `503`.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self(Cow::Owned(code.to_string()))
    }

    /// The type as it stands in a table.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(Cow::Owned(text))
    }

    /// The word itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a failure means for its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// May go away by itself: the job is tried again, as often as `--max-attempts` allows.
    Transient,
    /// Will not: the job fails for good.
    Permanent,
    /// May go away by itself if the server is asked again. Of a request, the same as `Transient`; of a processor, that the
    /// stored response is of no use.
    Refetch,
    /// The server asked us to wait. Costs the job nothing.
    Throttled,
}

/// Why a stage did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What one groups by.
    pub error_type: ErrorType,
    /// What one reads; without URL and secrets.
    pub message: String,
    /// What it means for the job.
    pub verdict: Verdict,
    /// The job is not tried before this time, where the server named one.
    pub not_before_us: Option<Micros>,
    /// The server answered completely: the next request is a new one, with a new Idempotency-Key.
    pub answered: bool,
}

impl Failure {
    /// A failure of this type and verdict, without an answer of the server.
    #[must_use]
    pub fn new(error_type: ErrorType, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { error_type, message: message.into(), verdict, not_before_us: None, answered: false }
    }
}

impl Failure {
    /// The server refused the request as one too many (429).
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.verdict == Verdict::Throttled && self.error_type.as_str() == "429"
    }
}

/// What one attempt measured: a row of `attempts`. `None` where the stage was not reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// When the request was sent, or processing began.
    pub started_at_us: Option<Micros>,
    /// From claim to send.
    pub rate_wait_us: Option<Micros>,
    /// Sent to response headers seen.
    pub ttfb_us: Option<Micros>,
    /// Sent to whole body read.
    pub fetch_us: Option<Micros>,
    /// Body read to processing begun.
    pub queue_us: Option<Micros>,
    /// In the processor.
    pub process_us: Option<Micros>,
    /// Sent to result ready.
    pub latency_us: Option<Micros>,
    /// Whether `latency_us` is within the SLA, where there is one.
    pub within_sla: Option<bool>,
    /// HTTP status code.
    pub status_code: Option<u16>,
    /// Bytes of the body, after decompression.
    pub bytes: Option<u64>,
}
