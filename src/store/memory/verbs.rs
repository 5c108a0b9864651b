//! The verbs, each a plain function over the tables.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::{ErrorType, Measured};
use crate::backoff::Backoff;
use crate::clock::{BootTime, Micros, SECOND_US, wall_step};
use crate::job::{Event, Next, RetryRules, State, Wish, next, wished};
use crate::limit::{LEAST_STEP_US, Limit, Spend};
use crate::minutes::Minutes;
use crate::settings::OnUncertain;
use crate::store::{
    Beat, Committed, Further, Granted, Lease, Look, NewRun, Recovered, Reject, RunOutcome, Spent, WallClock, Want,
    WriteBack, within_bytes,
};

use super::tables::{Attempt, Job, KeptLimit, Run, Tables, next_id};

impl Tables {
    pub(super) fn rejected_after(&self, import: i64, line: u64, most: u32) -> Vec<Reject> {
        let after = self.rejected.range((import, line.saturating_add(1))..=(import, u64::MAX));
        after.map(|(_, reject)| reject.clone()).take(most as usize).collect()
    }

    pub(super) fn recover(&mut self, run: &NewRun, now_us: Micros) -> Recovered {
        let wall_clock = self.follow_wall_clock(run.boot.as_ref(), now_us);
        for dead in self.runs.values_mut().filter(|run| run.ended.is_none()) {
            dead.ended = Some((now_us, "crashed"));
        }
        let mut found = Recovered { run: next_id(&self.runs), wall_clock, ..Recovered::default() };
        let leased: Vec<i64> = self.jobs.iter().filter(|(_, job)| job.run.is_some()).map(|(id, _)| *id).collect();
        for id in leased {
            match self.interrupt(id, run.on_uncertain, wall_clock, now_us) {
                Some((Event::Lost, _)) => found.lost += 1,
                Some((_, State::Failed | State::Succeeded)) => found.poisoned += 1,
                _ => found.interrupted += 1,
            }
        }
        self.keep_limits(&run.limits);
        // Kept, so that a start after this one waits as long.
        let rest_until_us = wall_clock.rest_until_us(&run.limits, now_us);
        for kept in self.limits.values_mut().filter(|_| rest_until_us > now_us) {
            kept.paused_until_us = kept.paused_until_us.max(rest_until_us);
        }
        self.forget_spends(now_us);
        found.spends = self.spends.iter().map(spend).collect();
        found.limits = self.limits.values().map(|kept| (kept.limit.clone(), kept.paused_until_us)).collect();
        found.limits.sort_by_key(|(limit, _)| limit.window_us);
        let settings = run.settings.clone();
        let boot = run.boot.clone().map(|boot| (boot, now_us));
        let (started_at_us, heartbeat_at_us) = (now_us, now_us);
        let run = Run { started_at_us, heartbeat_at_us, boot, ended: None, settings, stop: false, pause: false };
        self.runs.insert(found.run, run);
        found
    }

    /// Moves permits, pauses and retries along with a wall clock that was set since the last sign of life of the last run.
    fn follow_wall_clock(&mut self, boot: Option<&BootTime>, now_us: Micros) -> WallClock {
        let Some(boot) = boot else { return WallClock::Same };
        let last = self.runs.last_key_value().and_then(|(_, run)| run.boot.clone());
        let Some((then, then_us)) = last else { return WallClock::Rebooted(boot.us) };
        let Some(step_us) = wall_step(then_us, &then, now_us, boot) else { return WallClock::Rebooted(boot.us) };
        if step_us.abs() < LEAST_STEP_US {
            return WallClock::Same;
        }
        let spends = std::mem::take(&mut self.spends).into_iter();
        self.spends = spends.map(|((limit, until_us), permits)| ((limit, until_us + step_us), permits)).collect();
        for kept in self.limits.values_mut().filter(|kept| kept.paused_until_us > 0) {
            kept.paused_until_us += step_us;
        }
        let waits = |job: &&mut Arc<Job>| job.is_free() && job.due_at_us > 0;
        for job in self.jobs.values_mut().filter(waits) {
            Arc::make_mut(job).due_at_us = (job.due_at_us + step_us).max(1);
        }
        WallClock::Set(step_us)
    }

    /// Frees the lease of a dead run and notes the attempt that was lost with it; gives what that means for the job, and
    /// the state it has then.
    fn interrupt(
        &mut self,
        id: i64,
        again: OnUncertain,
        wall_clock: WallClock,
        now_us: Micros,
    ) -> Option<(Event, State)> {
        // An interruption costs a job nothing, so no rule about retries has a say in it.
        const NO_WAIT: Backoff = Backoff { base: Duration::ZERO, ceiling: Duration::ZERO };
        const NO_RULES: RetryRules = RetryRules { max_attempts: 1, backoff: NO_WAIT, seed: 0 };
        let job = self.jobs.get(&id)?;
        let (run, attempt, permit_us) = (job.run?, job.attempts, job.due_at_us.saturating_add(wall_clock.step_us()));
        let late = job.standing.state == State::Pending && permit_us < now_us;
        let event = Event::of_death(job.standing.state, &job.request.method, again);
        let gone = next(job.standing, &event, &NO_RULES, id, attempt, now_us);
        // What a first write-back of this claim measured stays: its request was answered, only its processing was lost.
        let message = gone.error.as_ref().map_or_else(String::new, |(_, message)| message.clone());
        let error = gone.spared.clone().unwrap_or((ErrorType::INTERRUPTED, message));
        let row = self.attempts.entry((id, attempt)).or_insert_with(|| Attempt {
            run,
            measured: Measured::default(),
            error: None,
        });
        row.error = Some(error);
        self.change_job(id, |job| job.go(&gone, now_us))?;
        if late {
            // Its request may have left as late as the run died: on a connection that was long in opening, say.
            self.unspend(permit_us);
            self.spend(now_us);
        }
        Some((event, gone.standing.state))
    }

    /// Makes the limits exactly these. A known one keeps its pause, its jitter where that has grown, and its permits.
    fn keep_limits(&mut self, limits: &[Limit]) {
        let old = std::mem::take(&mut self.limits);
        // A limit that is new knows what was sent under the old ones: it takes over the permits of the longest of them.
        let longest = old.values().min_by_key(|kept| (-kept.limit.window_us, &kept.limit.name));
        let longest = longest.map(|kept| kept.limit.name.as_str());
        let taken: Vec<_> = self.spends.iter().filter(|((name, _), _)| Some(name.as_str()) == longest).collect();
        let taken: Vec<_> = taken.into_iter().map(|((_, until_us), permits)| (*until_us, *permits)).collect();
        for limit in limits {
            let known = old.get(&limit.name);
            let jitter_us = known.map_or(limit.jitter_us, |kept| kept.limit.jitter_us.max(limit.jitter_us));
            let paused_until_us = known.map_or(0, |kept| kept.paused_until_us);
            let kept = KeptLimit { limit: Limit { jitter_us, ..limit.clone() }, paused_until_us };
            self.limits.insert(limit.name.clone(), kept);
            if known.is_none() {
                self.spends.extend(taken.iter().map(|(until_us, permits)| ((limit.name.clone(), *until_us), *permits)));
            }
        }
        self.spends.retain(|(name, _), _| limits.iter().any(|limit| limit.name == *name));
    }

    pub(super) fn steer_limits(&mut self, limits: &[Limit]) {
        let paused_until_us = self.limits.values().map(|kept| kept.paused_until_us).max().unwrap_or(0);
        self.keep_limits(limits);
        for kept in self.limits.values_mut() {
            kept.paused_until_us = kept.paused_until_us.max(paused_until_us);
        }
        if let Some(mut last) = self.runs.last_entry()
            && let Ok(mut settings) = serde_json::from_str::<serde_json::Map<_, _>>(&last.get().settings)
        {
            settings.insert("limits".to_owned(), serde_json::json!(limits));
            last.get_mut().settings = serde_json::Value::Object(settings).to_string();
        }
    }

    pub(super) fn limits_in_order(&self) -> Vec<Limit> {
        let mut limits: Vec<_> = self.limits.values().map(|kept| kept.limit.clone()).collect();
        limits.sort_by_key(|limit| limit.window_us); // by name where that is the same, as they come
        limits
    }

    /// Permits that no window can still hold.
    fn forget_spends(&mut self, now_us: Micros) {
        self.spends.retain(|(name, until_us), _| {
            let limit = self.limits.get(name).map(|kept| &kept.limit);
            limit.is_some_and(|limit| *until_us > now_us - limit.window_us - limit.jitter_us)
        });
    }

    pub(super) fn claim(&mut self, run: i64, want: &Want, spends: &[Micros], now_us: Micros) -> Vec<Lease> {
        debug_assert!(self.limits.is_empty() || spends.len() >= want.requests, "a request without a permit");
        if self.runs.get(&run).is_none_or(|run| run.ended.is_some()) {
            return Vec::new(); // another run has ended it
        }
        let mut ready: Vec<_> = self.jobs.iter().filter_map(|(id, job)| Some((place(job, now_us)?, *id))).collect();
        ready.sort_unstable();
        let mut requests = 0;
        let (mut leases, mut sizes) = (Vec::new(), Vec::new());
        for ((needs_request, ..), id) in ready {
            if leases.len() == want.slots || (needs_request && requests == want.requests) {
                break; // whatever follows needs a request too
            }
            let permit_us = spends.get(requests).copied().filter(|_| needs_request);
            requests += usize::from(needs_request);
            let stored =
                if needs_request { 0 } else { self.responses.get(&id).map_or(0, |(_, r)| r.body.len() as u64) };
            sizes.push(stored);
            if within_bytes(sizes.iter().copied()) < sizes.len() && stored > 0 {
                break; // it goes first at the next claim
            }
            leases.extend(self.lease(run, id, permit_us));
        }
        leases.iter().filter_map(|lease| lease.permit_us).for_each(|until_us| self.spend(until_us));
        leases
    }

    fn spend(&mut self, until_us: Micros) {
        for (name, kept) in &self.limits {
            *self.spends.entry((name.clone(), bucket(&kept.limit, until_us))).or_default() += 1;
        }
    }

    fn unspend(&mut self, until_us: Micros) {
        for (name, kept) in &self.limits {
            if let Some(permits) = self.spends.get_mut(&(name.clone(), bucket(&kept.limit, until_us))) {
                *permits = permits.saturating_sub(1);
            }
        }
        self.spends.retain(|_, permits| *permits > 0);
    }

    fn lease(&mut self, run: i64, id: i64, permit_us: Option<Micros>) -> Option<Lease> {
        let job = Arc::make_mut(self.jobs.get_mut(&id)?);
        job.attempts += 1;
        job.run = Some(run);
        job.due_at_us = permit_us.unwrap_or(job.due_at_us);
        let fetched = job.standing.state == State::Fetched;
        Some(Lease {
            job: id,
            attempt: job.attempts,
            seen: crate::job::Job::claimed(id, job.attempts, job.key.clone(), job.request.clone()),
            standing: job.standing,
            suspect: job.error.as_ref().is_some_and(|(error_type, _)| *error_type == ErrorType::INTERRUPTED),
            response: self.responses.get(&id).filter(|_| fetched).map(|(_, response)| Arc::clone(response)),
            due_us: 0,
            permit_us,
        })
    }

    pub(super) fn commit(&mut self, run: i64, batch: &[WriteBack], minutes: &Minutes, now_us: Micros) -> Committed {
        let mut done = Committed::default();
        for (i, back) in batch.iter().enumerate() {
            if !self.holds(run, back.job, back.attempt) {
                done.stale.push(i);
                continue;
            }
            let attempt = Attempt { run, measured: back.measured.clone(), error: back.next.fault().cloned() };
            self.attempts.insert((back.job, back.attempt), attempt);
            if let Some(response) = &back.response {
                self.responses.insert(back.job, (back.attempt, Arc::clone(response)));
            }
            if back.drops_response {
                self.responses.remove(&back.job);
            }
            if let Some(output) = &back.output {
                self.results.insert(back.job, (back.attempt, output.clone()));
            }
            self.change_job(back.job, |job| job.go(&back.next, now_us));
            if let Some((from_us, to_us)) = back.late_permit {
                self.unspend(from_us);
                self.spend(to_us);
            }
        }
        for (place, bucket) in &minutes.0 {
            let sum = self.minutes.0.entry(*place).or_default();
            sum.n += bucket.n;
            sum.late += bucket.late;
            sum.failed += bucket.failed;
        }
        done
    }

    pub(super) fn spend_further(&mut self, run: i64, further: &[Further]) -> Vec<Spent> {
        let mut spent = Vec::new();
        for one in further {
            if !self.holds(run, one.job, one.attempt) {
                spent.push(Spent::Stale);
                continue;
            }
            spent.push(Spent::Written);
            self.change_job(one.job, |job| job.due_at_us = one.permit_us);
            self.spend(one.permit_us);
            if let Some((from_us, to_us)) = one.late_permit {
                self.unspend(from_us);
                self.spend(to_us);
            }
        }
        spent
    }

    pub(super) fn release(&mut self, run: i64, leases: &[(i64, u32)], spends: &[Micros]) {
        for (id, attempt) in leases {
            if self.holds(run, *id, *attempt) {
                self.change_job(*id, |job| (job.run, job.due_at_us) = (None, 0));
            }
        }
        spends.iter().for_each(|until_us| self.unspend(*until_us));
    }

    pub(super) fn accuse(&mut self, run: i64, job: i64, attempt: u32) -> bool {
        self.holds(run, job, attempt) && self.change_job(job, |job| job.standing.crashes += 1).is_some()
    }

    pub(super) fn next_due(&self) -> Option<Micros> {
        self.jobs.values().filter(|job| job.is_free()).map(|job| job.due_at_us).min()
    }

    pub(super) fn next_to_process(&self) -> Option<Micros> {
        let stored = |job: &&Arc<Job>| job.is_free() && job.standing.state == State::Fetched;
        self.jobs.values().filter(stored).map(|job| job.due_at_us).min()
    }

    pub(super) fn pause_limit(&mut self, limit: &Limit, until_us: Micros) {
        if let Some(kept) = self.limits.get_mut(&limit.name) {
            kept.paused_until_us = kept.paused_until_us.max(until_us);
            kept.limit.jitter_us = kept.limit.jitter_us.max(limit.jitter_us);
        }
    }

    pub(super) fn look(&mut self, run: i64, beat: Option<&Beat>) -> Look {
        let Some(run) = self.runs.get_mut(&run) else { return Look::default() };
        let stop = run.stop || run.ended.is_some();
        let look = Look { changed: false, stop, pause: run.pause && !stop, log_bytes: 0 };
        if let Some(Beat { at_us, boot }) = beat {
            run.heartbeat_at_us = *at_us;
            run.boot = boot.clone().map(|boot| (boot, *at_us));
            self.forget_spends(*at_us);
        }
        look
    }

    pub(super) fn end(&mut self, run: i64, outcome: RunOutcome, now_us: Micros) {
        if let Some(run) = self.runs.get_mut(&run).filter(|run| run.ended.is_none()) {
            run.ended = Some((now_us, outcome.as_str()));
        }
    }

    pub(super) fn ask_to_stop(&mut self, run: i64) -> bool {
        let run = self.runs.get_mut(&run).filter(|run| run.ended.is_none());
        run.map(|run| run.stop = true).is_some()
    }

    pub(super) fn ask_to_pause(&mut self, run: i64, pause: bool) -> bool {
        let run = self.runs.get_mut(&run).filter(|run| run.ended.is_none() && !run.stop);
        run.map(|run| run.pause = pause).is_some()
    }

    pub(super) fn grant(&mut self, wish: Wish, jobs: &[i64], now_us: Micros) -> Granted {
        let mut granted = Granted::default();
        for id in jobs.iter().copied().collect::<BTreeSet<_>>() {
            let Some(job) = self.jobs.get(&id) else { continue };
            let error_type = job.error.as_ref().map(|(error_type, _)| error_type);
            match wished(wish, job.standing, error_type, self.responses.contains_key(&id)) {
                _ if job.run.is_some() => granted.held += 1,
                None => granted.unfit += 1,
                Some(standing) => {
                    granted.add(standing.state);
                    let to = Next { standing, ..Next::default() };
                    self.change_job(id, |job| job.go(&to, now_us));
                }
            }
        }
        granted
    }

    pub(super) fn prune(&mut self, jobs: &[i64]) -> u64 {
        let finished = |id: &&i64| self.jobs.get(id).is_some_and(|job| job.standing.state.is_final());
        let finished: Vec<i64> = jobs.iter().filter(finished).copied().collect();
        finished.iter().filter(|id| self.responses.remove(id).is_some()).count() as u64
    }

    pub(super) fn settings(&self) -> Option<String> {
        self.runs.last_key_value().map(|(_, run)| run.settings.clone())
    }
}

/// Where a permit is kept. Windows above a minute in steps of a thousandth, rounded to the later end: never forgotten too
/// soon, and a day of permits is a thousand rows.
fn bucket(limit: &Limit, until_us: Micros) -> Micros {
    if limit.window_us <= 60 * SECOND_US {
        return until_us;
    }
    let step_us = limit.window_us / 1_000;
    (until_us / step_us + 1) * step_us
}

fn spend(((limit, until_us), permits): (&(String, Micros), &u32)) -> Spend {
    Spend { limit: limit.clone(), until_us: *until_us, permits: *permits }
}

/// Where a job stands in the queue: finish what is nearly done, then retries, then fresh ones. `None`: not in it now.
fn place(job: &Job, now_us: Micros) -> Option<(bool, bool, Micros)> {
    let pending = job.standing.state == State::Pending;
    (job.is_free() && job.due_at_us <= now_us).then_some((pending, pending && job.due_at_us == 0, job.due_at_us))
}
