//! The store in one SQLite file.

pub mod console;
mod overview;
mod params;
mod probe;
mod sandbox;

pub use overview::overview;
pub use probe::{APPLICATION_ID, SCHEMA_VERSION, open_read_only};

use crate::store::StoreError;

/// What SQLite said, under the name of what was being done.
fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Database { doing, source: Box::new(source) }
}
