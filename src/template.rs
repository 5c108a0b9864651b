//! How a row becomes a request: MiniJinja templates, compiled once, and the secrets in them, which are stored by name.
//!
//! A secret stands in a stored text as `U+FDD0 {{ env(NAME) | tojson }} U+FDD1`, without the spaces beside the marks. The
//! marks are noncharacters, which Unicode keeps for a program's own use: a row that would put one into a request is
//! refused, so no cell can ever name a secret, and no ordinary text needs escaping. A name may not hold a character
//! that JSON or HTML escape, so a filter cannot change it unseen.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderName, HeaderValue, Method};
use minijinja::{Error, ErrorKind};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::import::address;
use crate::import::expression::{self, Expression, Place, RowView};
use crate::request::Request;
use crate::settings::RequestTemplate;

const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';
/// [`OPEN`], as the `urlencode` of a template would write it.
const OPEN_ENCODED: &str = "%EF%B7%90";
/// Columns named in a reason, at most.
const COLUMNS_NAMED: usize = 20;

/// The flags of a request are wrong. The command ends with exit code 2 before a row is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{flag} {text:?} cannot be used: {why}")]
pub struct TemplateError {
    /// The flag.
    pub flag: &'static str,
    /// What it was given.
    pub text: String,
    /// What is wrong with it, and what would be right.
    pub why: String,
}

/// Why a row makes no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A name that is no column.
    #[error(
        "{place} names the column {column:?}, which is none{}; the columns are: {columns}",
        near.as_ref().map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default()
    )]
    UnknownColumn {
        /// Which part of the request.
        place: &'static str,
        /// The name.
        column: String,
        /// The column that is most like it.
        near: Option<String>,
        /// What columns there are.
        columns: String,
    },
    /// Nothing where the path needs something.
    #[error("the path of --url needs a value and {columns} is empty; `| default(..)` gives it one")]
    EmptyInPath {
        /// The columns that are empty.
        columns: String,
    },
    /// A URL that cannot be sent.
    #[error("the URL {url:?} {why}")]
    Url {
        /// The URL, cut short.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The body is no JSON.
    #[error("--json-body made no JSON: {why}; each {{{{ value }}}} is written as JSON, with its own quotes")]
    NotJson {
        /// What the parser said, and where.
        why: String,
    },
    /// A header that cannot be sent.
    #[error("the header {name} {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with its value.
        why: String,
    },
    /// A key of no characters.
    #[error("--key made an empty key; a key tells jobs apart")]
    EmptyKey,
    /// Characters that stand for secrets.
    #[error("{place} holds a character between U+FDD0 and U+FDD2, which haul keeps for itself")]
    Reserved {
        /// Which part of the request, or the row.
        place: &'static str,
    },
    /// A filter that needs to see a secret.
    #[error("{place} changes a secret with a filter; only `| safe`, `| urlencode` and `| tojson` can be used on one")]
    Mangled {
        /// Which part of the request.
        place: &'static str,
    },
    /// The template could not be rendered for this row.
    #[error("{place} could not be rendered: {why}")]
    Render {
        /// Which part of the request.
        place: &'static str,
        /// What the template engine said.
        why: String,
    },
}

/// The compiled flags of a request.
#[derive(Debug)]
pub struct Template {
    url: Option<Part>,
    method: String,
    headers: Vec<(String, Part)>,
    body: Option<Part>,
    json: bool,
    key: Option<Part>,
    secrets: Vec<SecretName>,
}

/// One text of a request, and the flag that gave it.
#[derive(Debug)]
struct Part {
    flag: &'static str,
    expression: Expression,
}

impl Template {
    /// Compiles the flags of a request.
    ///
    /// # Errors
    /// The flag that is wrong, and where.
    pub fn compile(given: &RequestTemplate) -> Result<Self, TemplateError> {
        let mut secrets = Vec::new();
        let url = given.url.as_deref().map(|text| Part::compile("--url", text, Place::Url, &mut secrets)).transpose()?;
        let mut headers = Vec::new();
        for line in &given.headers {
            headers.push(header(line, &mut secrets)?);
        }
        let json = given.json_body.is_some();
        let body = match (&given.body, &given.json_body) {
            (Some(text), Some(_)) => return Err(wrong("-d", text, "--json-body is given too; a request has one body")),
            (Some(text), None) => Some(Part::compile("-d", text, Place::Text, &mut secrets)?),
            (None, Some(text)) => Some(Part::compile("--json-body", text, Place::Json, &mut secrets)?),
            (None, None) => None,
        };
        if json && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            let value = Expression::Constant("application/json".to_owned());
            headers.push(("Content-Type".to_owned(), Part { flag: "-H", expression: value }));
        }
        let mut in_key = Vec::new();
        let key = given.key.as_deref().map(|text| Part::compile("--key", text, Place::Text, &mut in_key)).transpose()?;
        if let (Some(text), false) = (&given.key, in_key.is_empty()) {
            return Err(wrong("--key", text, "a key is stored, and a secret never is"));
        }
        let method = method(given.method.as_deref(), body.is_some())?;
        let template = Self { url, method, headers, body, json, key, secrets };
        template.check_constants(given)?;
        Ok(template)
    }

    /// The secrets that its requests name, each once.
    #[must_use]
    pub fn secrets(&self) -> &[SecretName] {
        &self.secrets
    }

    /// Whether the key of a job is the hash of its request, so that equal requests are one job.
    #[must_use]
    pub fn key_is_hash(&self) -> bool {
        self.key.is_none()
    }

    /// Makes the key and the request of a row.
    ///
    /// # Errors
    /// Why the row makes none.
    pub fn render(&self, row: Map<String, Value>) -> Result<(String, Request), Refusal> {
        // Otherwise a cell beside a real secret could pass for one.
        if !self.secrets.is_empty() && row.iter().any(|(name, value)| has_marker(name) || value_has_marker(value)) {
            return Err(Refusal::Reserved { place: "the row" });
        }
        let row = Arc::new(RowView { row, asked: None });
        let url = self.render_url(&row)?;
        let mut headers = Map::new();
        for (name, part) in &self.headers {
            let value = part.render(&row)?;
            check_header_value(&value).map_err(|why| Refusal::Header { name: name.clone(), why })?;
            add_header(&mut headers, name, value);
        }
        let body = self.body.as_ref().map(|part| part.render(&row)).transpose()?;
        if let (true, Some(text)) = (self.json, &body) {
            check_json(text).map_err(|why| Refusal::NotJson { why })?;
        }
        let key = self.key.as_ref().map(|part| part.render(&row)).transpose()?;
        if key.as_deref() == Some("") {
            return Err(Refusal::EmptyKey);
        }
        // No template keeps a row beyond its rendering; should one ever, a copy serves as well.
        let row = Arc::try_unwrap(row).map_or_else(|row| row.row.clone(), |row| row.row);
        let request = Request { method: self.method.clone(), url, headers, body: body.map(Into::into), row };
        Ok((key.unwrap_or_else(|| hash(&request)), request))
    }

    fn render_url(&self, row: &Arc<RowView>) -> Result<String, Refusal> {
        let text = match &self.url {
            Some(part) => {
                let text = part.render_raw(row)?;
                let text = fill_empty(text).map_err(|()| Refusal::EmptyInPath { columns: part.empty_columns(row) })?;
                part.check_secrets(&text)?;
                text
            }
            None => match row.row.get("url") {
                Some(Value::String(url)) if has_marker(url) => return Err(Refusal::Reserved { place: "the URL" }),
                Some(Value::String(url)) => url.clone(),
                _ => return Err(unknown_column("without --url, a row", "url".to_owned(), &row.row)),
            },
        };
        address::check(&text).map_err(|why| Refusal::Url { url: shown(cut(&text, 200)).into_owned(), why })
    }

    /// What is the same for every row is wrong in every row.
    fn check_constants(&self, given: &RequestTemplate) -> Result<(), TemplateError> {
        if let (Some(Part { expression: Expression::Constant(url), .. }), Some(text)) = (&self.url, &given.url) {
            address::check(url).map_err(|why| wrong("--url", text, &format!("it {why}")))?;
        }
        if let (true, Some(Part { expression: Expression::Constant(body), .. })) = (self.json, &self.body) {
            check_json(body).map_err(|why| wrong("--json-body", body, &format!("it is no JSON: {why}")))?;
        }
        Ok(())
    }
}

impl Part {
    fn compile(
        flag: &'static str,
        text: &str,
        place: Place,
        secrets: &mut Vec<SecretName>,
    ) -> Result<Self, TemplateError> {
        if has_marker(text) {
            return Err(wrong(flag, text, "it holds a character between U+FDD0 and U+FDD2, which haul keeps for itself"));
        }
        let names = names_in_flag(text);
        if let Some(bad) = names.iter().find(|secret| !secret.is_plain()) {
            let why = format!("{bad}: the name of a secret holds no quotes, backslashes, brackets or control characters");
            return Err(wrong(flag, text, &why));
        }
        let expression = Expression::compile(text, place, &names).map_err(|error| wrong(flag, text, &said(&error)))?;
        secrets.extend(names.into_iter().filter(|name| !secrets.contains(name)).collect::<Vec<_>>());
        Ok(Self { flag, expression })
    }

    fn render(&self, row: &Arc<RowView>) -> Result<String, Refusal> {
        let text = self.render_raw(row)?;
        self.check_secrets(&text)?;
        Ok(text)
    }

    fn render_raw(&self, row: &Arc<RowView>) -> Result<String, Refusal> {
        self.expression.render(row).map_err(|error| match self.unknown_column(&error, row) {
            Some(column) => unknown_column(self.flag, column, &row.row),
            None => Refusal::Render { place: self.flag, why: said(&error) },
        })
    }

    fn check_secrets(&self, text: &str) -> Result<(), Refusal> {
        if text.is_ascii() && !text.contains(OPEN_ENCODED) {
            return Ok(());
        }
        let broken = pieces(text).any(|piece| matches!(piece, Piece::Text(text) if has_marker(text)));
        // A cell has no mark where there are secrets, and where there are none nothing was mangled.
        let place = self.flag;
        match (broken, text.contains(OPEN_ENCODED)) {
            (true, _) => Err(Refusal::Mangled { place }),
            (false, true) => Err(Refusal::Reserved { place }),
            (false, false) => Ok(()),
        }
    }

    /// The column whose lack made the rendering fail: the last that was asked for in vain.
    fn unknown_column(&self, error: &Error, row: &RowView) -> Option<String> {
        if error.kind() != ErrorKind::UndefinedError {
            return None;
        }
        let globals = self.expression.globals();
        self.asked(row).into_iter().rfind(|name| !row.row.contains_key(name) && !globals.contains(name))
    }

    fn empty_columns(&self, row: &RowView) -> String {
        let is_empty = |name: &String| row.row.get(name).is_some_and(|value| value == "" || value.is_null());
        let mut names: Vec<String> = self.asked(row).into_iter().filter(is_empty).map(|n| format!("{n:?}")).collect();
        names.dedup();
        if names.is_empty() { "what it is given".to_owned() } else { names.join(", ") }
    }

    /// Renders once more, and listens to what is asked for.
    fn asked(&self, row: &RowView) -> Vec<String> {
        let view = Arc::new(RowView { row: row.row.clone(), asked: Some(Mutex::default()) });
        // It fails as it did before; what was asked for until then is the answer.
        let _ = self.expression.render(&view);
        let asked = view.asked.as_ref().map(|asked| asked.lock().unwrap_or_else(PoisonError::into_inner).clone());
        asked.unwrap_or_default()
    }
}
