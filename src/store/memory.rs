//! A store in memory: the same promises as a database, as plainly as they can be written. For tests and simulations.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Micros;
use crate::job::Wish;
use crate::limit::Limit;
use crate::minutes::Minutes;
use crate::store::{
    Beat, Chunk, Committed, Counts, Done, Further, Granted, Imported, Lease, Look, NewRun, Part, Parts, Recovered,
    Reject, Rerender, Rerendered, RunOutcome, Spent, Store, Want, WriteBack,
};

mod imports;
mod tables;
mod verbs;

pub use tables::{Attempt, Fault, Import, Job, KeptLimit, Run, Tables};

/// A handle on a store in memory; clones are handles on the same one.
///
/// A crash of the process is modelled by dropping everything but a handle: what the verbs wrote is there, nothing else.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Tables>>);

impl MemoryStore {
    /// A copy of all that is stored now.
    #[must_use]
    pub fn inspect(&self) -> Tables {
        self.with(|tables| tables.clone())
    }

    /// Looks at what is stored now, without a copy.
    pub fn peek<T>(&self, eye: impl FnOnce(&Tables) -> T) -> T {
        self.with(|tables| eye(tables))
    }

    /// Makes all that is stored what it was once: the commits since then are lost, as they may be where the power fails
    /// and a commit need only survive a crash.
    pub fn restore(&self, tables: Tables) {
        self.with(|now| *now = tables);
    }

    /// Does one verb. A verb is one transaction: the lock is held from its first to its last change.
    fn with<T>(&self, verb: impl FnOnce(&mut Tables) -> T) -> T {
        // A test that panicked in a verb has failed already; the lock it held is no second failure.
        verb(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for MemoryStore {
    async fn begin_import(&self, source: &str, template: Option<&str>, now_us: Micros) -> Done<i64> {
        Ok(self.with(|tables| tables.begin_import(source, template, now_us)))
    }

    async fn import(&self, import: i64, chunk: &Chunk, now_us: Micros) -> Done<Imported> {
        self.with(|tables| Ok(tables.import(import, chunk, now_us)?.0))
    }

    /// Works on a copy, as the lock cannot be held while a part is waited for: nobody else may write meanwhile.
    async fn import_whole<P: Parts>(&self, parts: &mut P, now_us: Micros) -> Done<bool> {
        let mut copy = self.inspect();
        let mut import = 0;
        loop {
            match parts.next().await {
                Part::Input { source, template } => import = copy.begin_import(&source, template.as_deref(), now_us),
                Part::Rows(rows) => {
                    let (done, conflicts) = copy.import(import, &rows, now_us)?;
                    parts.took(done, conflicts);
                }
                Part::End { keep } => {
                    if keep {
                        self.with(|tables| *tables = copy);
                    }
                    return Ok(keep);
                }
            }
        }
    }

    async fn rerender(
        &self,
        change: &Rerender<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        now_us: Micros,
    ) -> Done<Rerendered> {
        Ok(self.with(|tables| {
            let mut copy = tables.clone();
            let mut done = copy.rerender(change, now_us);
            done.interrupted = stop();
            if done.keep() {
                *tables = copy;
            }
            done
        }))
    }

    async fn rejected(&self, import: i64, after_line: u64, most: u32) -> Done<Vec<Reject>> {
        Ok(self.with(|tables| tables.rejected_after(import, after_line, most)))
    }

    async fn recover(&self, run: &NewRun, now_us: Micros) -> Done<Recovered> {
        Ok(self.with(|tables| tables.recover(run, now_us)))
    }

    async fn claim(&self, run: i64, want: &Want, spends: &[Micros], now_us: Micros) -> Done<Vec<Lease>> {
        Ok(self.with(|tables| tables.claim(run, want, spends, now_us)))
    }

    async fn commit(&self, run: i64, batch: &[WriteBack], minutes: &Minutes, now_us: Micros) -> Done<Committed> {
        Ok(self.with(|tables| tables.commit(run, batch, minutes, now_us)))
    }

    async fn exchange(
        &self,
        run: i64,
        batch: &[WriteBack],
        minutes: &Minutes,
        want: &Want,
        spends: &[Micros],
        now_us: Micros,
    ) -> Done<(Committed, Vec<Lease>)> {
        Ok(self.with(|tables| {
            let committed = tables.commit(run, batch, minutes, now_us);
            (committed, tables.claim(run, want, spends, now_us))
        }))
    }

    async fn spend(&self, run: i64, further: &[Further]) -> Done<Vec<Spent>> {
        Ok(self.with(|tables| tables.spend_further(run, further)))
    }

    async fn release(&self, run: i64, leases: &[(i64, u32)], spends: &[Micros]) -> Done<()> {
        self.with(|tables| tables.release(run, leases, spends));
        Ok(())
    }

    async fn accuse(&self, run: i64, job: i64, attempt: u32) -> Done<bool> {
        Ok(self.with(|tables| tables.accuse(run, job, attempt)))
    }

    async fn next_due(&self) -> Done<Option<Micros>> {
        Ok(self.with(|tables| tables.next_due()))
    }

    async fn next_to_process(&self) -> Done<Option<Micros>> {
        Ok(self.with(|tables| tables.next_to_process()))
    }

    async fn pause_limit(&self, limit: &Limit, until_us: Micros) -> Done<()> {
        self.with(|tables| tables.pause_limit(limit, until_us));
        Ok(())
    }

    async fn look(&self, run: i64, beat: Option<&Beat>) -> Done<Look> {
        Ok(self.with(|tables| tables.look(run, beat)))
    }

    async fn end(&self, run: i64, outcome: RunOutcome, now_us: Micros) -> Done<()> {
        self.with(|tables| tables.end(run, outcome, now_us));
        Ok(())
    }

    async fn ask_to_stop(&self, run: i64) -> Done<bool> {
        Ok(self.with(|tables| tables.ask_to_stop(run)))
    }

    async fn ask_to_pause(&self, run: i64, pause: bool) -> Done<bool> {
        Ok(self.with(|tables| tables.ask_to_pause(run, pause)))
    }

    async fn keep_limits(&self, limits: &[Limit]) -> Done<()> {
        self.with(|tables| tables.steer_limits(limits));
        Ok(())
    }

    async fn limits(&self) -> Done<Vec<Limit>> {
        Ok(self.with(|tables| tables.limits_in_order()))
    }

    async fn grant(&self, wish: Wish, jobs: &[i64], now_us: Micros) -> Done<Granted> {
        Ok(self.with(|tables| tables.grant(wish, jobs, now_us)))
    }

    async fn prune(&self, jobs: &[i64]) -> Done<u64> {
        Ok(self.with(|tables| tables.prune(jobs)))
    }

    async fn settings(&self) -> Done<Option<String>> {
        Ok(self.with(|tables| tables.settings()))
    }

    async fn template(&self) -> Done<Option<String>> {
        Ok(self.with(|tables| tables.template()))
    }

    async fn counts(&self) -> Done<Counts> {
        Ok(self.with(|tables| tables.counts.clone()))
    }
}
