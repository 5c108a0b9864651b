//! How a row becomes a request: MiniJinja templates, compiled once, and the secrets in them, which are stored by name.

pub(crate) mod address;
mod base;
mod expression;
mod header;
mod key;
mod own;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::{Error, ErrorKind};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use self::base::Base;
use self::expression::{BadPath, Expression, Place, RowView, check_path};
pub(crate) use self::header::check_value as check_header_value;
pub(crate) use self::key::hash;
use self::own::Own;
pub(crate) use self::own::Raw;
use crate::request::{Request, add_header};
pub use crate::secret::{Escape, SecretName, literal_credential, resolve, secrets_in, shown};
pub(crate) use crate::secret::{OPEN_ENCODED, Piece, escape_secrets, has_marker, names_in_flag, pieces};
use crate::settings::RequestTemplate;

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
    /// A value that leads out of its place in the path.
    #[error("a value in the path of --url is `.` or `..`, which leads to another path; `| safe` lets it")]
    DotsInPath,
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
    /// A member of a line of JSON that is no part of a request.
    #[error("the member {name:?} {why}")]
    Member {
        /// Its name.
        name: &'static str,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// A member that can only be sent as it is, where it would have to be read.
    #[error("{why}")]
    Unread {
        /// Which, and why.
        why: String,
    },
    /// More bodies than one.
    #[error("the line has {}; a request has one body", names.join(" and "))]
    Bodies {
        /// The members that are bodies.
        names: Vec<&'static str>,
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
    given: RequestTemplate,
    url: Option<Part>,
    base: Option<Base>,
    method: Option<String>,
    headers: Vec<(String, Part)>,
    body: Option<Part>,
    json: bool,
    key: Option<Part>,
    secrets: Vec<SecretName>,
}

/// A request, and what tells its job from others.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) key: String,
    /// The key is the hash of the request.
    pub(crate) hashed: bool,
    pub(crate) request: Request,
}

/// One text of a request, and the flag that gave it.
#[derive(Debug)]
struct Part {
    flag: &'static str,
    expression: Expression,
    /// The secrets that it names.
    secrets: Vec<SecretName>,
}

impl Template {
    /// Compiles the flags of a request.
    ///
    /// # Errors
    /// The flag that is wrong, and where.
    pub fn compile(given: &RequestTemplate) -> Result<Self, TemplateError> {
        let mut secrets = Vec::new();
        let url =
            given.url.as_deref().map(|text| Part::compile("--url", text, Place::Url, &mut secrets)).transpose()?;
        let mut headers = Vec::new();
        for line in &given.headers {
            headers.push(header::compile(line, &mut secrets)?);
        }
        let json = given.json_body.is_some();
        let body = match (&given.body, &given.json_body) {
            (Some(text), Some(_)) => return Err(wrong("-d", text, "--json-body is given too; a request has one body")),
            (Some(text), None) => Some(Part::compile("-d", text, Place::Text, &mut secrets)?),
            (None, Some(text)) => Some(Part::compile("--json-body", text, Place::Json, &mut secrets)?),
            (None, None) => None,
        };
        let mut in_key = Vec::new();
        let key =
            given.key.as_deref().map(|text| Part::compile("--key", text, Place::Text, &mut in_key)).transpose()?;
        if let (Some(text), false) = (&given.key, in_key.is_empty()) {
            return Err(wrong("--key", text, "a key is stored, and a secret never is"));
        }
        let method = given
            .method
            .as_deref()
            .map(|text| header::method(text).map_err(|why| wrong("-X", text, &format!("it {why}"))));
        let method = method.transpose()?;
        let base = given.base_url.as_deref().map(Base::parse).transpose()?;
        let template = Self { given: given.clone(), url, base, method, headers, body, json, key, secrets };
        template.check_constants(given)?;
        Ok(template)
    }

    /// The flags themselves.
    #[must_use]
    pub fn given(&self) -> &RequestTemplate {
        &self.given
    }

    /// The secrets that its requests name, each once.
    #[must_use]
    pub fn secrets(&self) -> &[SecretName] {
        &self.secrets
    }

    /// Makes the key and the request of a row.
    ///
    /// # Errors
    /// Why the row makes none.
    pub fn render(&self, row: Map<String, Value>) -> Result<(String, Request), Refusal> {
        self.make(row, None).map(|made| (made.key, made.request))
    }

    /// Makes the key and the request of a row, which may say parts of it itself where it was a line of JSON.
    pub(crate) fn make(&self, row: Map<String, Value>, raw: Option<&Raw>) -> Result<Made, Refusal> {
        // Otherwise a cell beside a real secret could pass for one.
        if !self.secrets.is_empty() && row.iter().any(|(name, value)| has_marker(name) || holds_marker(value)) {
            return Err(Refusal::Reserved { place: "the row" });
        }
        let own = match raw {
            Some(raw) => Own::of(&row, raw, self.url.is_some())?,
            None => Own::default(),
        };
        let row = Arc::new(RowView { row, asked: None });
        let url = self.render_url(&row)?;
        let body = self.body.as_ref().map(|part| part.render(&row)).transpose()?;
        if let (true, Some(text)) = (self.json, &body) {
            check_json(text).map_err(|why| Refusal::NotJson { why })?;
        }
        let key = match &self.key {
            Some(part) => Some(part.render(&row)?),
            None => raw.and_then(|_| own::key(&row.row)).transpose()?,
        };
        if key.as_deref() == Some("") {
            return Err(Refusal::EmptyKey);
        }
        // The database would end the text there, and take another key for the same.
        if key.as_deref().is_some_and(|key| key.contains('\0')) {
            return Err(Refusal::Render { place: "--key", why: "a key holds no NUL".to_owned() });
        }
        if key.as_deref().is_some_and(has_marker) {
            return Err(Refusal::Reserved { place: "the key" });
        }
        let json = if body.is_some() { self.json } else { own.json };
        let headers = self.render_headers(&row, own.headers, json)?;
        let body = body.map(Into::into).or(own.body);
        let default = if body.is_some() { "POST" } else { "GET" };
        let method = self.method.clone().or(own.method).unwrap_or_else(|| default.to_owned());
        // No template keeps a row beyond its rendering; should one ever, a copy serves as well.
        let mut row = Arc::try_unwrap(row).map_or_else(|row| row.row.clone(), |row| row.row);
        if own.is_request {
            row.retain(|name, _| !own::is_part(name));
        }
        let request = Request { method, url, headers, body, row };
        Ok(Made { hashed: key.is_none(), key: key.unwrap_or_else(|| hash(&request)), request })
    }

    /// Those of the flags, then those of the row that no flag gave.
    fn render_headers(
        &self,
        row: &Arc<RowView>,
        own: Map<String, Value>,
        json: bool,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut headers = Map::new();
        for (name, part) in &self.headers {
            let value = part.render(row)?;
            header::check_value(&value).map_err(|why| Refusal::Header { name: name.clone(), why })?;
            add_header(&mut headers, name, value);
        }
        for (name, value) in own {
            if !header::has(&headers, &name) {
                headers.insert(name, value);
            }
        }
        if json && !header::has(&headers, "content-type") {
            headers.insert("Content-Type".to_owned(), Value::from("application/json"));
        }
        Ok(headers)
    }

    fn render_url(&self, row: &Arc<RowView>) -> Result<String, Refusal> {
        let text = match &self.url {
            Some(part) => {
                let text = part.render_raw(row)?;
                let text = check_path(text).map_err(|bad| match bad {
                    BadPath::Empty => Refusal::EmptyInPath { columns: part.empty_columns(row) },
                    BadPath::Dots => Refusal::DotsInPath,
                })?;
                part.check_secrets(&text)?;
                text
            }
            None => match row.row.get("url") {
                Some(Value::String(url)) if has_marker(url) => return Err(Refusal::Reserved { place: "the URL" }),
                Some(Value::String(url)) => url.clone(),
                _ => return Err(unknown_column("without --url, a row", "url".to_owned(), &row.row)),
            },
        };
        let text = self.base.as_ref().map_or(Cow::Borrowed(text.as_str()), |base| base.join(&text));
        address::check(&text)
            .map_err(address::or_with_a_base)
            .map_err(|why| Refusal::Url { url: address::masked(cut(&shown(&text), 200)), why })
    }

    /// What is the same for every row is wrong in every row.
    fn check_constants(&self, given: &RequestTemplate) -> Result<(), TemplateError> {
        if let (Some(Part { expression: Expression::Constant(url), .. }), Some(text)) = (&self.url, &given.url) {
            let url = self.base.as_ref().map_or(Cow::Borrowed(url.as_str()), |base| base.join(url));
            address::check(&url)
                .map_err(address::or_with_a_base)
                .map_err(|why| wrong("--url", &address::masked(text), &format!("it {why}")))?;
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
            return Err(wrong(
                flag,
                text,
                "it holds a character between U+FDD0 and U+FDD2, which haul keeps for itself",
            ));
        }
        let names = names_in_flag(text);
        if let Some(bad) = names.iter().find(|secret| !secret.is_plain()) {
            let why =
                format!("{bad}: the name of a secret holds no quotes, backslashes, brackets or control characters");
            return Err(wrong(flag, text, &why));
        }
        let expression = Expression::compile(text, place, &names).map_err(|error| wrong(flag, text, &said(&error)))?;
        for name in &names {
            if !secrets.contains(name) {
                secrets.push(name.clone());
            }
        }
        Ok(Self { flag, expression, secrets: names })
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

    /// A secret is there as it was named, or the row is refused.
    fn check_secrets(&self, text: &str) -> Result<(), Refusal> {
        let place = self.flag;
        if self.secrets.is_empty() {
            return if has_marker(text) { Err(Refusal::Reserved { place }) } else { Ok(()) };
        }
        // Where there are secrets no cell holds a mark, so what does not read as one of them was one, before a filter.
        let broken = pieces(text).any(|piece| match piece {
            Piece::Text(text) => has_marker(text),
            Piece::Secret { name, .. } => !self.secrets.contains(&name),
        });
        if broken || text.contains(OPEN_ENCODED) { Err(Refusal::Mangled { place }) } else { Ok(()) }
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

/// A URL that is the same for every row, as it is stored: its secrets by name.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn constant_url(flag: &'static str, text: &str) -> Result<String, TemplateError> {
    let part = Part::compile(flag, text, Place::Url, &mut Vec::new())?;
    let row = Arc::new(RowView { row: Map::new(), asked: None });
    part.render(&row).map_err(|refusal| wrong(flag, "", &refusal.to_string()))
}

fn wrong(flag: &'static str, text: &str, why: &str) -> TemplateError {
    let text = if literal_credential(text) { text.split_inclusive(':').next().unwrap_or_default() } else { text };
    TemplateError { flag, text: cut(text, 200).to_owned(), why: why.to_owned() }
}

fn check_json(text: &str) -> Result<(), String> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ()).map_err(|error| {
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
        // Columns count bytes: the first that is a boundary shows the place.
        let from = (error.column().saturating_sub(20)..=line.len()).find(|&at| line.is_char_boundary(at)).unwrap_or(0);
        format!("{error}, near {:?}", shown(cut(&line[from..], 40)))
    })
}

fn unknown_column(place: &'static str, column: String, row: &Map<String, Value>) -> Refusal {
    let mut columns: Vec<&str> = row.keys().take(COLUMNS_NAMED).map(String::as_str).collect();
    if row.len() > COLUMNS_NAMED {
        columns.push("..");
    }
    let near = row.keys().map(|name| (distance(name, &column), name)).min();
    let near = near.filter(|(far, _)| *far <= 1 + column.len() / 4).map(|(_, name)| name.clone());
    let mut columns = columns.join(", ");
    // A table that was cut at no place.
    let delimiter = [';', '|', '\t'].into_iter().find(|&c| row.len() == 1 && columns.contains(c));
    if let Some(delimiter) = delimiter {
        columns += &format!(" (does --delimiter {:?} part them?)", delimiter.to_string());
    }
    Refusal::UnknownColumn { place, near, columns, column }
}

/// How many letters apart two names are; case, spaces and underscores count nothing.
fn distance(one: &str, other: &str) -> usize {
    let letters = |name: &str| -> Vec<char> {
        name.chars().take(64).filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let (one, other) = (letters(one), letters(other));
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let best = (diagonal + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[other.len()]
}

fn holds_marker(value: &Value) -> bool {
    match value {
        Value::String(text) => has_marker(text),
        Value::Array(values) => values.iter().any(holds_marker),
        Value::Object(members) => members.iter().any(|(name, value)| has_marker(name) || holds_marker(value)),
        _ => false,
    }
}

/// What the template engine says, and where.
fn said(error: &Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    match error.line() {
        Some(line) => format!("{what}, in line {line}"),
        None => what,
    }
}

/// At most so many characters.
pub(crate) fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}
