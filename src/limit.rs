//! A rate limit: at most `permits` requests in any window of `window_us`.

pub mod capacity;
pub mod joint;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::{Micros, SECOND_US};

/// J of the rule until the user or a 429 says otherwise: the spread between sending and arriving.
pub const DEFAULT_JITTER_US: Micros = 20_000;

/// At most `permits` requests in any half-open window of `window_us`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// As given: `20/s`. Its identity in the database.
    pub name: String,
    /// N of the rule, at least 1.
    pub permits: u32,
    /// W of the rule.
    pub window_us: Micros,
    /// J of the rule.
    pub jitter_us: Micros,
}

/// Permits written down before they were used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Name of the limit.
    pub limit: String,
    /// Void after this time.
    pub until_us: Micros,
    /// How many.
    pub permits: u32,
}

/// What a response says of one of the server's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// What the server calls it.
    pub name: String,
    /// So many requests more ..
    pub left: u64,
    /// .. until this time.
    pub until_us: Micros,
}

/// Why nothing is sent for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Until then.
    pub until_us: Micros,
    /// The limit that has it wait, by name; `None`: the server asked for it.
    pub limit: Option<String>,
}

/// What is left of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub limit: String,
    /// N of the rule.
    pub permits: u32,
    /// So many may be used now.
    pub left: u32,
    /// When there is one more.
    pub next_us: Option<Micros>,
}

/// A window is so long that people have to know what is left in it.
#[must_use]
pub fn is_long(window_us: Micros) -> bool {
    window_us > 60 * SECOND_US
}

/// A step of the wall clock below this cannot be told from the steps in which the clock that nobody sets is read.
pub const LEAST_STEP_US: Micros = 20_000;

/// What is wrong with a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no rate: {reason}; write 20/s, 600/m, 1000/h, 10000/d or 100/10s")]
pub struct RateError {
    text: String,
    reason: &'static str,
}

/// The shortest window; below it the spread of the network is many windows wide.
const MIN_WINDOW_US: Micros = 1_000;

/// The longest window: a leap year.
const MAX_WINDOW_US: Micros = 366 * 24 * 3600 * SECOND_US;

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Limit {
    type Err = RateError;

    /// Reads `PERMITS/[COUNT]UNIT`, the unit one of `ms s m h d`: `20/s`, `600/m`, `100/10s`, `3/500ms`.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let name = text.trim();
        parts(name)
            .map(|(permits, window_us)| Self {
                name: name.to_owned(),
                permits,
                window_us,
                jitter_us: DEFAULT_JITTER_US,
            })
            .map_err(|reason| RateError { text: name.to_owned(), reason })
    }
}

impl TryFrom<&str> for Limit {
    type Error = RateError;

    fn try_from(text: &str) -> Result<Self, RateError> {
        text.parse()
    }
}

impl TryFrom<String> for Limit {
    type Error = RateError;

    fn try_from(text: String) -> Result<Self, RateError> {
        text.parse()
    }
}

/// How often J was doubled since it was given, as far as the limit that is paced is concerned: the shortest.
#[must_use]
pub fn doublings(given: &[Limit], kept: &[Limit]) -> u32 {
    let shortest = kept.iter().min_by_key(|limit| (limit.window_us, limit.permits));
    let doublings = |kept: &Limit| {
        let given_us = given.iter().find(|given| given.name == kept.name)?.jitter_us.max(1);
        (kept.jitter_us / given_us).checked_ilog2()
    };
    shortest.and_then(doublings).unwrap_or(0)
}

/// Permits and window of a rate, or what is wrong with it.
fn parts(rate: &str) -> Result<(u32, Micros), &'static str> {
    if rate.is_empty() {
        return Err("it is empty");
    }
    let (permits, window) = rate.split_once('/').ok_or("it names no window")?;
    Ok((permits_of(permits)?, window_of(window)?))
}

fn permits_of(text: &str) -> Result<u32, &'static str> {
    match text {
        "" => return Err("it names no number of requests"),
        _ if text.starts_with('-') => return Err("the number of requests is negative"),
        // `parse` alone would take `+20` too.
        _ if !text.bytes().all(|b| b.is_ascii_digit()) => return Err("the number of requests is not a whole number"),
        _ => {}
    }
    match text.parse() {
        Ok(0) => Err("it would never send a request"),
        Ok(permits) => Ok(permits),
        Err(_) => Err("the number of requests is too large"),
    }
}

fn window_of(text: &str) -> Result<Micros, &'static str> {
    let (count, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let unit_us: Micros = match unit {
        "ms" => 1_000,
        "s" => SECOND_US,
        "m" => 60 * SECOND_US,
        "h" => 3600 * SECOND_US,
        "d" => 24 * 3600 * SECOND_US,
        "" => return Err("its window has no unit (ms, s, m, h or d)"),
        _ if unit.starts_with('-') => return Err("its window is negative"),
        _ => return Err("its window is not a whole number of ms, s, m, h or d"),
    };
    let count: Micros = match count {
        "" => 1,
        _ => count.parse().map_err(|_| "its window is longer than 366 days")?,
    };
    match count.saturating_mul(unit_us) {
        us if us < MIN_WINDOW_US => Err("its window is shorter than 1 ms"),
        us if us > MAX_WINDOW_US => Err("its window is longer than 366 days"),
        us => Ok(us),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(rate: &str) -> (u32, Micros) {
        let limit: Limit = rate.parse().unwrap();
        assert_eq!(limit.jitter_us, DEFAULT_JITTER_US);
        (limit.permits, limit.window_us)
    }

    fn reason(rate: &str) -> &'static str {
        rate.parse::<Limit>().unwrap_err().reason
    }

    #[test]
    fn a_rate_is_permits_over_a_window() {
        assert_eq!(read("20/s"), (20, SECOND_US));
        assert_eq!(read("600/m"), (600, 60 * SECOND_US));
        assert_eq!(read("100/10s"), (100, 10 * SECOND_US));
        assert_eq!(read("1000/h"), (1000, 3600 * SECOND_US));
        assert_eq!(read("10000/d"), (10_000, 86_400 * SECOND_US));
        assert_eq!(read("3/500ms"), (3, 500_000));
        assert_eq!(read("4294967295/366d"), (u32::MAX, MAX_WINDOW_US));
    }

    #[test]
    fn the_name_is_the_rate_as_given_without_the_space_around_it() {
        assert_eq!(" 060/1m\n".parse::<Limit>().unwrap().name, "060/1m");
    }

    #[test]
    fn a_rate_that_can_not_be_meant_is_refused_with_its_reason() {
        assert_eq!(reason(" "), "it is empty");
        assert_eq!(reason("20"), "it names no window");
        assert_eq!(reason("/s"), "it names no number of requests");
        assert_eq!(reason("0/s"), "it would never send a request");
        assert_eq!(reason("-1/s"), "the number of requests is negative");
        assert_eq!(reason("+1/s"), "the number of requests is not a whole number");
        assert_eq!(reason("1.5/s"), "the number of requests is not a whole number");
        assert_eq!(reason("4294967296/s"), "the number of requests is too large");
        assert_eq!(reason("1/"), "its window has no unit (ms, s, m, h or d)");
        assert_eq!(reason("1/10"), "its window has no unit (ms, s, m, h or d)");
        assert_eq!(reason("1/-1s"), "its window is negative");
        assert_eq!(reason("1/1.5s"), "its window is not a whole number of ms, s, m, h or d");
        assert_eq!(reason("1/us"), "its window is not a whole number of ms, s, m, h or d");
        assert_eq!(reason("1/0s"), "its window is shorter than 1 ms");
        assert_eq!(reason("1/367d"), "its window is longer than 366 days");
        assert_eq!(reason("1/99999999999999999999s"), "its window is longer than 366 days");
        assert_eq!(reason("1/9223372036854775807d"), "its window is longer than 366 days");
    }

    #[test]
    fn a_refusal_says_how_to_write_a_rate() {
        assert_eq!(
            "20".parse::<Limit>().unwrap_err().to_string(),
            "`20` is no rate: it names no window; write 20/s, 600/m, 1000/h, 10000/d or 100/10s"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_in_bounds(text in "\\PC{0,12}|[0-9+-]{0,20}/[0-9-]{0,20}(ms|s|m|h|d)?") {
            if let Ok(limit) = text.parse::<Limit>() {
                prop_assert!(limit.permits > 0);
                prop_assert!((MIN_WINDOW_US..=MAX_WINDOW_US).contains(&limit.window_us));
            }
        }
    }
}
