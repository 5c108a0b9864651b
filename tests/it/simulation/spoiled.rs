//! Guards of the store that are taken out: what it did is undone in part, as if it had never been done.

use std::sync::Arc;

use haul::job::State;
use haul::limit::Spend;
use haul::store::Recovered;
use haul::store::memory::{Job, Tables};

use super::nature::Without;
use super::world::World;

impl World {
    /// Changes what is stored behind the back of the store.
    fn spoil(&self, change: impl FnOnce(&mut Tables)) {
        let mut tables = self.store.inspect();
        change(&mut tables);
        self.store.restore(tables);
    }

    pub(super) fn spoil_recovery(&mut self, before: &Tables, found: &mut Recovered) {
        let spoil_job = |was: &Job, is: &mut Job, without| match without {
            Without::Recovery => is.run = was.run,
            _ => is.standing.state = State::Pending,
        };
        match self.nature.without {
            Without::MovedPermits => found.spends = spends_of(before),
            without => self.spoil(|tables| {
                let mut leased = before.jobs.iter().filter(|(_, job)| job.run.is_some());
                let stored = |job: &Job| without == Without::Recovery || job.standing.state == State::Fetched;
                if let Some((id, was)) = leased.find(|(_, job)| stored(job)) {
                    let is = tables.jobs.get_mut(id).expect("no job is lost");
                    spoil_job(was, Arc::make_mut(is), without);
                }
            }),
        }
    }

    /// What a claim wrote down is gone: permits, or leases.
    pub(super) fn spoil_claim(&mut self, before: Tables) {
        let without = self.nature.without;
        self.spoil(|tables| match without {
            Without::WrittenFirst => tables.spends = before.spends,
            _ => {
                let free = |(id, was): (&i64, &Arc<Job>)| was.run.is_none().then_some(*id);
                for id in before.jobs.iter().filter_map(free) {
                    Arc::make_mut(tables.jobs.get_mut(&id).expect("no job is lost")).run = None;
                }
            }
        });
    }

    /// The second half of a commit is missing.
    pub(super) fn spoil_commit(&mut self, job: i64) {
        self.spoil(|tables| drop(tables.responses.remove(&job)));
    }
}

fn spends_of(tables: &Tables) -> Vec<Spend> {
    let spend = |((limit, until_us), permits): (&(String, i64), &u32)| Spend {
        limit: limit.clone(),
        until_us: *until_us,
        permits: *permits,
    };
    tables.spends.iter().map(spend).collect()
}
