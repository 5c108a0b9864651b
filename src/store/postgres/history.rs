//! Reads what became of a database over time, all workers together.

use std::collections::BTreeSet;

use super::overview;
use super::*;
use crate::report::history::{Example, History, Interrupted, MOST_RUNS, RunStory, Slot};
use crate::report::{phase, slots};
use crate::store::sqlite::{MOST_SPANS, MOST_TYPES};

impl PostgresStore {
    /// What became of a database so far. Works while runs are going; takes as long as there are minutes, failures and attempts.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn history(&self) -> Result<History, StoreError> {
        transaction!(self, "read the history of the database", session::BEGIN_SNAPSHOT, false, |tx| read(tx).await?)
    }
}

async fn read(tx: &mut Tx) -> Inner<History> {
    let overview = overview::read(tx).await?;
    let mut slots = slots::cut(&spans(tx).await?);
    fill(tx, &mut slots).await?;
    for row in rows!(tx, "history/failed.sql") {
        // What never was sent has no time; it stands with the jobs.
        let Some(minute) = row.try_get::<Option<Micros>, _>(1)? else { continue };
        if let Some(i) = slots::at(&slots, minute) {
            *slots[i].failed.entry(row.try_get(0)?).or_default() += rows::large(&row, 2)?;
        }
    }
    let by_run = interrupted(tx).await?;
    let found = rows!(tx, "history/count_runs.sql");
    let (all_runs, crashes) = (rows::large(&found[0], 0)?, rows::large(&found[0], 1)?);
    let interrupted = by_run.values().fold(Interrupted::default(), |all, run| Interrupted {
        jobs: all.jobs + run.jobs,
        stored: all.stored + run.stored,
    });
    let examples = examples(tx, &slots).await?;
    let now_us = overview.at;
    let mut runs = Vec::new();
    for row in rows!(tx, "history/runs.sql", MOST_RUNS as i64) {
        runs.push(run(&row, &by_run, now_us)?);
    }
    Ok(History { overview, slots, examples, runs, all_runs, crashes, interrupted })
}

/// When any worker was there: times that overlap are one.
async fn spans(tx: &mut Tx) -> Inner<Vec<(Micros, Micros)>> {
    let mut spans: Vec<(Micros, Micros)> = Vec::new();
    for row in rows!(tx, "history/spans.sql", MOST_SPANS) {
        spans.push((row.try_get(0)?, row.try_get(1)?));
    }
    spans.sort_unstable();
    let mut joined: Vec<(Micros, Micros)> = Vec::new();
    for (from, until) in spans {
        match joined.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(until),
            None => joined.push((from, until)),
        }
    }
    Ok(joined)
}

async fn fill(tx: &mut Tx, slots: &mut [Slot]) -> Inner<()> {
    let (from, to): (Vec<Micros>, Vec<Micros>) = slots.iter().map(|slot| (slot.from_us, slot.to_us)).unzip();
    for row in rows!(tx, "history/slots.sql", from, to) {
        let Some(slot) = usize::try_from(row.try_get::<i64, _>(0)?).ok().and_then(|i| slots.get_mut(i)) else {
            continue;
        };
        let n = rows::large(&row, 3)?;
        let spread = slot.stages.entry(row.try_get(1)?).or_default();
        spread.n += n;
        spread.late += rows::large(&row, 4)?;
        spread.failed += rows::large(&row, 5)?;
        spread.buckets.insert(row.try_get(2)?, n);
    }
    Ok(())
}

async fn examples(tx: &mut Tx, slots: &[Slot]) -> Inner<BTreeMap<String, Example>> {
    let types: BTreeSet<_> = slots.iter().flat_map(|slot| slot.failed.keys()).collect();
    let types: Vec<String> = types.into_iter().take(MOST_TYPES).cloned().collect();
    let example = |row: &PgRow| {
        Ok((row.try_get(0)?, Example { key: text::read(row.try_get(1)?), message: text::read(row.try_get(2)?) }))
    };
    rows!(tx, "history/examples.sql", types).iter().map(example).collect()
}

async fn interrupted(tx: &mut Tx) -> Inner<BTreeMap<i64, Interrupted>> {
    let run =
        |row: &PgRow| Ok((row.try_get(0)?, Interrupted { jobs: rows::large(row, 1)?, stored: rows::large(row, 2)? }));
    rows!(tx, "history/interrupted.sql").iter().map(run).collect()
}

fn run(row: &PgRow, by_run: &BTreeMap<i64, Interrupted>, now_us: Micros) -> Inner<RunStory> {
    let id = row.try_get(0)?;
    let (ended_at, heartbeat_at): (Option<Micros>, Micros) = (row.try_get(2)?, row.try_get(3)?);
    let outcome: Option<String> = row.try_get(4)?;
    let until = ended_at.filter(|_| outcome.as_deref() != Some("crashed")).unwrap_or(heartbeat_at);
    Ok(RunStory {
        id,
        started_at: row.try_get(1)?,
        until,
        phase: phase(heartbeat_at, ended_at, now_us),
        outcome,
        host: text::read(row.try_get(5)?),
        pid: row.try_get(6)?,
        version: row.try_get(7)?,
        settings: serde_json::from_str(row.try_get(8)?).ok(),
        requests: rows::large(row, 9)?,
        results: rows::large(row, 10)?,
        late: rows::large(row, 11)?,
        interrupted: by_run.get(&id).copied().unwrap_or_default(),
    })
}
