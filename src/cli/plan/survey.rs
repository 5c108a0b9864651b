//! An input read as an import would: into a throw-away database, and held against the one there is.

use std::path::{Path, PathBuf};

use anyhow::Context;
use haul::clock::Clock;
use haul::import::{self, Progress, Summary, Taker};
use haul::request::Request;
use haul::settings::Durability;
use haul::stop::{Phase, Stop};
use haul::store::sqlite::{SqliteStore, open_read_only, plan};
use haul::store::{Chunk, Imported, NewJob, OnConflict, Reject, Store, StoreError};
use sqlx::Connection;

use super::FIRST;
use crate::cli::database::Reader;
use crate::cli::import::{Opened, say};

/// Rejected rows of an input that are shown, at most.
const EXAMPLES: usize = 3;

/// What the inputs would make.
#[derive(Debug, Default)]
pub(super) struct Surveyed {
    /// By name.
    pub(super) inputs: Vec<(String, Summary)>,
    /// The first requests of new jobs.
    pub(super) first: Vec<Request>,
}

impl Surveyed {
    pub(super) fn added(&self) -> u64 {
        self.inputs.iter().map(|(_, summary)| summary.added).sum()
    }

    pub(super) fn rejected(&self) -> u64 {
        self.inputs.iter().map(|(_, summary)| summary.rejected).sum()
    }
}

/// Reads all inputs. What is new is kept aside until the end: only so keys that come again are seen, however many there are.
pub(super) async fn survey(
    opened: Opened,
    mut there: Option<&mut Reader>,
    stop: &Stop,
    quiet: bool,
) -> anyhow::Result<Surveyed> {
    let clock = Clock::start();
    let aside = Aside::new(clock);
    let store = SqliteStore::open(&aside.0, Durability::Crash, true).await.context("failed to keep the rows aside")?;
    let (inputs, template) = opened.into_parts();
    let mut surveyed = Surveyed::default();
    for input in inputs {
        let name = input.name().to_owned();
        let import = store.begin_import(&name, None, clock.now_us()).await?;
        let (there, conflicts) = (there.as_deref_mut(), Vec::new());
        let mut sieve = Sieve { store: &store, aside: &aside.0, import, there, clock, conflicts };
        let mut said_us = clock.now_us();
        let mut progress = |now: Progress| {
            if !quiet && clock.now_us() - said_us > 2_000_000 {
                said_us = clock.now_us();
                say(&format!("{name}: {} rows read so far", now.rows));
            }
        };
        let asked = || stop.phase() > Phase::Go;
        let mut summary = import::survey(input, template.clone(), &mut sieve, &asked, &mut progress).await?;
        summary.examples.append(&mut sieve.conflicts);
        first_lines(&mut summary.examples);
        let interrupted = summary.interrupted;
        surveyed.inputs.push((name, summary));
        if interrupted {
            break;
        }
    }
    let mut reader = open_read_only(&aside.0).await?;
    surveyed.first = plan::first(&mut reader, FIRST).await?;
    reader.close().await.context("failed to close the rows aside")?;
    store.close().await?;
    Ok(surveyed)
}

/// A database for a while.
struct Aside(PathBuf);

impl Aside {
    fn new(clock: Clock) -> Self {
        Self(std::env::temp_dir().join(format!("haul-plan-{}-{}.db", std::process::id(), clock.now_us())))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            // Most of them are not there.
            let _ = std::fs::remove_file(format!("{}{suffix}", self.0.display()));
        }
    }
}

/// Lets through what is new.
struct Sieve<'a> {
    store: &'a SqliteStore,
    /// Where the store is.
    aside: &'a Path,
    import: i64,
    there: Option<&'a mut Reader>,
    clock: Clock,
    /// The first rows whose key is known with another request.
    conflicts: Vec<Reject>,
}

impl Sieve<'_> {
    /// Keys that are known from an earlier row of the inputs.
    async fn compare_aside(&mut self, new: &[NewJob]) -> Result<(), StoreError> {
        let mut aside = open_read_only(self.aside).await?;
        let known = plan::known(&mut aside, new).await?;
        // It has only read.
        let _ = aside.close().await;
        let rows = known.iter().filter(|known| known.other).map(|known| &new[known.at]);
        self.conflicts.extend(rows.filter(|row| row.on_conflict == OnConflict::Reject).map(conflict));
        Ok(())
    }
}

fn conflict(row: &NewJob) -> Reject {
    let then = match row.on_conflict {
        OnConflict::Update => ", which was sent: it stays as it is",
        _ => "; give this row another key, or say --on-conflict skip or update",
    };
    let reason = format!("key `{}` is known with another request{then}", row.key);
    // Only the line and the reason are told.
    Reject { line: row.line, reason, text: String::new() }
}

fn first_lines(rejects: &mut Vec<Reject>) {
    rejects.sort_by_key(|reject| reject.line);
    rejects.truncate(EXAMPLES);
}

impl Taker for Sieve<'_> {
    async fn take(&mut self, chunk: &Chunk) -> Result<Imported, StoreError> {
        let mut known = vec![None; chunk.jobs.len()];
        if let Some(there) = self.there.as_deref_mut() {
            for found in there.known(&chunk.jobs).await? {
                known[found.at] = Some(found);
            }
        }
        let mut done = Imported::default();
        let mut new = Chunk { jobs: Vec::new(), rejects: chunk.rejects.clone() };
        for (job, known) in chunk.jobs.iter().zip(known) {
            let Some(known) = known else {
                new.jobs.push(job.clone());
                continue;
            };
            match job.on_conflict {
                OnConflict::Update if known.other && !known.sent => done.updated += 1,
                OnConflict::Update | OnConflict::Reject if known.other => {
                    done.rejected += 1;
                    self.conflicts.push(conflict(job));
                }
                _ => done.known += 1,
            }
        }
        let imported = self.store.import(self.import, &new, self.clock.now_us()).await?;
        if imported.rejected > new.rejects.len() as u64 && self.conflicts.len() < EXAMPLES {
            self.compare_aside(&new.jobs).await?;
        }
        first_lines(&mut self.conflicts);
        Ok(Imported {
            added: imported.added,
            known: done.known + imported.known,
            updated: done.updated + imported.updated,
            rejected: done.rejected + imported.rejected,
        })
    }
}
