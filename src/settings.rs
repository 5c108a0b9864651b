//! What a run is told to do, and what the next one takes over. Never holds a secret.

pub mod guard;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::limit::Limit;
use crate::status::StatusSet;
use guard::Guard;

/// The settings of a run, kept in `runs.settings` and taken over by the next one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How rows become requests.
    pub template: RequestTemplate,
    /// Rate limits; all hold at once. Empty = as fast as the server answers.
    pub limits: Vec<Limit>,
    /// Jobs between claim and commit, at most: what a crash may cost.
    pub concurrency: usize,
    /// CPU threads; 0 = one a core.
    pub threads: usize,
    /// What is run on each response: `jq:EXPR`, `cmd:PROG ARGS`; `None` keeps the response's JSON, or its text.
    pub process: Option<String>,
    /// Name and version of what was run, as in `results.processor`: a change of it is told.
    pub processor: Option<String>,
    /// Names of variables of the environment that a program is given.
    pub pass_env: Vec<String>,
    /// Deadline from send to result.
    pub sla: Option<Duration>,
    /// From send to the last byte of the body.
    pub timeout: Duration,
    /// To an open connection.
    pub connect_timeout: Duration,
    /// How long a stop waits for what flies; `None` = timeout + process timeout + 1 s.
    pub grace: Option<Duration>,
    /// For one processing.
    pub process_timeout: Duration,
    /// Bytes of a body after decompression, at most.
    pub max_body: u64,
    /// Status codes that count as success.
    pub success: StatusSet,
    /// What is tried again: status codes and error types.
    pub retry_on: StatusSet,
    /// Failures after which a job is given up.
    pub max_attempts: u32,
    /// The wait between tries.
    pub backoff: Backoff,
    /// What becomes of a POST or PATCH whose answer was lost.
    pub on_uncertain: OnUncertain,
    /// The header that carries the idempotency key of POST and PATCH; `None` = none is sent.
    pub idempotency_header: Option<String>,
    /// Redirects followed for one request, at most; each takes a permit.
    pub max_redirects: u32,
    /// The proxy of all requests; without credentials. `None` = none, whatever the environment says.
    pub proxy: Option<String>,
    /// A file of certificates (PEM) that are trusted beside the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Certificates of servers are not checked.
    pub insecure: bool,
    /// Which servers may be sent to.
    pub guard: Guard,
    /// A jq expression over the body of a success; where it is true the job fails for good: `jq:EXPR`.
    pub fail_if: Option<String>,
    /// What a commit survives.
    pub durability: Durability,
    /// Of which finished jobs the response stays stored.
    pub keep_responses: KeepResponses,
    /// Stored bodies are packed where that makes them smaller.
    pub compress: bool,
}

/// Of which finished jobs the response stays stored. Until a job is finished its response is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepResponses {
    /// Of all of them.
    #[default]
    All,
    /// Of those that failed.
    Failed,
    /// Of none.
    None,
}

/// What becomes of a request that may or may not have been carried out: its answer was lost to a timeout, a broken
/// connection or a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUncertain {
    /// It is sent again, with the same idempotency key.
    #[default]
    Retry,
    /// Its job fails.
    Fail,
}

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// A power cut (SQLite `synchronous=FULL`).
    #[default]
    PowerLoss,
    /// A crash of the process; a power cut may undo the last commits, whose jobs then run again (`synchronous=NORMAL`).
    Crash,
}

/// How a row becomes a request: MiniJinja templates over its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestTemplate {
    /// `None`: the row's own `url`.
    pub url: Option<String>,
    /// `None`: the row's own `method`, else GET, or POST where there is a body.
    pub method: Option<String>,
    /// `Name: value` each.
    pub headers: Vec<String>,
    /// A text body.
    pub body: Option<String>,
    /// A JSON body.
    pub json_body: Option<String>,
    /// The job's identity.
    pub key: Option<String>,
    /// What relative URLs are joined to.
    pub base_url: Option<String>,
}

impl RequestTemplate {
    /// As it is remembered.
    #[must_use]
    pub fn to_json(&self) -> String {
        // cannot fail: it is texts, and a String takes all that is written to it
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            template: RequestTemplate::default(),
            limits: Vec::new(),
            concurrency: 64,
            threads: 0,
            process: None,
            processor: None,
            pass_env: Vec::new(),
            sla: None,
            timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            grace: None,
            process_timeout: Duration::from_secs(30),
            max_body: 10 << 20,
            success: StatusSet::success(),
            retry_on: StatusSet::retry_on(),
            max_attempts: 5,
            backoff: Backoff::default(),
            on_uncertain: OnUncertain::default(),
            idempotency_header: Some("Idempotency-Key".to_owned()),
            max_redirects: 0,
            proxy: None,
            ca_file: None,
            insecure: false,
            guard: Guard::default(),
            fail_if: None,
            durability: Durability::default(),
            keep_responses: KeepResponses::default(),
            compress: false,
        }
    }
}

impl Settings {
    /// Notes what is run on each response from now on; what was run before, where it is something else.
    pub fn processed_by(&mut self, version: &str) -> Option<String> {
        self.processor.replace(version.to_owned()).filter(|before| before != version)
    }

    /// How long a stop waits for what flies.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace.unwrap_or(self.timeout + self.process_timeout + Duration::from_secs(1))
    }
}
