//! haul drains a table of HTTP jobs: at a rate limit, with CPU work on every response, and so that a crashed or
//! interrupted run resumes exactly where it stopped.
//!
//! Begin with [`Haul`]. The library owns no signals, no `.env`, no log subscriber and no global thread pool. Modules that are
//! not shown here are for the program `haul`, and may change.

// The domain: pure, no I/O.
pub mod attempt;
pub mod backoff;
#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod fail_point;
pub mod hope;
pub mod job;
pub mod limit;
#[doc(hidden)]
pub mod minutes;
#[doc(hidden)]
pub mod near;
pub mod reason;
pub mod request;
pub mod response;
pub mod result_line;
#[doc(hidden)]
pub mod secret;
pub mod settings;
pub mod status;

// The store: the only place that knows SQL.
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod store;

// The journey: only the pipeline knows all steps.
#[doc(hidden)]
pub mod claim;
#[doc(hidden)]
pub mod commit;
#[doc(hidden)]
pub mod fetch;
#[doc(hidden)]
pub mod import;
#[doc(hidden)]
pub mod pace;
#[doc(hidden)]
pub mod pipeline;
pub mod process;
pub mod progress;
pub mod stop;
#[doc(hidden)]
pub mod template;

mod error;
mod library;
pub use library::{Cursor, CursorError, Haul, JobResult, Page, Runner, Summary};
pub use store::StoreError;
pub use {attempt::Failure, error::Error, import::Added, import::OnConflict, job::Job, process::Processor, stop::Stop};
pub use {progress::RunEvent, response::Response, secret::SecretName, store::Counts, store::Reject, store::RunOutcome};
