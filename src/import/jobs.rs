//! The step from rows to jobs: pure, and the same for every format.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

use super::records::excerpt;
use super::{Duplicates, Row, Rows};
use crate::request::Request;
use crate::store::{NewJob, OnConflict, Reject};
use crate::template::Template;

/// Requests remembered to count equal ones, at most; about 24 MB.
const REMEMBERED: usize = 1 << 20;

/// The jobs of some rows.
pub(crate) struct Jobs {
    rows: Box<dyn Rows>,
    template: Arc<Template>,
    duplicates: Duplicates,
    on_conflict: OnConflict,
    /// How often a request was seen, by the hash of its key.
    seen: HashMap<u64, u32>,
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
        Self { rows, template, duplicates, on_conflict, seen, hasher, joined: 0, refused: 0 }
    }

    /// Bytes of the input read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.rows.bytes_read()
    }

    fn job(&mut self, row: Row) -> Result<NewJob, Reject> {
        let line = row.line;
        let made = self.template.render(row.values).map_err(|refusal| refusal.to_string());
        let made = made.and_then(|(key, request)| Ok((self.tell_apart(key, &request)?, request)));
        // A hash is known with another request only where other templates left it so: that row was asked for already.
        let given = !self.template.key_is_hash();
        let on_conflict = if given { self.on_conflict } else { OnConflict::Skip };
        match made {
            Ok((key, request)) => Ok(NewJob { key, line, request, on_conflict }),
            Err(reason) => Err(Reject { line, reason, text: excerpt(self.rows.text()) }),
        }
    }

    /// Equal requests have equal keys, unless keys are given: the n-th of its kind may be another job.
    fn tell_apart(&mut self, key: String, request: &Request) -> Result<String, String> {
        if !self.template.key_is_hash() {
            return Ok(key);
        }
        let harmless = matches!(request.method.as_str(), "GET" | "HEAD");
        // Beyond the limit equal harmless requests are one job still, only not counted.
        if harmless && self.duplicates != Duplicates::Keep && self.seen.len() >= REMEMBERED {
            return Ok(key);
        }
        let times = self.seen.entry(self.hasher.hash_one(&key)).or_default();
        *times += 1;
        match (*times, self.duplicates) {
            (1, _) => Ok(key),
            (times, Duplicates::Keep) => Ok(format!("{key}-{times}")),
            (_, Duplicates::Refuse) if !harmless => {
                self.refused += 1;
                let method = &request.method;
                Err(format!(
                    "an earlier row makes the same {method}; --merge-duplicates sends it once, --keep-duplicates each \
                     time, --key tells them apart"
                ))
            }
            _ => {
                self.joined += 1;
                Ok(key)
            }
        }
    }
}

impl Iterator for Jobs {
    type Item = io::Result<Result<NewJob, Reject>>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next().transpose()?;
        Some(row.map(|row| row.and_then(|row| self.job(row))))
    }
}
