//! What a line of JSON says itself of its request.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Refusal, has_marker, header};
use crate::request::add_header;

/// With or without the padding at its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The members that are parts of a request, not of its row.
const PARTS: [&str; 8] = ["url", "method", "headers", "body", "json", "body_base64", "key", "custom_id"];

/// Whether a member of a request is a part of it.
pub(super) fn is_part(name: &str) -> bool {
    PARTS.contains(&name)
}

/// The members of a line that are sent word for word, as they stand in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Raw {
    /// `body`, where it is an object or an array.
    pub(crate) body: Option<String>,
    /// `json`, unless it is null.
    pub(crate) json: Option<String>,
    /// Why one of them cannot be read, only sent; it is not in the row then.
    pub(crate) unread: Option<String>,
}

/// The parts of a request that a line gives.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// The line is a request; otherwise all of it is data, and nothing else is set here.
    pub(super) is_request: bool,
    pub(super) method: Option<String>,
    pub(super) headers: Map<String, Value>,
    pub(super) body: Option<Bytes>,
    /// The body is JSON.
    pub(super) json: bool,
}

impl Own {
    /// A line is a request if it has a `url`, and a `method` too where `--url` is given: that alone may be data.
    pub(super) fn of(row: &Map<String, Value>, raw: &Raw, url_given: bool) -> Result<Self, Refusal> {
        let given = |name: &str| row.get(name).filter(|value| !value.is_null());
        if given("url").is_none() || (url_given && given("method").is_none()) {
            return match &raw.unread {
                Some(why) => Err(Refusal::Unread { why: why.clone() }),
                None => Ok(Self::default()),
            };
        }
        text(given("url"), "url", "a URL")?;
        let method = match text(given("method"), "method", "a method")? {
            Some(method) => Some(header::method(method).map_err(|why| member("method", format!("{method:?} {why}")))?),
            None => None,
        };
        let headers = given("headers").map_or(Ok(Map::new()), headers)?;
        let (body, json) = body(row, raw)?;
        if body.as_deref().is_some_and(|body| std::str::from_utf8(body).is_ok_and(has_marker)) {
            return Err(Refusal::Reserved { place: "the body" });
        }
        Ok(Self { is_request: true, method, headers, body, json })
    }
}

/// The key that a line gives, in `key` or `custom_id`.
pub(super) fn key(row: &Map<String, Value>) -> Option<Result<String, Refusal>> {
    let (name, value) = ["key", "custom_id"].into_iter().find_map(|name| Some((name, row.get(name)?)))?;
    Some(match value {
        Value::String(key) if key.is_empty() => Err(member(name, "is empty; a key tells jobs apart".to_owned())),
        Value::String(key) if key.contains('\0') => Err(member(name, "holds a NUL".to_owned())),
        Value::String(key) => Ok(key.clone()),
        Value::Number(key) if !key.is_f64() => Ok(key.to_string()),
        other => Err(member(name, format!("is {}; a key is a text or an integer", kind(other)))),
    })
}

fn member(name: &'static str, why: String) -> Refusal {
    Refusal::Member { name, why }
}

fn text<'a>(value: Option<&'a Value>, name: &'static str, what: &str) -> Result<Option<&'a str>, Refusal> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(member(name, format!("is {}; {what} is a text", kind(other)))),
    }
}

fn headers(given: &Value) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(given) = given else {
        let why = format!("is {}; headers are an object: {{\"Accept\": \"text/csv\"}}", kind(given));
        return Err(member("headers", why));
    };
    let mut headers = Map::new();
    for (name, value) in given {
        let wrong = |why: String| Refusal::Header { name: format!("{name:?}"), why };
        header::check_name(name).map_err(|why| wrong(why.to_owned()))?;
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let Value::String(value) = value else {
                return Err(wrong(format!("is {}; a header is a text, or an array of texts", kind(value))));
            };
            if has_marker(value) {
                return Err(Refusal::Reserved { place: "a header" });
            }
            header::check_value(value).map_err(wrong)?;
            add_header(&mut headers, name, value.clone());
        }
    }
    Ok(headers)
}

/// The body, and whether it is JSON.
fn body(row: &Map<String, Value>, raw: &Raw) -> Result<(Option<Bytes>, bool), Refusal> {
    let given = |name: &str| row.get(name).filter(|value| !value.is_null());
    let (plain, packed) = (given("body").filter(|_| raw.body.is_none()), given("body_base64"));
    let there = [
        ("body", raw.body.is_some() || plain.is_some()),
        ("json", raw.json.is_some()),
        ("body_base64", packed.is_some()),
    ];
    let names: Vec<_> = there.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    if names.len() > 1 {
        return Err(Refusal::Bodies { names });
    }
    if let Some(json) = raw.body.as_ref().or(raw.json.as_ref()) {
        return Ok((Some(json.clone().into()), true));
    }
    if let Some(packed) = text(packed, "body_base64", "base64")? {
        let bytes = BASE64.decode(packed).map_err(|error| {
            let said = error.to_string().to_lowercase();
            let said = said.trim_end_matches('.');
            member("body_base64", format!("is no base64: {said}; it is written in A-Z, a-z, 0-9, + and /"))
        })?;
        return Ok((Some(bytes.into()), false));
    }
    match plain {
        None => Ok((None, false)),
        Some(Value::String(text)) => Ok((Some(text.clone().into()), false)),
        Some(other) => {
            let why = format!("is {}; it is a text, or an object or array that is sent as JSON", kind(other));
            Err(member("body", why))
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
