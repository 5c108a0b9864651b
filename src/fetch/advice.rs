//! What the headers of a response say of the server's limits: `RateLimit` of the IETF draft, its predecessors, and what the
//! well-known APIs call the same. Whatever cannot be read is no advice.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap, HeaderValue};

use crate::clock::{Micros, SECOND_US, micros};
use crate::limit::Allowance;

/// The longest wait that is believed: what is meant may be something else, and after it one request asks again.
const LONGEST_US: Micros = 3_600 * SECOND_US;

/// Members of a `RateLimit` field that are read, at most.
const MEMBERS: usize = 8;

/// Names of what is left and of when it is renewed, and whether requests are counted; where something else is (tokens), all
/// that can be said is that nothing is left.
const PAIRS: [(&str, &str, bool); 9] = [
    ("ratelimit-remaining", "ratelimit-reset", true),
    ("x-ratelimit-remaining", "x-ratelimit-reset", true),
    ("x-rate-limit-remaining", "x-rate-limit-reset", true),
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", true),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", false),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset", true),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset", false),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset", false),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset", false),
];

/// What is left of each limit that the headers name.
pub(super) fn allowances(headers: &HeaderMap, now_us: Micros) -> Vec<Allowance> {
    let mut found = Vec::new();
    for (remaining, reset, requests) in PAIRS {
        let (Some(left), Some(reset)) = (text(headers, remaining), text(headers, reset)) else { continue };
        let Some(left) = count(left).filter(|left| requests || *left == 0) else { continue };
        let Some(wait_us) = wait_us(reset, text(headers, DATE.as_str())) else { continue };
        found.push(Allowance { name: remaining.to_owned(), left, until_us: now_us + wait_us });
    }
    for value in headers.get_all("ratelimit") {
        found.extend(value.to_str().unwrap_or_default().split(',').take(MEMBERS).filter_map(|m| member(m, now_us)));
    }
    found
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim)
}

/// `"policy";r=50;t=30`, an item of a structured field (RFC 9651); its name may be a token too.
fn member(member: &str, now_us: Micros) -> Option<Allowance> {
    let mut parts = member.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty() && !name.contains('='))?.trim_matches('"');
    let parameters: Vec<_> = parts.filter_map(|parameter| parameter.split_once('=')).collect();
    let parameter = |name| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let (left, wait_us) = (count(parameter("r")?)?, wait_us(parameter("t")?, None)?);
    Some(Allowance { name: format!("ratelimit {name}"), left, until_us: now_us + wait_us })
}

/// Some write `50.0`; a negative one means that nothing is left.
fn count(text: &str) -> Option<u64> {
    let count: f64 = text.parse().ok()?;
    count.is_finite().then(|| count.max(0.0) as u64)
}

/// Seconds (`30`, `1.5`), a span (`6m0s`, `20ms`), a date (`2026-11-23T10:00:00Z`), or seconds or milliseconds since 1970;
/// dates against the server's own clock, where it tells it.
fn wait_us(reset: &str, date: Option<&str>) -> Option<Micros> {
    /// No wait is as many seconds, and no time since 1970 as few: 2001.
    const EPOCH_S: f64 = 1e9;
    const EPOCH_MS: f64 = 1e11;
    let until = |since_1970: Duration| {
        let from = httpdate::parse_http_date(date?).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(micros(since_1970.saturating_sub(from)))
    };
    let wait_us = match reset.parse::<f64>() {
        Ok(number) if !(0.0..1e15).contains(&number) => return None,
        Ok(number) if number >= EPOCH_MS => until(Duration::from_secs_f64(number / 1e3))?,
        Ok(number) if number >= EPOCH_S => until(Duration::from_secs_f64(number))?,
        Ok(seconds) => (seconds * SECOND_US as f64).ceil() as Micros,
        Err(_) => match humantime::parse_rfc3339_weak(reset) {
            Ok(at) => until(at.duration_since(UNIX_EPOCH).ok()?)?,
            Err(_) => span_us(reset)?,
        },
    };
    Some(wait_us.min(LONGEST_US))
}

/// `6m0s`, `1.5s`, `20ms`: Go's way to write a span.
fn span_us(mut rest: &str) -> Option<Micros> {
    if rest.is_empty() {
        return None;
    }
    let mut sum_us = 0.0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
        let unit_us = match unit {
            "h" => 3.6e9,
            "m" => 6e7,
            "s" => 1e6,
            "ms" => 1e3,
            "us" | "µs" => 1.0,
            "ns" => 1e-3,
            _ => return None,
        };
        sum_us += number.parse::<f64>().ok()? * unit_us;
        rest = after;
    }
    Some(sum_us.ceil() as Micros) // what is too large for the type is its largest
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_700_000_000_000_000;

    fn told(lines: &[(&'static str, &'static str)]) -> Vec<(String, u64, Micros)> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let found = allowances(&headers, NOW).into_iter();
        found.map(|Allowance { name, left, until_us }| (name, left, until_us - NOW)).collect()
    }

    fn one(remaining: &'static str, reset: &'static str) -> Option<(u64, Micros)> {
        let date = ("date", "Mon, 23 Nov 2026 10:00:00 GMT");
        let told = told(&[("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", reset), date]);
        told.first().map(|(_, left, wait_us)| (*left, *wait_us))
    }

    #[test]
    fn a_reset_is_seconds_a_span_a_date_or_a_time_since_1970() {
        for (reset, wait_us) in [
            ("30", 30_000_000),
            ("0", 0),
            ("1.5", 1_500_000),
            ("6m0s", 360_000_000),
            ("1.5s", 1_500_000),
            ("20ms", 20_000),
            ("1h2m3s", LONGEST_US),
            ("2026-11-23T10:00:07Z", 7_000_000),
            ("2026-11-23T09:00:00Z", 0),
            ("1795428009", 9_000_000),
            ("1795428009500", 9_500_000),
            ("999999999", LONGEST_US),
        ] {
            assert_eq!(one("5", reset), Some((5, wait_us)), "{reset}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_advice() {
        for reset in ["", "soon", "-1", "1x", "NaN", "1e300", "m", "1.2.3s", "2026-13-45T00:00:00Z"] {
            assert_eq!(one("5", reset), None, "{reset}");
        }
        for remaining in ["", "many", "NaN", "inf"] {
            assert_eq!(one(remaining, "30"), None, "{remaining}");
        }
        assert_eq!(told(&[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "1795428009")]), [], "no Date");
    }

    #[test]
    fn a_negative_rest_is_none_and_a_fraction_is_cut() {
        assert_eq!([one("-3", "1"), one("4.9", "1")], [Some((0, SECOND_US)), Some((4, SECOND_US))]);
    }

    #[test]
    fn the_structured_field_names_several_limits() {
        let told = told(&[
            ("ratelimit", r#""burst";r=3;t=1, "daily";r=900;t=60"#),
            ("ratelimit", "default;t=5;r=0;pk=:abc:"),
            ("ratelimit", "limit=100, remaining=50, reset=5"),
            ("ratelimit", r#""x";r=1, "y";t=1, ;r=1;t=1, "z";r=-;t=1"#),
        ]);
        let names: Vec<_> = told.iter().map(|(name, left, wait_us)| (name.as_str(), *left, *wait_us)).collect();
        assert_eq!(
            names,
            [
                ("ratelimit burst", 3, SECOND_US),
                ("ratelimit daily", 900, 60 * SECOND_US),
                ("ratelimit default", 0, 5 * SECOND_US)
            ]
        );
    }

    #[test]
    fn tokens_are_no_requests_unless_none_are_left() {
        let tokens = |left| told(&[("x-ratelimit-remaining-tokens", left), ("x-ratelimit-reset-tokens", "6m0s")]).len();
        assert_eq!([tokens("149984"), tokens("0")], [0, 1]);
    }
}
