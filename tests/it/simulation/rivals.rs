//! Others who write to the same store: runs that were taken for dead and go on, and people at other terminals.

use haul::job::{State, Wish, wished};
use haul::minutes::Minutes;
use haul::pace::void_after;
use haul::store::{Lease, Store, Want, WriteBack};

use super::flight::{Flight, Stage};
use super::nature::Without;
use super::world::World;

/// Runs whose leases are gone, or that lead a life beside the one that is looked at.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    /// Write-backs of leases that are gone, by run, as after a pause of the whole machine. They may arrive at any time.
    pub(super) ghosts: Vec<(i64, WriteBack)>,
    /// A run that was taken for dead, and claims.
    run: Option<i64>,
    alive: bool,
    /// What it holds.
    pub(super) leases: Vec<Lease>,
}

impl Rivals {
    /// What they hold, as `(job, run, attempt)`.
    pub(super) fn held(&self) -> impl Iterator<Item = (i64, i64, u32)> {
        let run = self.run.unwrap_or_default();
        self.leases.iter().map(move |lease| (lease.job, run, lease.attempt))
    }

    /// A new run begins, and has taken all leases away.
    pub(super) fn recovered(&mut self) {
        self.leases.clear();
    }

    /// The machine stops. What they hold waits for a recovery.
    pub(super) fn die(&mut self) {
        (self.alive, self.ghosts) = (false, Vec::new());
    }
}

impl World {
    /// A second run begins although the first is alive: somebody has deleted the lock. The first knows nothing of it.
    pub(super) async fn start_beside(&mut self, run: i64) -> String {
        let now_us = self.now_us;
        let mut flights: Vec<Flight> = self.memory.flights.values().cloned().collect();
        self.crash("");
        for flight in flights.iter_mut().filter(|flight| flight.outcome().is_none()) {
            if matches!(flight.stage, Stage::Away { .. } | Stage::Leaving { .. }) {
                // What it is answered is for the first run alone.
                self.histories.entry(flight.lease.job).or_default().lost += 1;
            }
            flight.answered(true, now_us);
            self.rivals.ghosts.extend(flight.outcome().cloned().map(|back| (run, back)));
        }
        let said = self.start().await;
        (self.rivals.run, self.rivals.alive) = (Some(run), true);
        format!("beside run {run}, {said}")
    }

    /// The first of two runs claims once more before it sees that it is not alone.
    pub(super) async fn claim_beside(&mut self) -> String {
        let may = self.rivals.alive && self.rivals.leases.is_empty();
        let Some(run) = self.rivals.run.filter(|_| may) else { return "no rival".into() };
        let permits_us = [void_after(self.now_us)];
        let want = Want { slots: 1, requests: 1 };
        self.rivals.leases = self.store.claim(run, &want, &permits_us, self.now_us).await.expect("claim");
        self.somebody_wrote();
        self.look();
        format!("run {run} claims {} beside the other", self.rivals.leases.len())
    }

    /// Somebody who lost his leases, and has not noticed, does all that he believes he may.
    pub(super) async fn haunt(&mut self) -> String {
        let ghosts = self.random.some_of(&mut self.rivals.ghosts);
        if self.nature.without == Without::Fence {
            return self.haunt_unhindered(ghosts).await;
        }
        let before = self.store.inspect();
        for (run, back) in &ghosts {
            let batch = std::slice::from_ref(back);
            let done = self.store.commit(*run, batch, &Minutes::default(), self.now_us).await.expect("commit");
            assert_eq!(done.stale, [0]);
            assert!(!self.store.accuse(*run, back.job, back.attempt).await.expect("accuse"));
            self.store.release(*run, &[(back.job, back.attempt)], &[]).await.expect("release");
        }
        assert!(self.store.inspect() == before, "a ghost has written");
        format!("{} ghosts", ghosts.len())
    }

    /// As if there were no fence: a lease that is held now is taken for the one the ghost held.
    async fn haunt_unhindered(&mut self, ghosts: Vec<(i64, WriteBack)>) -> String {
        for (gone, back) in ghosts {
            let job = self.job(back.job);
            let Some(run) = job.run else {
                self.rivals.ghosts.push((gone, back));
                continue;
            };
            let back = WriteBack { attempt: job.attempts, ..back };
            self.store.commit(run, &[back], &Minutes::default(), self.now_us).await.expect("commit");
        }
        self.look();
        "ghosts, unhindered".into()
    }

    /// At another terminal jobs are retried, fetched again or cancelled.
    pub(super) async fn wish(&mut self) -> String {
        let wish = [Wish::Retry, Wish::Retry, Wish::Refetch, Wish::Cancel][self.random.below(4)];
        let mut ids: Vec<i64> = self.store.peek(|now| now.jobs.keys().copied().collect());
        ids.retain(|_| self.random.percent(20));
        self.wish_for(wish, &ids).await
    }

    /// A wish for these jobs: exactly those go that nobody holds and that it is for.
    pub(super) async fn wish_for(&mut self, wish: Wish, ids: &[i64]) -> String {
        let fit: Vec<_> = self.store.peek(|now| {
            let to = |id: &i64| {
                let job = now.jobs.get(id).filter(|job| job.run.is_none())?;
                let error_type = job.error.as_ref().map(|(error_type, _)| error_type);
                Some((*id, wished(wish, job.standing, error_type, now.responses.contains_key(id))?))
            };
            ids.iter().filter_map(to).collect()
        });
        let granted = self.store.grant(wish, ids, self.now_us).await.expect("grant");
        assert_eq!(granted.moved(), fit.len() as u64, "jobs that nobody holds, and that {wish:?} is for");
        for (id, standing) in &fit {
            let is = self.job(*id);
            assert_eq!(
                (is.standing, is.run, &is.error),
                (*standing, None, &None),
                "job {id}: not where {wish:?} takes it"
            );
            self.seen.jobs.insert(*id, is);
            let history = self.histories.entry(*id).or_default();
            history.failures = standing.failures;
            if standing.state == State::Pending {
                (history.sent, history.good, history.lost) = (false, 0, 0);
            }
        }
        self.somebody_wrote();
        self.look();
        format!("{wish:?} for {} of {} jobs", fit.len(), ids.len())
    }
}
