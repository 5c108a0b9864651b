//! An input read as an import would: into a throw-away database, and held against the one there is.

use std::path::PathBuf;

use anyhow::Context;
use haul::clock::Clock;
use haul::import::{self, Progress, Summary, Taker};
use haul::request::Request;
use haul::settings::Durability;
use haul::stop::{Phase, Stop};
use haul::store::sqlite::{SqliteStore, open_read_only, plan};
use haul::store::{Chunk, Imported, OnConflict, Store, StoreError};
use sqlx::{Connection, SqliteConnection};

use super::FIRST;
use crate::cli::import::{Opened, say};

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
    mut there: Option<&mut SqliteConnection>,
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
        let mut sieve = Sieve { store: &store, import, there: there.as_deref_mut(), clock };
        let mut said_us = clock.now_us();
        let mut progress = |now: Progress| {
            if !quiet && clock.now_us() - said_us > 2_000_000 {
                said_us = clock.now_us();
                say(&format!("{name}: {} rows read so far", now.rows));
            }
        };
        let asked = || stop.phase() > Phase::Go;
        let summary = import::survey(input, template.clone(), &mut sieve, &asked, &mut progress).await?;
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
    import: i64,
    there: Option<&'a mut SqliteConnection>,
    clock: Clock,
}

impl Taker for Sieve<'_> {
    async fn take(&mut self, chunk: &Chunk) -> Result<Imported, StoreError> {
        let mut known = vec![None; chunk.jobs.len()];
        if let Some(there) = self.there.as_deref_mut() {
            for found in plan::known(there, &chunk.jobs).await? {
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
                OnConflict::Update | OnConflict::Reject if known.other => done.rejected += 1,
                _ => done.known += 1,
            }
        }
        let imported = self.store.import(self.import, &new, self.clock.now_us()).await?;
        Ok(Imported {
            added: imported.added,
            known: done.known + imported.known,
            updated: done.updated + imported.updated,
            rejected: done.rejected + imported.rejected,
        })
    }
}
