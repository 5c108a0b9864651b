//! The step from rows to jobs: pure, and the same for every format.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

use super::records::excerpt;
use super::{Duplicates, Row, Rows};
use crate::request::Request;
use crate::store::{NewJob, OnConflict, Reject};
use crate::template::{Made, Template};

/// Requests remembered to know equal ones, at most: what fits into 18 MB, for a table of this size doubles beyond it.
const REMEMBERED: usize = 7 << 17;

/// Why there are no more jobs, though there may be more rows.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The input broke off.
    Broken(io::Error),
    /// There are too many different requests to tell which are equal.
    TooMany,
}

/// The jobs of some rows.
pub(crate) struct Jobs {
    pub(super) rows: Box<dyn Rows>,
    template: Arc<Template>,
    duplicates: Duplicates,
    on_conflict: OnConflict,
    /// How often a request was seen, by the hash of its key.
    seen: HashMap<u64, u32>,
    /// So many different ones at most.
    most: usize,
    hasher: RandomState,
    /// Rows that joined the job of an earlier one.
    pub(crate) joined: u64,
    /// Rows refused because their request is that of an earlier one.
    pub(crate) refused: u64,
}

impl Jobs {
    pub(crate) fn new(
        rows: Box<dyn Rows>,
        template: Arc<Template>,
        duplicates: Duplicates,
        on_conflict: OnConflict,
    ) -> Self {
        let (seen, hasher) = (HashMap::new(), RandomState::new());
        Self { rows, template, duplicates, on_conflict, seen, most: REMEMBERED, hasher, joined: 0, refused: 0 }
    }

    /// Remembers fewer.
    #[cfg(test)]
    pub(crate) fn remembering(self, most: usize) -> Self {
        Self { most, ..self }
    }

    pub(super) fn job(&mut self, row: Row) -> Result<Result<NewJob, Reject>, Ended> {
        let line = row.line;
        let made = match self.template.make(row.values, row.raw.as_deref()) {
            Ok(Made { key, hashed: false, request }) => Ok((key, request, self.on_conflict)),
            // A hash is known with another request only where other templates left it so: that row was asked for already.
            Ok(Made { key, hashed: true, request }) => {
                self.tell_apart(key, &request)?.map(|key| (key, request, OnConflict::Skip))
            }
            Err(refusal) => Err(refusal.to_string()),
        };
        Ok(match made {
            Ok((key, request, on_conflict)) => Ok(NewJob { key, line, request, on_conflict }),
            Err(reason) => Err(Reject { line, reason, text: excerpt(self.rows.text()) }),
        })
    }

    /// Equal requests have equal keys, unless keys are given: the n-th of its kind may be another job.
    fn tell_apart(&mut self, key: String, request: &Request) -> Result<Result<String, String>, Ended> {
        let harmless = matches!(request.method.as_str(), "GET" | "HEAD");
        let may_join = self.duplicates == Duplicates::Merge || (harmless && self.duplicates != Duplicates::Keep);
        let full = self.seen.len() >= self.most;
        let hash = self.hasher.hash_one(&key);
        let times = match self.seen.get_mut(&hash) {
            Some(times) => times,
            // Beyond the limit they are one job still, only not counted.
            None if full && may_join => return Ok(Ok(key)),
            None if full => return Err(Ended::TooMany),
            // Asked for here alone: an entry of a full table doubles it, used or not.
            None => self.seen.entry(hash).or_default(),
        };
        *times += 1;
        Ok(match *times {
            1 => Ok(key),
            times if self.duplicates == Duplicates::Keep => Ok(format!("{key}-{times}")),
            _ if may_join => {
                self.joined += 1;
                Ok(key)
            }
            _ => {
                self.refused += 1;
                let method = &request.method;
                Err(format!(
                    "an earlier row makes the same {method}; --merge-duplicates sends it once, --keep-duplicates each \
                     time, --key tells them apart"
                ))
            }
        })
    }
}

impl Iterator for Jobs {
    type Item = Result<Result<NewJob, Reject>, Ended>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.rows.next() {
            Ok(None) => return None,
            Ok(Some(Ok(row))) => self.job(row),
            Ok(Some(Err(reject))) => Ok(Err(reject)),
            Err(error) => Err(Ended::Broken(error)),
        })
    }
}
