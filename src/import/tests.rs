//! What an input may hold, and what becomes of it.

mod base;
mod duplicates;
mod encodings;
mod fuzz;
mod inputs;
mod json;
mod packed;
mod requests;
mod secrets;
mod store;
mod tools;

use serde_json::{Map, Value};

use crate::settings::RequestTemplate;
use crate::template::Template;

/// A row of text columns.
fn row(cells: &[(&str, &str)]) -> Map<String, Value> {
    cells.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
}

fn with_url(url: &str) -> RequestTemplate {
    RequestTemplate { url: Some(url.to_owned()), ..RequestTemplate::default() }
}

fn compile(given: &RequestTemplate) -> Template {
    Template::compile(given).unwrap()
}
