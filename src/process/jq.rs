//! Processing by a jq filter.

use std::sync::atomic::{AtomicBool, Ordering};

use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars};
use jaq_json::Val;
use sha2::{Digest, Sha256};

use super::bounds::{self, MAX_MESSAGE};
use super::{plain, refused};
use crate::attempt::Failure;
use crate::job::Job;
use crate::response::Response;

mod error;
mod natives;
mod output;
mod value;

pub use error::JqError;
use output::Outputs;

type Data = JustLut<Val>;

/// What a condition may put out for one response: one that never ends must not hold a CPU thread for ever.
const MAX_OUTPUTS: usize = 1_000_000;

/// What a filter knows beside its input, in the order in which the values are given.
const VARIABLES: [&str; 4] = ["$key", "$row", "$status", "$headers"];

/// A compiled jq filter. Its input is the response's JSON, or its text as a string; it knows `$key`, `$row`, `$status` and
/// `$headers`. Several outputs make an array, none makes null.
///
/// A filter sees its response and its job, nothing else: no environment, no files, no other response. It has no time limit.
pub struct Jq {
    filter: jaq_core::Filter<Data>,
    version: String,
    /// Whether the text of the filter names them: converting them for every job costs.
    uses: [bool; VARIABLES.len()],
    /// It was said that it put out nothing.
    warned: AtomicBool,
}

impl Jq {
    /// Compiles a filter, once for all jobs.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile(expression: &str) -> Result<Self, JqError> {
        let expression = expression.trim();
        let arena = Arena::default();
        let modules = Loader::new(natives::definitions())
            .load(&arena, File { code: expression, path: () })
            .map_err(|errors| JqError::loading(expression, errors))?;
        load::import(&modules, |_| Err("data cannot be imported".to_owned()))
            .map_err(|errors| JqError::loading(expression, errors))?;
        let filter = Compiler::default()
            .with_funs(natives::functions())
            .with_global_vars(VARIABLES)
            .compile(modules)
            .map_err(|errors| JqError::compiling(expression, errors))?;
        let hash = format!("{:x}", Sha256::digest(expression));
        let version = format!("jq:{}", hash.get(..12).unwrap_or(&hash));
        let uses = VARIABLES.map(|name| expression.contains(name));
        Ok(Self { filter, version, uses, warned: AtomicBool::new(false) })
    }

    /// `jq:` and the beginning of the SHA-256 of the filter.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Runs the filter over one response and gives its output as JSON.
    ///
    /// # Errors
    /// An error in the filter, in its own words; output that JSON has no words for.
    pub fn run(&self, response: &Response, job: &Job) -> Result<String, Failure> {
        let mut outputs = Outputs::default();
        for output in self.outputs(response, job)? {
            match output {
                Ok(value) => outputs.push(value).map_err(refused)?,
                Err(exception) => return Err(refused(message(exception))),
            }
        }
        if outputs.are_none() && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(job = job.id, "the filter puts out nothing for a response: its result is null; told once");
        }
        outputs.finish().map_err(refused)
    }

    /// Whether one of its outputs over this response is neither `false` nor `null`. Stops at the first that is.
    ///
    /// # Errors
    /// An error in the filter before that, in its own words.
    pub fn is_true(&self, response: &Response, job: &Job) -> Result<bool, Failure> {
        for output in self.outputs(response, job)?.take(MAX_OUTPUTS) {
            let value = output.map_err(|exception| refused(message(exception)))?;
            let holds = !matches!(value, Val::Null | Val::Bool(false));
            value::dismantle(value);
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn outputs(
        &self,
        response: &Response,
        job: &Job,
    ) -> Result<impl Iterator<Item = jaq_core::ValX<'_, Val>>, Failure> {
        let context = Ctx::<Data>::new(&self.filter.lut, self.variables(response, job));
        Ok(self.filter.id.run((context, input(response)?)))
    }

    fn variables(&self, response: &Response, job: &Job) -> Vars<Val> {
        let [key, row, status, headers] = self.uses;
        Vars::new([
            if key { Val::from(job.key.clone()) } else { Val::Null },
            if row { value::object(&job.request.row) } else { Val::Null },
            if status { Val::from(usize::from(response.status_code)) } else { Val::Null },
            if headers { value::object(&response.headers) } else { Val::Null },
        ])
    }
}

impl std::fmt::Debug for Jq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Jq").field(&self.version).finish()
    }
}

/// Whether this name after an `@` is a format of jq, as in `@base64`, and not a file.
pub(super) fn is_format(name: &str) -> bool {
    let word = name.split([' ', '"', '|', ',', '\n']).next().unwrap_or(name);
    matches!(word, "json" | "text" | "html" | "htmld" | "uri" | "urid" | "sh" | "base64" | "base64d")
}

/// The response as a value. jaq's reader knows more than JSON: `NaN` inside of an object is read, but a text like `007` or
/// `NaN` alone stays the text it is.
fn input(response: &Response) -> Result<Val, Failure> {
    let as_text = || Val::utf8_str(response.body.clone()); // bytes that are no UTF-8 stay: `@base64` writes them as they came
    let Some(text) = plain::text(&response.body) else { return Ok(as_text()) };
    let structured = text.trim_start().starts_with(['{', '[']);
    match bounds::check(text) {
        Ok(()) if structured || plain::is_json(text) => {
            Ok(jaq_json::read::parse_single(text.as_bytes()).unwrap_or_else(|_| as_text()))
        }
        Err(reason) if plain::is_json(text) => Err(refused(format!("the response {reason}"))),
        _ => Ok(as_text()),
    }
}

/// What an error in a filter says; `error("text")` says its text.
fn message(exception: jaq_core::Exn<'_, Val>) -> String {
    let Ok(error) = exception.get_err() else {
        return "the filter broke off".to_owned(); // unreachable: halt is not offered, and jaq resolves breaks itself
    };
    let shown = value::first_chars(&error, MAX_MESSAGE + 1);
    // Only an error value that is a string begins with a quote; jaq's own messages begin with a word.
    if shown.starts_with('"')
        && let Val::TStr(text) = error.into_val()
    {
        return String::from_utf8_lossy(&text).into_owned();
    }
    shown
}

#[cfg(test)]
mod tests;
