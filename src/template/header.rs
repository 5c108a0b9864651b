//! The headers and the method of a request: what may stand in them.

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use super::expression::{Expression, Place};
use super::{Part, TemplateError, wrong};
use crate::secret::{Piece, SecretName, is_credential, pieces};

/// Compiles a header as it is given by flag: `Name: value`.
pub(super) fn compile(line: &str, secrets: &mut Vec<SecretName>) -> Result<(String, Part), TemplateError> {
    let Some((name, value)) = line.split_once(':') else {
        // What follows the name may be a credential.
        let name = line.split_whitespace().next().unwrap_or_default();
        return Err(wrong("-H", name, "it has no colon; a header is written 'Name: value'"));
    };
    let (name, value) = (name.trim(), value.trim());
    check_name(name).map_err(|why| wrong("-H", line, &format!("{name:?} {why}")))?;
    let part = Part::compile("-H", value, Place::Text, secrets).map_err(|error| match is_credential(name) {
        true => wrong("-H", &format!("{name}: .."), &error.why),
        false => error,
    })?;
    if let Expression::Constant(value) = &part.expression {
        check_value(value).map_err(|why| wrong("-H", line, &format!("its value {why}")))?;
    }
    Ok((name.to_owned(), part))
}

/// Checks the name of a header that a request may have of its own.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    /// What says where a message ends, and what the connection is for: a wrong one would change the next request.
    const OURS: [&str; 5] = ["connection", "content-length", "te", "transfer-encoding", "upgrade"];
    match HeaderName::from_bytes(name.as_bytes()) {
        Err(_) => Err("is not the name of a header"),
        Ok(name) if OURS.contains(&name.as_str()) => Err("is made by haul itself, from the body and the connection"),
        Ok(_) => Ok(()),
    }
}

/// A method as it is sent: upper case.
pub(super) fn method(given: &str) -> Result<String, &'static str> {
    let upper = given.trim().to_ascii_uppercase();
    match Method::from_bytes(upper.as_bytes()) {
        Ok(Method::CONNECT) => Err("opens a tunnel; it is not a request"),
        Ok(_) if upper.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') => Ok(upper),
        _ => Err("is not an HTTP method, such as GET or POST"),
    }
}

/// Checks a value that may hold secrets.
pub(crate) fn check_value(value: &str) -> Result<(), String> {
    let mut plain = String::new();
    for piece in pieces(value) {
        plain.push_str(match piece {
            Piece::Text(text) => text,
            Piece::Secret { .. } => "x",
        });
    }
    if HeaderValue::from_str(&plain).is_ok() {
        return Ok(());
    }
    let bad = plain.chars().find(|&c| c != '\t' && c.is_ascii_control()).unwrap_or_default();
    Err(format!("holds {bad:?}; a header holds no control characters but tabs"))
}

/// Whether there is one of this name.
pub(super) fn has(headers: &Map<String, Value>, name: &str) -> bool {
    headers.keys().any(|known| known.eq_ignore_ascii_case(name))
}
