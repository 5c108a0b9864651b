//! What filters may call: all of jq's language but what reaches outside of the job.

use jaq_core::load::parse::Def;
use jaq_core::native::{self, Fun};
use jaq_core::{Error, Exn, ValX};
use jaq_json::Val;

use super::Data;
use crate::process::bounds;

/// Filters that are not offered, each with the reason a user of it is told.
pub(super) const NOT_OFFERED: [(&str, &str); 9] = [
    ("env", "a filter sees its response and its job, not the environment"),
    ("$ENV", "a filter sees its response and its job, not the environment"),
    ("halt", "a filter cannot end the run; `error(..)` fails its job"),
    ("halt_error", "a filter cannot end the run; `error(..)` fails its job"),
    ("input", "a filter sees one response at a time"),
    ("inputs", "a filter sees one response at a time"),
    ("input_line_number", "a filter sees one response at a time"),
    ("input_filename", "a filter sees one response at a time"),
    ("$__prog_args", "a filter sees its response and its job; its variables are $key, $row, $status and $headers"),
];

fn offered(name: &str) -> bool {
    NOT_OFFERED.iter().all(|(other, _)| *other != name)
}

/// The filters written in jq.
pub(super) fn definitions() -> impl Iterator<Item = Def> {
    jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).filter(|def| offered(def.name))
}

/// The filters written in Rust.
pub(super) fn functions() -> impl Iterator<Item = Fun<Data>> {
    jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs().filter(|(name, ..)| *name != "fromjson"))
        .filter(|(name, ..)| offered(name))
        .chain([native::run(("fromjson", native::v(0), |cv| Box::new(from_json(cv.1).into_iter())))])
}

/// `fromjson`, but not of text that would exhaust the stack: a server may send JSON inside of JSON.
fn from_json(input: Val) -> Vec<ValX<'static, Val>> {
    let fail = |why: String| Exn::from(Error::str(format_args!("cannot parse as JSON: {why}")));
    let text = match input {
        Val::TStr(text) => text,
        other => return vec![Err(Exn::from(Error::typ(other, "string")))],
    };
    let checked = std::str::from_utf8(&text).map_err(|error| error.to_string());
    match checked.and_then(|text| bounds::check(text).map_err(|reason| format!("the text {reason}"))) {
        Ok(()) => jaq_json::read::parse_many(&text)
            .map(|value| value.map_err(|error| fail(error.to_string())))
            // jaq's reader goes on after an error, for ever where it cannot move.
            .scan(false, |failed, value| (!std::mem::replace(failed, value.is_err())).then_some(value))
            .collect(),
        Err(reason) => vec![Err(fail(reason))],
    }
}
