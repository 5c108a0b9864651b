//! Random sequences of verbs, done to the store and to the one in memory: both answer and hold the same after each.

use haul::attempt::{ErrorType, Failure, Verdict};
use haul::clock::SECOND_US;
use haul::job::{Event, State};
use haul::store::memory::MemoryStore;
use haul::store::{Lease, RunOutcome, Store, WriteBack};

use super::scene::{LIMIT, Scene, limit};
use super::{Inspect, Rows};
use crate::random_numbers::Random;

const STEPS: usize = 250;

/// The verbs one can do, as data, so that two stores are given the same.
#[derive(Debug, Clone)]
enum Verb {
    Import(Vec<String>),
    Claim { slots: usize, requests: usize },
    Commit { run: i64, batch: Vec<WriteBack> },
    Release { run: i64, leases: Vec<(i64, u32)>, permits: usize },
    Accuse { run: i64, job: i64, attempt: u32 },
    Pause(i64),
    End(RunOutcome),
    Crash,
    Wait(i64),
}

pub(crate) async fn any_sequence_of_verbs_leaves_what_the_store_in_memory_holds<T: Inspect>(mut at: Scene<T>) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_101);
    let mut random = Random::new(seed);
    let mut truth = Scene::new(MemoryStore::default());
    let mut held: Vec<(i64, Lease)> = Vec::new();
    at.start().await;
    truth.start().await;
    for step in 0..STEPS {
        let verb = choose(&mut random, &truth, &mut held);
        let told = play(&mut at, &verb).await;
        let expected = play(&mut truth, &verb).await;
        assert_eq!(told.0, expected.0, "seed {seed}, step {step}: {verb:?} answers");
        held.extend(expected.1.into_iter().map(|lease| (truth.run, lease)));
        let (rows, expected) = (comparable(at.rows().await), comparable(truth.rows().await));
        assert_eq!(rows, expected, "seed {seed}, step {step}: {verb:?} leaves");
    }
}

/// Words for people are each store's own.
fn comparable(mut rows: Rows) -> Rows {
    rows.rejected.values_mut().for_each(String::clear);
    rows
}

fn choose(random: &mut Random, at: &Scene<MemoryStore>, held: &mut Vec<(i64, Lease)>) -> Verb {
    // A lease that was written back or lost is kept now and then: the fence has to see it come again.
    let run = held.last().map_or(at.run, |(run, _)| if random.percent(90) { at.run } else { *run });
    match random.below(100) {
        0..15 => Verb::Import((0..random.below(6)).map(|_| format!("job {}", random.below(60))).collect()),
        15..45 => Verb::Claim { slots: random.below(6), requests: random.below(6) },
        45..75 => {
            let mut leases = random.some_of(held);
            if random.percent(10) {
                held.extend(leases.iter().cloned());
            }
            leases.sort_by_key(|(_, lease)| (lease.job, lease.attempt));
            leases.dedup_by_key(|(_, lease)| lease.job); // a batch names a job once
            let batch = leases.iter().map(|(_, lease)| write_back(random, at, lease)).collect();
            Verb::Commit { run, batch }
        }
        75..82 => {
            let leases = random.some_of(held).iter().map(|(_, lease)| (lease.job, lease.attempt)).collect();
            Verb::Release { run, leases, permits: random.below(3) }
        }
        82..87 => match held.last() {
            Some((_, lease)) => Verb::Accuse { run, job: lease.job, attempt: lease.attempt },
            None => Verb::Wait(1),
        },
        87..89 => Verb::Pause(random.below(5) as i64 * SECOND_US),
        89..90 => Verb::End(RunOutcome::Stopped),
        90..93 => Verb::Crash,
        _ => Verb::Wait(random.below(3_000_000) as i64),
    }
}

fn write_back(random: &mut Random, at: &Scene<MemoryStore>, lease: &Lease) -> WriteBack {
    let fetched = lease.standing.state == State::Fetched;
    let verdict = [Verdict::Transient, Verdict::Permanent, Verdict::Throttled][random.below(3)];
    match random.below(5) {
        0 if fetched => {
            let failure = Failure::new(ErrorType::PROCESS_ERROR, verdict, "refused");
            at.back(lease, lease.standing, &Event::ProcessFailed(failure))
        }
        0 => at.failed(lease, verdict),
        1 if !fetched => at.fetched(lease, "kept"),
        2 if !fetched => at.parked(lease, "parked", at.now_us + random.below(2) as i64 * SECOND_US),
        _ => at.done(lease, &random.below(1_000).to_string()),
    }
}

/// Does a verb; what it answers, and the leases it handed out.
async fn play<T: Inspect>(at: &mut Scene<T>, verb: &Verb) -> (String, Vec<Lease>) {
    let told = match verb.clone() {
        Verb::Import(keys) => {
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            format!("{:?}", at.import(&keys).await)
        }
        Verb::Claim { slots, requests } => {
            let leases = at.claim_want(slots, requests).await;
            return (format!("{leases:?}"), leases);
        }
        Verb::Commit { run, batch } => format!("{:?}", at.commit_as(run, &batch).await),
        Verb::Release { run, leases, permits } => {
            let spends: Vec<_> = (1..).map(|i| at.now_us + i).take(permits).collect();
            format!("{:?}", at.store().release(run, &leases, &spends).await)
        }
        Verb::Accuse { run, job, attempt } => format!("{:?}", at.store().accuse(run, job, attempt).await),
        Verb::Pause(us) => {
            let done = at.store().pause_limit(&limit(LIMIT, 20, SECOND_US), at.now_us + us).await;
            format!("{done:?}")
        }
        Verb::End(outcome) => format!("{:?}", at.store().end(at.run, outcome, at.now_us).await),
        Verb::Crash => {
            let mut found = at.crash().await;
            found.database_id.clear(); // random
            found.spends.sort_by_key(|spend| (spend.limit.clone(), spend.until_us));
            format!("{found:?}")
        }
        Verb::Wait(us) => {
            at.now_us += us;
            String::new()
        }
    };
    (format!("{told} {:?}", at.store().next_due().await), Vec::new())
}
