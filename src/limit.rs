//! A rate limit: at most `permits` requests in any window of `window_us`.

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

/// What is wrong with a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no rate: {reason}; write 20/s, 600/m, 1000/h, 10000/d or 100/10s")]
pub struct RateError {
    text: String,
    reason: &'static str,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
