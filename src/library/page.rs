//! Results, page by page.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::error::Error;
use crate::store::sqlite::Finished;

/// A place in the results of a database: behind the last one seen. Begins before the first; can be kept as text.
///
/// ```
/// # fn main() -> Result<(), haul::CursorError> {
/// use haul::Cursor;
///
/// let cursor = Cursor::default();
/// let kept = cursor.to_string(); // in a file, say, until the next time
/// assert_eq!(kept.parse::<Cursor>()?, cursor);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    at_us: Micros,
    job: i64,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no cursor: keep the text that `Cursor` gives, as it is")]
pub struct CursorError(String);

impl Cursor {
    pub(super) fn place(self) -> (Micros, i64) {
        (self.at_us, self.job)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at_us, self.job)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let place = text.split_once('-').and_then(|(at_us, job)| Some((at_us.parse().ok()?, job.parse().ok()?)));
        let (at_us, job) = place.ok_or_else(|| CursorError(text.to_owned()))?;
        Ok(Self { at_us, job })
    }
}

impl TryFrom<String> for Cursor {
    type Error = CursorError;

    fn try_from(text: String) -> Result<Self, CursorError> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

/// Some results, in the order in which they were committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The results; none = there are no more for now.
    pub results: Vec<JobResult<T>>,
    /// Where the next page begins.
    pub next: Cursor,
}

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobResult<T> {
    /// `jobs.id`.
    pub job: i64,
    /// Its key.
    pub key: String,
    /// The claim that made it.
    pub attempt: u32,
    /// What the processor made.
    pub output: T,
    /// Name and version of the processor.
    pub processor: String,
    /// When it was written, in microseconds since 1970 UTC. Never earlier than a result before it.
    pub finished_at_us: Micros,
}

impl<T: DeserializeOwned> Page<T> {
    pub(super) fn read(from: Cursor, found: Vec<Finished>) -> Result<Self, Error> {
        let next = found.last().map_or(from, |last| Cursor { at_us: last.finished_at_us, job: last.job });
        let results = found.into_iter().map(result).collect::<Result<_, _>>()?;
        Ok(Self { results, next })
    }
}

fn result<T: DeserializeOwned>(found: Finished) -> Result<JobResult<T>, Error> {
    let Finished { finished_at_us, job, key, attempt, processor, output } = found;
    match serde_json::from_str(&output) {
        Ok(output) => Ok(JobResult { job, key, attempt, output, processor, finished_at_us }),
        Err(source) => Err(Error::Shape { job, key, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text_and_nothing_else_does() {
        let cursor = Cursor { at_us: 1_700_000_000_000_000, job: 17 };
        let json = serde_json::to_string(&cursor).expect("a text");
        assert_eq!(json, "\"1700000000000000-17\"");
        assert_eq!(serde_json::from_str::<Cursor>(&json).expect("a cursor"), cursor);
        assert_eq!("0-0".parse(), Ok(Cursor::default()));
        for wrong in ["", "1", "a-1", "1-", "1-2-3"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(CursorError(wrong.to_owned())));
        }
    }
}
