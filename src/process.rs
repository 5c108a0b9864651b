//! The processing stage: what turns a response into a result.

use serde::Serialize;

use crate::attempt::Failure;
use crate::request::Request;
use crate::response::Response;

/// What a processor sees of its job beside the response.
#[derive(Debug, Clone, Copy)]
pub struct JobRef<'a> {
    /// `jobs.id`.
    pub id: i64,
    /// Its key.
    pub key: &'a str,
    /// The number of this claim.
    pub attempt: u32,
    /// What it said.
    pub request: &'a Request,
}

/// Turns a response into a result. Synchronous: it runs on a CPU thread, and may take as long as it needs.
///
/// The response is durable, or about to be, before this is called; a failure here never costs a second request.
/// A panic is caught and fails its job as `process_panic`.
pub trait Processor: Send + Sync + 'static {
    /// The result, stored as JSON.
    type Output: Serialize;

    /// Makes the result.
    ///
    /// # Errors
    /// A failure of the job, permanent unless its verdict says otherwise.
    fn process(&self, response: &Response, job: JobRef<'_>) -> Result<Self::Output, Failure>;

    /// Name and version, kept in `results.processor`.
    fn version(&self) -> String {
        "custom".to_owned()
    }
}
