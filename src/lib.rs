//! haul drains a table of HTTP jobs: at a rate limit, with CPU work on every response, and so that a crashed or
//! interrupted run resumes exactly where it stopped.
//!
//! The modules stand in the order in which a job travels.

// The domain: pure, no I/O.
pub mod attempt;
pub mod backoff;
pub mod clock;
pub mod hope;
pub mod job;
pub mod limit;
pub mod minutes;
pub mod near;
pub mod reason;
pub mod request;
pub mod response;
pub mod secret;
pub mod settings;
pub mod status;

// The store: the only place that knows SQL.
pub mod lock;
pub mod report;
pub mod store;

// The journey: one step, one file; only the pipeline knows them all.
pub mod claim;
pub mod commit;
pub mod fetch;
pub mod import;
pub mod pace;
pub mod pipeline;
pub mod process;
pub mod progress;
pub mod stop;
pub mod template;
