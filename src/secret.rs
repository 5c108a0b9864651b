//! Secrets in requests: stored by name, resolved when a request is sent.
//!
//! In a stored text a secret stands as `{{ env(NAME) | tojson }}` between the characters U+FDD0 and U+FDD1. Those are
//! noncharacters, which Unicode leaves to a program's own use: a row that would put one into a request is refused, so no
//! cell can ever name a secret, and no other text needs escaping. The filter says how the value is written where it
//! stands. A name holds nothing that JSON, HTML or a header would escape, so the text survives them unchanged.

mod values;

use std::borrow::Cow;
use std::fmt;

pub use values::Values;

const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';
/// [`OPEN`], as percent-encoding writes it.
pub(crate) const OPEN_ENCODED: &str = "%EF%B7%90";

/// What a secret is called: all that is ever stored of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretName {
    /// A variable of the environment.
    Env(String),
    /// What a file holds.
    File(String),
    /// What a flag said, for one run only: the value of the header of this name, in lower case; of `-u` for [`USER_FLAG`].
    Flag(String),
}

/// The flag of basic authentication: what its secret is called.
pub const USER_FLAG: &str = "-u";

/// How the value of a secret is written where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// As it is.
    None,
    /// Percent-encoded.
    Url,
    /// As the inside of a JSON string.
    Json,
}

/// A piece of a stored text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Nothing special.
    Text(&'a str),
    /// A secret.
    Secret {
        name: SecretName,
        escape: Escape,
        /// All of it, with its marks.
        stored: &'a str,
    },
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env({name})"),
            Self::File(path) => write!(f, "file({path})"),
            Self::Flag(flag) => write!(f, "given by flag({flag})"),
        }
    }
}

impl SecretName {
    /// As it stands in a stored text.
    pub(crate) fn stored(&self, escape: Escape) -> String {
        let filter = match escape {
            Escape::None => "",
            Escape::Url => " | urlencode",
            Escape::Json => " | tojson",
        };
        format!("{OPEN}{{{{ {self}{filter} }}}}{CLOSE}")
    }

    /// Whether it comes unchanged through every text it may stand in.
    pub(crate) fn is_plain(&self) -> bool {
        let (Self::Env(name) | Self::File(name) | Self::Flag(name)) = self;
        !name.is_empty() && !name.contains(|c: char| c.is_control() || "'\"\\<>&{}()|".contains(c)) && !has_marker(name)
    }

    fn parse(stored: &str) -> Option<(Self, Escape)> {
        let inside = stored.strip_prefix("{{ ")?.strip_suffix(" }}")?;
        let (call, escape) = match inside.split_once(" | ") {
            None => (inside, Escape::None),
            Some((call, "urlencode")) => (call, Escape::Url),
            Some((call, "tojson")) => (call, Escape::Json),
            Some(_) => return None,
        };
        let (kind, name) = call.strip_suffix(')')?.split_once('(')?;
        let name = match kind {
            "env" => Self::Env(name.to_owned()),
            "file" => Self::File(name.to_owned()),
            "given by flag" => Self::Flag(name.to_owned()),
            _ => return None,
        };
        name.is_plain().then_some((name, escape))
    }
}

/// The secrets that a stored text names, in order.
#[must_use]
pub fn secrets_in(text: &str) -> Vec<SecretName> {
    pieces(text).filter_map(|piece| if let Piece::Secret { name, .. } = piece { Some(name) } else { None }).collect()
}

/// A part of a stored text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// As it is sent.
    Text(&'a str),
    /// The value of this secret is sent, written so.
    Secret(SecretName, Escape),
}

/// A stored text in its parts.
#[must_use]
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let part = |piece| match piece {
        Piece::Text(text) => Part::Text(text),
        Piece::Secret { name, escape, .. } => Part::Secret(name, escape),
    };
    pieces(text).map(part).collect()
}

/// Gives the value of a secret, or says why it cannot, without a value in the words.
pub type Lookup = dyn Fn(&SecretName) -> Result<String, String> + Send + Sync;

/// Puts the values of its secrets into a stored text; one without secrets is given back as it is.
///
/// # Errors
/// What `lookup` says of a secret that it cannot give.
pub fn resolve<'a, E>(text: &'a str, lookup: &dyn Fn(&SecretName) -> Result<String, E>) -> Result<Cow<'a, str>, E> {
    rewrite(text, |out, name, escape, _| {
        let value = lookup(name)?;
        match escape {
            Escape::None => out.push_str(&value),
            Escape::Url => percent_encode_into(out, value.as_bytes()),
            Escape::Json => {
                let quoted = serde_json::Value::String(value).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
        Ok(())
    })
}

/// Encodes everything but letters, digits and `-._~`.
pub(crate) fn percent_encode_into(out: &mut String, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// A stored text for people: the names of its secrets, without the marks.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    rewrite(text, |out, _, _, stored| {
        out.push_str(stored.trim_matches([OPEN, CLOSE]));
        Ok::<_, std::convert::Infallible>(())
    })
    .unwrap_or_else(|never| match never {})
}

/// Has the secrets of a text written so, unless a filter said already how.
pub(crate) fn escape_secrets(text: String, to: Escape) -> String {
    let escaped = rewrite(&text, |out, name, escape, _| {
        out.push_str(&name.stored(if escape == Escape::None { to } else { escape }));
        Ok::<_, std::convert::Infallible>(())
    });
    match escaped {
        Ok(Cow::Owned(escaped)) => escaped,
        Ok(Cow::Borrowed(_)) => text,
    }
}

fn rewrite<'a, E>(
    text: &'a str,
    mut secret: impl FnMut(&mut String, &SecretName, Escape, &str) -> Result<(), E>,
) -> Result<Cow<'a, str>, E> {
    if !has_marker(text) {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Secret { name, escape, stored } => secret(&mut out, &name, escape, stored)?,
        }
    }
    Ok(Cow::Owned(out))
}

/// Whether a text holds one of the characters that stand for secrets.
pub(crate) fn has_marker(text: &str) -> bool {
    // Most texts are ASCII, and that is seen much faster.
    !text.is_ascii() && text.contains(|c| matches!(c, '\u{fdd0}'..='\u{fdd2}'))
}

/// Cuts a text into secrets and what is between them. A mark that belongs to no secret stays in the text.
pub(crate) fn pieces(mut rest: &str) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = match next_secret(rest) {
            None => (Piece::Text(rest), ""),
            Some((0, end, (name, escape))) => (Piece::Secret { name, escape, stored: &rest[..end] }, &rest[end..]),
            Some((start, ..)) => (Piece::Text(&rest[..start]), &rest[start..]),
        };
        rest = after;
        Some(piece)
    })
}

/// Begin and end of the first secret in a text, and what it says. No name has a mark in it, so a secret ends at the first mark
/// after its own: each is looked at once, however many belong to nothing.
fn next_secret(text: &str) -> Option<(usize, usize, (SecretName, Escape))> {
    if text.is_ascii() {
        return None;
    }
    let mut open = None;
    text.match_indices([OPEN, CLOSE]).find_map(|(at, mark)| {
        if mark.starts_with(OPEN) {
            open = Some(at);
            return None;
        }
        let start = open.take()?;
        Some((start, at + mark.len(), SecretName::parse(&text[start + OPEN.len_utf8()..at])?))
    })
}

/// The secrets that the text of a flag names: `env('..')`, `file('..')` and `given_by_flag('..')` with a literal, inside of
/// `{{ }}` and `{% %}`.
pub(crate) fn names_in_flag(text: &str) -> Vec<SecretName> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(open) = [rest.find("{{"), rest.find("{%")].into_iter().flatten().min() {
        rest = names_in_block(&rest[open + 2..], &mut names);
    }
    names
}

/// Reads to the end of a block, and gives what follows it.
fn names_in_block<'a>(block: &'a str, names: &mut Vec<SecretName>) -> &'a str {
    let mut rest = block;
    let mut word = "";
    // What was called, if the last thing read was its opening parenthesis.
    let mut called: Option<fn(String) -> SecretName> = None;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("}}") || rest.starts_with("%}") {
            return &rest[2..];
        }
        let length = match first {
            '\'' | '"' => {
                let literal = rest[1..].split(first).next().unwrap_or_default();
                names.extend(called.map(|make| make(literal.to_owned())));
                (literal.len() + 2).min(rest.len())
            }
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let token = &rest[..length];
        rest = &rest[length..];
        if token.trim().is_empty() {
            continue;
        }
        called = match (word, token) {
            ("env", "(") => Some(SecretName::Env),
            ("file", "(") => Some(SecretName::File),
            ("given_by_flag", "(") => Some(SecretName::Flag),
            _ => None,
        };
        word = token;
    }
    ""
}

/// The name of a query parameter of a URL, as it is given by flag, whose value is a credential that must not be stored.
#[must_use]
pub fn literal_credential_in_url(url: &str) -> Option<&str> {
    const NAMES: [&str; 11] = [
        "api_key",
        "api-key",
        "apikey",
        "access_token",
        "auth_token",
        "token",
        "client_secret",
        "secret",
        "password",
        "sig",
        "signature",
    ];
    let (_, query) = url.split_once('?')?;
    let parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
    let mut given = parameters.filter(|(_, value)| !value.is_empty() && !value.contains("{{"));
    given.find(|(name, _)| NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))).map(|(name, _)| name)
}

/// The name of a header whose value is a credential, going by its name.
#[must_use]
pub fn is_credential(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    let last = name.rsplit(['-', '_']).next().unwrap_or_default();
    // What tells requests apart is called a key too, and is no secret.
    matches!(
        last,
        "authorization" | "auth" | "cookie" | "key" | "apikey" | "token" | "secret" | "password" | "signature"
    ) && !matches!(name.as_str(), "idempotency-key" | "key")
}

/// Whether a header line, as it is given by flag, holds a credential that must not be stored: one that comes neither from
/// a secret nor from the row.
#[must_use]
pub fn literal_credential(line: &str) -> bool {
    let Some((name, value)) = line.split_once(':') else { return false };
    is_credential(name.trim()) && !value.trim().is_empty() && !value.contains("{{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_in_a_url_is_seen_unless_it_is_named() {
        assert_eq!(literal_credential_in_url("http://h/y?a=1&api_key=x"), Some("api_key"));
        for fine in
            ["http://h/y?api_key={{ env('K') }}", "http://h/token=1", "http://h/y?sort_key=name", "http://h/y?token="]
        {
            assert_eq!(literal_credential_in_url(fine), None, "{fine}");
        }
    }

    // Seen failing, which is to say not ending, where each opening mark looked for a closing one.
    #[test]
    fn marks_that_belong_to_no_secret_cost_no_more_than_other_letters() {
        let secret = SecretName::Env("K".to_owned());
        let marks = OPEN.to_string().repeat(3_000_000);
        for (text, found, pieces) in [
            (marks.clone(), 0, 1),
            (format!("{marks}{CLOSE}{}", secret.stored(Escape::Url)), 1, 2),
            (format!("{CLOSE}{OPEN}{{{{ env(K){}{OPEN}", secret.stored(Escape::None)), 1, 3),
        ] {
            assert_eq!(secrets_in(&text), vec![secret.clone(); found]);
            assert_eq!(parts(&text).len(), pieces);
        }
    }
}
