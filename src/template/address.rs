//! The URL of a row: checked at the import, so that no run meets one that cannot be sent.

use reqwest::Url;

use crate::template::{self, Piece};

/// What no URL may be longer than: servers refuse less.
const LONGEST: usize = 32 << 10;

/// Checks a URL that may hold secrets, and gives it as it is stored: as given where every character may stand in a URL,
/// else percent-encoded and in punycode.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub(crate) fn check(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!("is {} bytes long; {LONGEST} are the most", text.len()));
    }
    if template::has_marker(text) {
        return check_with_secrets(text);
    }
    let parsed = parse(text)?;
    if text.bytes().all(may_stand) { Ok(text.to_owned()) } else { Ok(parsed.into()) }
}

/// A secret is not known here: a word stands in for it while the rest is checked.
fn check_with_secrets(text: &str) -> Result<String, String> {
    let mut word = "haulsecret".to_owned();
    while text.contains(&word) {
        word.push('x');
    }
    let mut plain = String::new();
    let mut secrets = Vec::new();
    for piece in template::pieces(text) {
        match piece {
            Piece::Text(text) => plain.push_str(text),
            Piece::Secret { stored, .. } => {
                plain.push_str(&word);
                secrets.push(stored);
            }
        }
    }
    let parsed = parse(&plain)?;
    let kept = if plain.bytes().all(may_stand) { plain.as_str() } else { parsed.as_str() };
    let mut stored = String::with_capacity(text.len());
    for (at, part) in kept.split(word.as_str()).enumerate() {
        if at > 0 {
            stored.push_str(secrets.get(at - 1).ok_or("has a secret where it changes the meaning of the URL")?);
        }
        stored.push_str(part);
    }
    Ok(stored)
}

fn parse(text: &str) -> Result<Url, String> {
    if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("holds {bad:?}; in a URL it is percent-encoded"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(NOT_ABSOLUTE.to_owned());
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(format!("begins with {scheme:?}; only http:// and https:// are known"));
    }
    // The parser would take the first part of the path for the host.
    if rest.starts_with(['/', '\\', '?', '#']) || rest.is_empty() {
        return Err("has no host".to_owned());
    }
    let parsed = Url::parse(text).map_err(|error| match error.to_string() {
        host if host == "empty host" => "has no host".to_owned(),
        other => format!("has an {}", other.trim_start_matches("an ")),
    })?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(
            "holds a user name or password; give them as -H \"Authorization: Basic {{ env('NAME') }}\"".to_owned()
        );
    }
    // What browsers take for a host is more than a request can be sent to.
    if let Err(error) = parsed.as_str().parse::<http::Uri>() {
        return Err(format!("cannot be sent: {error}"));
    }
    Ok(parsed)
}

const NOT_ABSOLUTE: &str = "is not absolute; it begins with http:// or https://";

/// What [`check`] says, with what helps where a base may be given.
pub(crate) fn or_with_a_base(why: String) -> String {
    if why == NOT_ABSOLUTE { why + ", or --base-url says what it is joined to" } else { why }
}

/// Unreserved and reserved characters of RFC 3986, and `%`.
fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// A text as it may be kept: without the passwords of the URLs in it.
pub(crate) fn masked_in_text(text: &str) -> std::borrow::Cow<'_, str> {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(|c: char| "/?#\"'<>\\".contains(c) || c.is_whitespace()).unwrap_or(after.len());
        kept += before;
        rest = match after[..end].rfind('@') {
            Some(user) => {
                kept += "***";
                &after[user..]
            }
            None => after,
        };
    }
    if kept.is_empty() { text.into() } else { (kept + rest).into() }
}

/// A URL as it may be shown: without the password that some put into it.
pub(crate) fn masked(url: &str) -> String {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |at| authority + at);
    match url[authority..end].rfind('@') {
        Some(at) => format!("{}***{}", &url[..authority], &url[authority + at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_passwords_of_all_urls_in_a_text_are_taken_out_of_it() {
        for (text, kept) in [
            ("1,http://bob:s3cr3t@h/a?b=c@d,x", "1,http://***@h/a?b=c@d,x"),
            (r#"{"url":"https://a:b@h","to":"ftp://u@i/"}"#, r#"{"url":"https://***@h","to":"ftp://***@i/"}"#),
            ("http://p@ss:w@rd@h", "http://***@h"),
            ("mail me@x, see http://h/@me", "mail me@x, see http://h/@me"),
            ("://", "://"),
        ] {
            assert_eq!(masked_in_text(text), kept);
        }
    }
}
