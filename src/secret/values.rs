//! Values of secrets, to be found in texts that others wrote, and replaced there by their names.

use std::borrow::Cow;
use std::fmt;

use super::{SecretName, percent_encode_into};

/// A shorter value stands in too many texts by chance; to hide it would tell it.
const SHORTEST: usize = 4;

/// The values of the secrets of one request.
#[derive(Clone, Default)]
pub struct Values(Vec<(SecretName, String)>);

/// Shows how many there are.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({})", self.0.len())
    }
}

/// What is looked for, and the name it is replaced by.
type Form = (String, String);

impl Values {
    /// Remembers a value.
    pub fn add(&mut self, name: SecretName, value: String) {
        self.0.push((name, value));
    }

    /// There is nothing to hide.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them stands in the text.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        self.forms().iter().any(|(form, _)| text.contains(form.as_str()))
    }

    /// The text with names for values.
    #[must_use]
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.are_in(text) { Cow::Owned(self.quote(text.chars(), usize::MAX)) } else { Cow::Borrowed(text) }
    }

    /// At most so many characters of the text, with names for values. No value is cut in two: a part of it would be left.
    #[must_use]
    pub fn quote(&self, text: impl Iterator<Item = char>, most: usize) -> String {
        let forms = self.forms();
        // A character of the quotation stands for no more of the text than this.
        let longest = forms.first().map_or(1, |(form, _)| form.len());
        let text: String = text.take(most.saturating_add(1).saturating_mul(longest)).collect();
        let (mut rest, mut out, mut left) = (text.as_str(), String::new(), most);
        while let (Some(first), true) = (rest.chars().next(), left > 0) {
            if let Some((form, name)) = forms.iter().find(|(form, _)| rest.starts_with(form.as_str())) {
                out.push_str(name);
                left = left.saturating_sub(name.chars().count());
                rest = &rest[form.len()..];
            } else {
                out.push(first);
                left -= 1;
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }

    /// Every form in which a server may send them back, the longest first, so that no rest of a longer one is left.
    fn forms(&self) -> Vec<Form> {
        let mut forms = Vec::new();
        for (name, value) in &self.0 {
            for part in parts(value) {
                forms.extend(written(part).into_iter().map(|form| (form, name.to_string())));
            }
        }
        forms.retain(|(form, _)| form.len() >= SHORTEST);
        forms.sort_by(|(one, _), (other, _)| (other.len(), one).cmp(&(one.len(), other)));
        forms.dedup_by(|(one, _), (other, _)| one == other);
        forms
    }
}

/// A value, and what in it is secret for itself: what follows `Bearer`, the value of a cookie, the password of a user.
fn parts(value: &str) -> Vec<&str> {
    let mut parts = vec![value];
    parts.extend(value.split_once(':').map(|(_, password)| password));
    let cookies = value.contains('=');
    let words = value.split([' ', ';', ',']).filter(|word| !word.is_empty());
    for word in words.skip(usize::from(value.contains(' ') && !cookies)) {
        parts.push(word);
        let inner = word.split_once('=').or_else(|| word.split_once(':')).map(|(_, inner)| inner.trim_matches('"'));
        parts.extend(inner);
    }
    parts.retain(|part| part.len() >= SHORTEST);
    parts
}

/// A text as it stands in texts, URLs and JSON.
fn written(text: &str) -> Vec<String> {
    let mut encoded = String::new();
    percent_encode_into(&mut encoded, text.as_bytes());
    let quoted = serde_json::Value::String(text.to_owned()).to_string();
    let quoted = &quoted[1..quoted.len() - 1];
    vec![
        text.to_owned(),
        quoted.to_owned(),
        quoted.replace('/', "\\/"),
        quoted.chars().map(only_ascii).collect(),
        encoded.replace("%20", "+"),
        lower_hex(&encoded),
        encoded,
    ]
}

/// As JSON that is kept to ASCII writes it.
fn only_ascii(c: char) -> String {
    if c.is_ascii() {
        return c.into();
    }
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// `%2F` as `%2f`.
fn lower_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (hex, rest) = part.split_at(part.len().min(2));
        text + "%" + &hex.to_ascii_lowercase() + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(value: &str) -> Values {
        let mut values = Values::default();
        values.add(SecretName::Env("K".to_owned()), value.to_owned());
        values
    }

    // Seen failing with only the value itself looked for.
    #[test]
    fn a_value_is_hidden_however_it_is_written() {
        let values = values("Zq7x K/9\"é");
        for echoed in [
            "Zq7x K/9\"é",
            r#"Zq7x K/9\"é"#,
            r#"Zq7x K\/9\"é"#,
            r#"Zq7x K/9\"\u00e9"#,
            "Zq7x%20K%2F9%22%C3%A9",
            "Zq7x+K%2F9%22%C3%A9",
            "Zq7x%20K%2f9%22%c3%a9",
        ] {
            assert_eq!(values.hide(&format!("<{echoed}>")), "<env(K)>", "{echoed}");
        }
        assert_eq!(values.hide("Zq7y"), "Zq7y");
    }

    // Seen failing without `parts`.
    #[test]
    fn the_secret_parts_of_a_value_are_hidden_too() {
        for (value, echoed, shown) in [
            ("Bearer hunter2", "bad token hunter2, a Bearer", "bad token env(K), a Bearer"),
            ("a=1; sid=hunter2", "no session hunter2", "no session env(K)"),
            ("bob:hunter2", "hunter2 is not bob's", "env(K) is not bob's"),
        ] {
            assert_eq!(values(value).hide(echoed), shown);
        }
        assert_eq!(values("abc").hide("abcd"), "abcd", "too short");
    }

    // Seen failing with the quotation cut before its values were hidden.
    #[test]
    fn a_quotation_ends_with_no_part_of_a_value() {
        let values = values(&"hunter2".repeat(50));
        let text = format!("ab{}{}", "hunter2".repeat(50), "hunter2".repeat(50));
        assert_eq!(values.quote(text.chars(), 9), "abenv(K)env(K)");
        assert_eq!(values.quote("abcdef".chars(), 3), "abc");
    }
}
