//! haul drains a table of HTTP jobs: at a rate limit, with CPU work on every response, and so that a crashed or
//! interrupted run resumes exactly where it stopped.
//!
//! The modules stand in the order in which a job travels.

// The domain: pure, no I/O.
pub mod attempt;
pub mod backoff;
pub mod clock;
pub mod job;
pub mod limit;
pub mod minutes;
pub mod request;
pub mod response;
pub mod settings;
pub mod status;

// The store: the only place that knows SQL.
pub mod store;

// The journey: one step, one file.
pub mod import;
pub mod process;
pub mod template;
