//! One text of a request: compiled once, rendered for each row.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Enumerator, Object, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};
use serde_json::{Map, Value as Json};

use crate::template::{self, Escape, SecretName};

/// Stands before a value that no path may hold, until [`check_path`] knows whether it is in the path.
const SUSPECT: char = '\u{fdd2}';

const NAME: &str = "text";

/// How the values in a text are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Percent-encoded.
    Url,
    /// As JSON.
    Json,
    /// As they are.
    Text,
}

/// A text of a request.
#[derive(Debug)]
pub(crate) enum Expression {
    /// The same for every row.
    Constant(String),
    /// With values of the row.
    Varying(Box<Environment<'static>>),
}

impl Expression {
    /// Compiles a text; `secrets` are the names that stand in it.
    pub(crate) fn compile(text: &str, place: Place, secrets: &[SecretName]) -> Result<Self, Error> {
        if !["{{", "{%", "{#"].iter().any(|open| text.contains(open)) {
            return Ok(Self::Constant(text.to_owned()));
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
        environment.set_formatter(move |out, _: &mut State, value| write_value(out, value, place));
        environment.add_filter("default", default);
        environment.add_filter("d", default);
        environment.add_filter("safe", safe);
        environment.add_filter("urlencode", urlencode);
        environment.add_filter("tojson", tojson);
        add_secrets(&mut environment, secrets);
        environment.add_template_owned(NAME, text.to_owned())?;
        let expression = Self::Varying(Box::new(environment));
        expression.rehearse()?;
        Ok(expression)
    }

    /// Renders the text for a row.
    pub(crate) fn render(&self, row: &Arc<RowView>) -> Result<String, Error> {
        match self {
            Self::Constant(text) => Ok(text.clone()),
            Self::Varying(environment) => environment.get_template(NAME)?.render(Value::from_object(Root(row.clone()))),
        }
    }

    /// The names that are no columns.
    pub(crate) fn globals(&self) -> BTreeSet<String> {
        match self {
            Self::Constant(_) => BTreeSet::new(),
            Self::Varying(environment) => environment.globals().map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// Unknown filters and functions are seen only when a text is rendered; better before the first row than in each.
    fn rehearse(&self) -> Result<(), Error> {
        let Self::Varying(environment) = self else { return Ok(()) };
        let globals = self.globals();
        let root = Value::from_object(Rehearsal { globals });
        match environment.get_template(NAME)?.render(root) {
            Err(error) if matches!(error.kind(), ErrorKind::UnknownFilter | ErrorKind::UnknownTest) => Err(error),
            Err(error) if error.kind() == ErrorKind::MissingArgument => Err(Error::new(
                ErrorKind::MissingArgument,
                "it calls a function or filter that needs one, as env('NAME') does",
            )),
            Err(error) if error.detail().is_some_and(|detail| detail.contains("not callable")) => {
                Err(Error::new(ErrorKind::UnknownFunction, "it calls a function that is none"))
            }
            Err(error) if error.detail().is_some_and(|detail| detail.starts_with(NOT_NAMED)) => Err(error),
            _ => Ok(()),
        }
    }
}

const NOT_NAMED: &str = "a secret is named in quotes, in the flag itself";

fn add_secrets(environment: &mut Environment<'static>, secrets: &[SecretName]) {
    let lookup = |make: fn(String) -> SecretName, secrets: Vec<SecretName>| {
        move |name: String| {
            let secret = make(name);
            // Otherwise a cell could choose what is sent to a server.
            if !secrets.contains(&secret) {
                return Err(Error::new(ErrorKind::InvalidOperation, format!("{NOT_NAMED}: not {secret}")));
            }
            Ok(secret.stored(Escape::None))
        }
    };
    environment.add_function("env", lookup(SecretName::Env, secrets.to_vec()));
    environment.add_function("file", lookup(SecretName::File, secrets.to_vec()));
    environment.add_function("given_by_flag", lookup(SecretName::Flag, secrets.to_vec()));
}

fn write_value(out: &mut Output, value: &Value, place: Place) -> Result<(), Error> {
    if value.kind() == ValueKind::Plain {
        let why = "this is a function; a column of the same name is written row['..']";
        return Err(Error::new(ErrorKind::InvalidOperation, why));
    }
    let written = match (place, value.as_str()) {
        (Place::Text, Some(text)) => out.write_str(text),
        (Place::Url, Some(text)) if value.is_safe() && text.contains(SUSPECT) => {
            return Err(Error::new(ErrorKind::InvalidOperation, "a value holds U+FDD2, which haul keeps for itself"));
        }
        (_, Some(text)) if value.is_safe() => out.write_str(text),
        (Place::Url, Some("")) => out.write_char(SUSPECT),
        (Place::Url, Some("." | "..")) => write!(out, "{SUSPECT}{value}"),
        (Place::Url, Some(text)) => out.write_str(&percent_encode(text)),
        (Place::Json, _) => out.write_str(&json(value)?),
        (_, None) if value.is_none() || value.is_undefined() => match place {
            Place::Url => out.write_char(SUSPECT),
            _ => Ok(()),
        },
        (Place::Url, None) => out.write_str(&percent_encode(&value.to_string())),
        (Place::Text, None) => write!(out, "{value}"),
    };
    written.map_err(Error::from)
}

/// Also for cells that are empty: in CSV every column is there, and an empty one is what is missing.
fn default(value: &Value, args: Rest<Value>) -> Value {
    let missing = value.is_undefined() || value.is_none() || value.as_str() == Some("");
    let falsy = args.get(1).is_some_and(Value::is_true) && !value.is_true();
    if !missing && !falsy {
        return value.clone();
    }
    match args.first() {
        // Safe: an empty value that was asked for is right, even in a path.
        None => Value::from_safe_string(String::new()),
        Some(other) if other.as_str() == Some("") => Value::from_safe_string(String::new()),
        Some(other) => other.clone(),
    }
}

/// An empty value stays one: in a path it is still missing.
fn safe(value: String) -> Value {
    if value.is_empty() { Value::from(value) } else { Value::from_safe_string(value) }
}

/// Safe, so that a URL does not encode it again.
fn urlencode(value: &Value) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) if template::has_marker(text) => Ok(Value::from_safe_string(percent_encode(text))),
        _ => minijinja::filters::urlencode(value).map(Value::from_safe_string),
    }
}

fn tojson(value: &Value) -> Result<Value, Error> {
    json(value).map(Value::from_safe_string)
}

/// A value as JSON; secrets in it are escaped when they are resolved.
fn json(value: &Value) -> Result<String, Error> {
    let text = match value.as_str() {
        Some(text) => serde_json::to_string(text),
        None if value.is_undefined() => return Ok("null".to_owned()),
        None => serde_json::to_string(value),
    };
    let text = text.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(template::escape_secrets(text, Escape::Json))
}

/// Encodes everything but letters, digits and `-._~`. Secrets are encoded when they are resolved.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for piece in template::pieces(text) {
        match piece {
            template::Piece::Text(text) => crate::secret::percent_encode_into(&mut out, text.as_bytes()),
            template::Piece::Secret { name, .. } => out.push_str(&name.stored(Escape::Url)),
        }
    }
    out
}

/// A value that would make another path of the one that was meant.
pub(crate) enum BadPath {
    /// Nothing.
    Empty,
    /// `.` or `..`: a client takes it for this folder or the one above, percent-encoded or not.
    Dots,
}

/// Takes the marks of suspects out of a URL, unless one is before its query.
pub(crate) fn check_path(url: String) -> Result<String, BadPath> {
    match url.find(SUSPECT) {
        None => Ok(url),
        Some(at) if url.find(['?', '#']).is_none_or(|query| at < query) => {
            let dots = url[at + SUSPECT.len_utf8()..].starts_with('.');
            Err(if dots { BadPath::Dots } else { BadPath::Empty })
        }
        Some(_) => Ok(url.replace(SUSPECT, "")),
    }
}

/// A row as templates see it under the name `row`.
#[derive(Debug)]
pub(crate) struct RowView {
    /// The row.
    pub(crate) row: Map<String, Json>,
    /// The names that were asked for, in order; only where a failure is being explained.
    pub(crate) asked: Option<Mutex<Vec<String>>>,
}

impl RowView {
    fn get(&self, name: &str) -> Option<Value> {
        if let Some(asked) = &self.asked {
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        }
        Some(match self.row.get(name)? {
            Json::String(text) => Value::from(text.as_str()),
            other => Value::from(minijinja::value::Serde(other)),
        })
    }
}

impl Object for RowView {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.get(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.row.keys().map(|name| Value::from(name.as_str())).collect())
    }
}

/// The outermost names: the columns, and `row`, which is all of them.
#[derive(Debug)]
struct Root(Arc<RowView>);

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "row" => Some(Value::from_dyn_object(self.0.clone())),
            // The functions, not columns of the same name: no input may take a secret's place.
            "env" | "file" => None,
            _ => self.0.get(key),
        }
    }
}

/// Has every column, to try a text before there is a row.
#[derive(Debug)]
struct Rehearsal {
    globals: BTreeSet<String>,
}

impl Object for Rehearsal {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "row" => Some(Value::from_dyn_object(self.clone())),
            _ if self.globals.contains(key) => None,
            _ => Some(Value::from("1")),
        }
    }
}
