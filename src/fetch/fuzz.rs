//! Whatever headers and bodies say: no panic, no wait beyond the longest, no words that steer a terminal.
//! `HAUL_FUZZ_SECONDS=600 cargo test --lib -- fuzz` tries others for so long.

use std::io::Write;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{advice, failure, retry_after};
use crate::clock::{Clock, Micros, SECOND_US};
use crate::secret::Values;
use crate::settings::Settings;

const NOW: Micros = 1_700_000_000_000_000;
const HOUR_US: Micros = 3_600 * SECOND_US;

const NAMES: [&str; 9] = [
    "ratelimit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "retry-after",
    "date",
];

const PIECES: [&str; 42] = [
    "99999999",
    "9999h",
    "0",
    "1",
    "-1",
    "5",
    "99999999999",
    "1e308",
    "1e-308",
    "9e999",
    "NaN",
    "inf",
    "18446744073709551616",
    "1700000000",
    "1700000000000",
    ".",
    "..",
    "+",
    "s",
    "ms",
    "m",
    "h",
    "µs",
    "ns",
    "6m0s",
    "\"a\"",
    ";",
    "r=",
    "t=",
    "r=0",
    "t=1",
    "=",
    ",",
    "?1",
    ":YQ==:",
    "Mon, 23 Nov 2026 10:00:00 GMT",
    "Tue, 23 Nov 9999 10:00:00 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "2026-11-23T10:00:00Z",
    "9999-99-99T99:99:99Z",
    " ",
    "\t",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        9 => prop::sample::select(&PIECES[..]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    // One of them alone often makes sense.
    let piece = piece.boxed();
    prop_oneof![piece.clone(), prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())]
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    prop::collection::vec((prop::sample::select(&NAMES[..]), value()), 4..16).prop_map(|lines| {
        let lines = lines.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_bytes(&value).ok()?)));
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| _ = headers.append(HeaderName::from_static(name), value));
        headers
    })
}

/// Tries as many as usual, and then others for as long as the environment says.
fn tried<S: Strategy>(what: &str, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seconds = std::env::var("HAUL_FUZZ_SECONDS").map_or(0, |text| text.parse().expect("a number"));
    let clock = Clock::start();
    let ends_us = clock.now_us() + seconds * SECOND_US;
    let mut cases = 0;
    loop {
        // Each has a seed of its own.
        let mut runner = TestRunner::default();
        if let Err(found) = runner.run(strategy, &test) {
            panic!("{what}: {found}");
        }
        cases += u64::from(runner.config().cases);
        if clock.now_us() >= ends_us {
            // Figures for people; an error means that nobody looks.
            return drop(writeln!(std::io::stderr(), "fuzz of {what}: {cases} cases"));
        }
    }
}

// Seen failing with a reset that is not held to the longest wait.
#[test]
fn fuzz_of_advice() {
    let bodies = prop::collection::vec(any::<u8>(), 0..300);
    tried("advice", &(headers(), bodies, 100_u16..1000), |(headers, body, code)| {
        for allowance in advice::allowances(&headers, NOW) {
            prop_assert!((NOW..=NOW + HOUR_US).contains(&allowance.until_us), "{allowance:?}");
        }
        let settings = Settings::default();
        let status = StatusCode::from_u16(code).expect("a status");
        let failed = failure::of_status(status, &headers, &body, &settings, &Values::default(), NOW);
        prop_assert_eq!(failed.is_some(), code / 100 != 2);
        if let Some(failure) = failed {
            prop_assert!(failure.not_before_us.is_none_or(|until_us| (NOW..=NOW + HOUR_US).contains(&until_us)));
            prop_assert!(!failure.message.contains(|c: char| c.is_control()), "{:?}", failure.message);
            prop_assert!(failure.message.chars().count() < 300, "{:?}", failure.message);
        }
        Ok(())
    });
}

// Seen failing with a date that is not held to the longest wait.
#[test]
fn fuzz_of_retry_after() {
    let date = prop::option::of(prop_oneof![Just(b"Mon, 23 Nov 2026 10:00:00 GMT".to_vec()), value()]);
    tried("Retry-After", &(value(), date), |(value, date)| {
        let date = date.map(|date| String::from_utf8_lossy(&date).into_owned());
        if let Some(wait) = retry_after(&String::from_utf8_lossy(&value), date.as_deref()) {
            prop_assert!(wait.as_secs() <= 3600, "{wait:?}");
        }
        Ok(())
    });
}
