//! A set of status codes and error types, as `--success` and `--retry-on` name them: `2xx,404`, `429,5xx,timeout`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::attempt::ErrorType;

/// Error types that may stand in a [`StatusSet`] beside status codes.
const WORDS: [ErrorType; 6] = [
    ErrorType::TIMEOUT,
    ErrorType::CONNECT,
    ErrorType::DNS,
    ErrorType::TLS,
    ErrorType::BODY_TRUNCATED,
    ErrorType::DECODE,
];

/// One member of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    Code(u16),
    Class(u16),
    Word(ErrorType),
}

/// Status codes (`404`), classes of them (`5xx`) and error types (`timeout`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatusSet(Vec<Member>);

/// What is wrong with a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a status code (404), a class of them (5xx) nor one of timeout, connect, dns, tls, body_truncated, decode"
)]
pub struct StatusSetError(String);

impl StatusSet {
    /// The default of `--success`.
    #[must_use]
    pub fn success() -> Self {
        Self(vec![Member::Class(2)])
    }

    /// The default of `--retry-on`.
    #[must_use]
    pub fn retry_on() -> Self {
        let words = [ErrorType::TIMEOUT, ErrorType::CONNECT, ErrorType::DNS, ErrorType::BODY_TRUNCATED];
        let mut set = vec![Member::Code(408), Member::Code(425), Member::Code(429), Member::Class(5)];
        set.extend(words.map(Member::Word));
        Self(set)
    }

    /// Whether this status code is in the set.
    #[must_use]
    pub fn has_code(&self, code: u16) -> bool {
        self.0.iter().any(|member| match member {
            Member::Code(c) => *c == code,
            Member::Class(c) => *c == code / 100,
            Member::Word(_) => false,
        })
    }

    /// Whether this error type is in the set.
    #[must_use]
    pub fn has_type(&self, error_type: &ErrorType) -> bool {
        self.0.iter().any(|member| matches!(member, Member::Word(word) if word == error_type))
    }
}

impl FromStr for StatusSet {
    type Err = StatusSetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(str::trim).map(member).collect::<Result<_, _>>().map(Self)
    }
}

fn member(text: &str) -> Result<Member, StatusSetError> {
    if let Some(word) = WORDS.iter().find(|word| word.as_str() == text) {
        return Ok(Member::Word(word.clone()));
    }
    let wrong = || StatusSetError(text.to_owned());
    match text.strip_suffix("xx") {
        Some(class) => match class.parse() {
            Ok(class @ 1..=5) => Ok(Member::Class(class)),
            _ => Err(wrong()),
        },
        None => match text.parse() {
            Ok(code @ 100..=599) => Ok(Member::Code(code)),
            _ => Err(wrong()),
        },
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, member) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match member {
                Member::Code(code) => write!(f, "{comma}{code}")?,
                Member::Class(class) => write!(f, "{comma}{class}xx")?,
                Member::Word(word) => write!(f, "{comma}{word}")?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for StatusSet {
    type Error = StatusSetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StatusSet> for String {
    fn from(set: StatusSet) -> Self {
        set.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_reads_back_as_it_was_written() {
        for text in ["2xx", "408,425,429,5xx,timeout,connect,dns", "200,404"] {
            assert_eq!(text.parse::<StatusSet>().expect("a valid set").to_string(), text);
        }
    }

    #[test]
    fn a_class_holds_its_codes_and_no_other() {
        let set: StatusSet = "5xx".parse().expect("a valid set");
        assert!(set.has_code(500) && set.has_code(599) && !set.has_code(499));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in ["", "9xx", "2xx,sometimes", "1000", "-1"] {
            let wrong = text.rsplit(',').next().unwrap_or_default();
            assert_eq!(text.parse::<StatusSet>(), Err(StatusSetError(wrong.to_owned())), "{text}");
        }
    }
}
