//! All rows of all inputs, or none: the inputs handed out part by part within one transaction.

use std::sync::Arc;

use super::jobs::Ended;
use super::{About, ImportError, Input, LOOK, Reading, Summary};
use crate::clock::Clock;
use crate::store::{Imported, Part, Parts, Reject, Store};
use crate::template::Template;

/// What became of inputs that are imported together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strict {
    /// They are imported; else nothing of them is.
    pub kept: bool,
    /// What was found in each, by its name. The examples include rows that the store refused.
    pub inputs: Vec<(String, Summary)>,
}

/// Imports all inputs in one transaction, unless one row is rejected: then nothing is imported, and every input was read to
/// its end to tell all that is wrong. `stop` is asked between chunks, and while an input is waited for; nothing is imported
/// then either. `told` is called for each chunk: with the name of its input, the rows of that so far, and the rows of the
/// chunk that are rejected, which are kept nowhere else.
///
/// Nobody else can write to the store meanwhile. Of a reader that waits for a stream, see [`super::import`].
///
/// # Errors
/// An input broke off, or the store failed; nothing is imported.
pub async fn import_strictly<S: Store>(
    store: &S,
    inputs: Vec<Input>,
    template: Arc<Template>,
    clock: &Clock,
    stop: &(dyn Fn() -> bool + Sync),
    told: &mut (dyn FnMut(&str, u64, &[Reject]) + Send),
) -> Result<Strict, ImportError> {
    let mut inputs = Inputs {
        left: inputs.into_iter(),
        template,
        stop,
        told,
        reading: None,
        handed_out: (About::default(), Vec::new()),
        done: Vec::new(),
        failed: None,
    };
    let kept = store.import_whole(&mut inputs, clock.now_us()).await?;
    match inputs.failed {
        Some(error) => Err(error),
        None => Ok(Strict { kept, inputs: inputs.done }),
    }
}

/// The inputs on their way to the store.
struct Inputs<'a> {
    left: std::vec::IntoIter<Input>,
    template: Arc<Template>,
    stop: &'a (dyn Fn() -> bool + Sync),
    told: &'a mut (dyn FnMut(&str, u64, &[Reject]) + Send),
    reading: Option<Reading>,
    /// What is known of the last chunk, and its rejected rows.
    handed_out: (About, Vec<Reject>),
    /// The last of these is being read.
    done: Vec<(String, Summary)>,
    failed: Option<ImportError>,
}

impl Inputs<'_> {
    /// Begins with the next input; there may be none.
    fn begin(&mut self) -> Part {
        let Some(input) = self.left.next() else {
            return Part::End { keep: self.done.iter().all(|(_, summary)| summary.rejected == 0) };
        };
        let source = input.name.clone();
        self.done.push((source.clone(), Summary::default()));
        self.reading = Some(Reading::start(input, self.template.clone()));
        Part::Input { source, template: Some(self.template.given().to_json()) }
    }

    fn interrupt(&mut self) -> Part {
        if let Some((_, summary)) = self.done.last_mut() {
            summary.interrupted = true;
        }
        Part::End { keep: false }
    }
}

impl Parts for Inputs<'_> {
    async fn next(&mut self) -> Part {
        loop {
            if (self.stop)() {
                return self.interrupt();
            }
            let Some(reading) = &mut self.reading else { return self.begin() };
            // Only the waiting is cut short: receiving loses nothing when it is dropped.
            match tokio::time::timeout(LOOK, reading.batches.recv()).await {
                Err(_) => {}
                Ok(Some(batch)) => {
                    self.handed_out = (batch.about, batch.chunk.rejects.clone());
                    return Part::Rows(batch.chunk);
                }
                Ok(None) => {
                    let Some(Reading { name, reader, .. }) = self.reading.take() else { continue };
                    self.failed = match reader.await {
                        Ok(Ok(())) => continue,
                        Ok(Err(Ended::Broken(source))) => Some(ImportError::ReadStrictly { name, source }),
                        Ok(Err(Ended::TooMany)) => Some(ImportError::TooManyDifferent { name, so_far: "nothing" }),
                        Err(_) => Some(ImportError::Reader { name }),
                    };
                    return Part::End { keep: false };
                }
            }
        }
    }

    fn took(&mut self, done: Imported, conflicts: Vec<Reject>) {
        let Some((name, summary)) = self.done.last_mut() else { return };
        let (about, mut rejects) = std::mem::take(&mut self.handed_out);
        summary.add(about, done);
        summary.show(conflicts.clone());
        rejects.extend(conflicts);
        rejects.sort_by_key(|reject| reject.line);
        (self.told)(name, summary.rows, &rejects);
    }
}
