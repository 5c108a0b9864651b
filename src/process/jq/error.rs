//! What is wrong with a filter, and where: the line, and a caret below it.

use std::fmt;
use std::ops::Range;

use jaq_core::compile::{self, Undefined};
use jaq_core::load::{self, lex};

use super::{VARIABLES, natives};

/// A filter that does not compile. Shows the line and points to the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JqError {
    expression: String,
    at: Range<usize>,
    what: String,
}

impl std::error::Error for JqError {}

impl JqError {
    /// The first error of reading.
    pub(super) fn loading(expression: &str, errors: load::Errors<&str, ()>) -> Self {
        let first = errors.into_iter().next().and_then(|(_, error)| match error {
            load::Error::Io(errors) => errors.into_iter().next(),
            load::Error::Lex(errors) => errors.into_iter().next().map(|(expected, rest)| lexing(&expected, rest)),
            load::Error::Parse(errors) => errors.into_iter().next().map(|(expected, found)| {
                let found_text =
                    if found.is_empty() { "the end".to_owned() } else { format!("`{}`", first_word(found)) };
                (first_word(found), format!("expected {}, found {found_text}", expected.as_str()))
            }),
        });
        Self::pointing(expression, first)
    }

    /// The first error of compiling.
    pub(super) fn compiling(expression: &str, errors: compile::Errors<&str, ()>) -> Self {
        // The last file is the filter itself; an error in jq's own definitions would be a bug, found by any test.
        let first = errors.into_iter().last().and_then(|(_, errors)| errors.into_iter().next());
        Self::pointing(expression, first.map(|(name, undefined)| (name, missing(name, &undefined))))
    }

    fn pointing(expression: &str, error: Option<(&str, String)>) -> Self {
        let (part, what) = error.unwrap_or(("", "it is no jq filter".to_owned()));
        Self { expression: expression.to_owned(), at: span(expression, part), what }
    }
}

/// What the lexer expected, and the one character where it did.
fn lexing<'a>(expected: &lex::Expect<&'a str>, rest: &'a str) -> (&'a str, String) {
    let end = rest.chars().next().map_or(0, char::len_utf8);
    let what = match expected {
        lex::Expect::Token if !rest.is_empty() => format!("`{}` has no meaning here", &rest[..end]),
        lex::Expect::Delim(open) => format!("expected {} for this `{open}`", expected.as_str()),
        _ => format!("expected {}", expected.as_str()),
    };
    let part = if let lex::Expect::Delim(open) = expected { open } else { &rest[..end] };
    (part, what)
}

fn missing(name: &str, undefined: &Undefined) -> String {
    if let Some((_, reason)) = natives::NOT_OFFERED.iter().find(|(other, _)| *other == name) {
        return format!("`{name}` is not offered: {reason}");
    }
    match undefined {
        Undefined::Filter(0) => format!("there is no filter `{name}` without arguments"),
        Undefined::Filter(1) => format!("there is no filter `{name}` with 1 argument"),
        Undefined::Filter(arguments) => format!("there is no filter `{name}` with {arguments} arguments"),
        Undefined::Var => format!("there is no variable `{name}`; there are {}", VARIABLES.join(", ")),
        other => format!("there is no {} `{name}`", other.as_str()),
    }
}

/// Where a part stands in the whole; at the end where it does not.
fn span(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= whole.len() => start..end,
        _ => whole.len()..whole.len(),
    }
}

/// A token may be a whole block: its first word is enough to find it.
fn first_word(token: &str) -> &str {
    let end = token.find(|c: char| c.is_whitespace()).unwrap_or(token.len());
    let end = token[..end].char_indices().nth(20).map_or(end, |(cut, _)| cut);
    &token[..end]
}

/// How much of a line is shown before and after the place.
const SHOWN_CHARS: usize = 60;

impl fmt::Display for JqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = &self.expression[..self.at.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.expression[line_start..].lines().next().unwrap_or_default();
        let column = self.expression[line_start..self.at.start].chars().count();
        let first = column.saturating_sub(SHOWN_CHARS);
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = line.chars().skip(first).take(2 * SHOWN_CHARS).map(printable).collect();
        let marked = self.expression[self.at.clone()].lines().next().unwrap_or_default().chars().count();
        let carets = marked.clamp(1, SHOWN_CHARS);
        writeln!(f, "the jq filter is wrong in line {}: {}", before.matches('\n').count() + 1, self.what)?;
        writeln!(f, "    {shown}")?;
        write!(f, "    {:>indent$}", "^".repeat(carets), indent = column - first + carets)
    }
}
