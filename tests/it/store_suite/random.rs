//! Random sequences of verbs, done to the store and to the one in memory: both answer and hold the same after each.

use haul::attempt::{ErrorType, Failure, Verdict};
use haul::clock::SECOND_US;
use haul::job::{Event, State, Wish};
use haul::limit::Limit;
use haul::store::memory::MemoryStore;
use haul::store::{Beat, Chunk, Lease, Look, OnConflict, RunOutcome, Store, WriteBack};

use super::scene::{LIMIT, Scene, limit, new_job, request};
use super::{Inspect, Rows};
use crate::random_numbers::Random;

const STEPS: usize = 250;

/// Windows with exact permits, and with permits in buckets.
const LIMITS: [(&str, i64); 3] = [(LIMIT, SECOND_US), ("600/m", 60 * SECOND_US), ("1000/h", 3_600 * SECOND_US)];

/// The verbs one can do, as data, so that two stores are given the same.
#[derive(Debug, Clone)]
enum Verb {
    Import { keys: Vec<String>, elsewhere: bool, on_conflict: OnConflict },
    Claim { slots: usize, requests: usize },
    Commit { run: i64, batch: Vec<WriteBack> },
    Release { run: i64, leases: Vec<(i64, u32)>, permits: usize },
    Accuse { run: i64, job: i64, attempt: u32 },
    Pause { limit: usize, us: i64, jitter_us: i64 },
    Look { beat: bool },
    Grant { wish: Wish, jobs: Vec<i64> },
    Prune { jobs: Vec<i64> },
    AskToStop { run: i64 },
    AskToPause { run: i64, pause: bool },
    Steer { limits: Vec<Limit> },
    End(RunOutcome),
    Crash { limits: Vec<Limit> },
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
        0..15 => {
            let keys = (0..random.below(6)).map(|_| format!("job {}", random.below(60))).collect();
            let on_conflict = [OnConflict::Reject, OnConflict::Skip, OnConflict::Update][random.below(3)];
            Verb::Import { keys, elsewhere: random.percent(20), on_conflict }
        }
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
        87..89 => {
            let (us, jitter_us) = (random.below(5) as i64 * SECOND_US, 10_000 << random.below(4));
            Verb::Pause { limit: random.below(LIMITS.len()), us, jitter_us }
        }
        89..90 => Verb::End(RunOutcome::Stopped),
        90..93 => {
            let mut limits = some_limits(random);
            limits.extend(random.percent(10).then(|| limit(LIMIT, 20, SECOND_US)));
            Verb::Crash { limits: random.some_of(&mut limits) }
        }
        93..95 => Verb::Look { beat: random.percent(50) },
        95..96 => Verb::Wait(random.below(3_600) as i64 * SECOND_US),
        96..98 => {
            let wish = [Wish::Retry, Wish::Reprocess, Wish::Refetch, Wish::Cancel][random.below(4)];
            Verb::Grant { wish, jobs: any_jobs(random) }
        }
        98..99 if random.percent(80) => Verb::Prune { jobs: any_jobs(random) },
        98..99 if random.percent(50) => Verb::AskToStop { run },
        98..99 => Verb::AskToPause { run, pause: random.percent(70) },
        _ if random.percent(50) => Verb::Steer { limits: some_limits(random) },
        _ => Verb::Wait(random.below(3_000_000) as i64),
    }
}

fn some_limits(random: &mut Random) -> Vec<Limit> {
    let all = LIMITS.iter().map(|(name, window_us)| limit(name, 20, *window_us));
    all.take(random.below(LIMITS.len()) + 1).collect()
}

/// Ids that may be those of jobs, some of them twice.
fn any_jobs(random: &mut Random) -> Vec<i64> {
    (0..random.below(30)).map(|_| random.below(80) as i64).collect()
}

fn write_back(random: &mut Random, at: &Scene<MemoryStore>, lease: &Lease) -> WriteBack {
    let fetched = lease.standing.state == State::Fetched;
    let verdict = [Verdict::Transient, Verdict::Permanent, Verdict::Throttled][random.below(3)];
    match random.below(6) {
        0 if fetched => {
            let failure = Failure::new(ErrorType::PROCESS_ERROR, verdict, "refused");
            at.back(lease, lease.standing, &Event::ProcessFailed(failure))
        }
        0 => at.failed(lease, verdict),
        // Sent late, after its connection was long in opening.
        3 => match lease.permit_us {
            Some(from) => {
                let late_permit = Some((from, from + random.below(5_000_000) as i64));
                WriteBack { late_permit, ..at.done(lease, "late") }
            }
            None => at.done(lease, "1"),
        },
        1 if !fetched => at.fetched(lease, "kept"),
        2 if !fetched => at.parked(lease, "parked", at.now_us + random.below(2) as i64 * SECOND_US),
        _ => at.done(lease, &random.below(1_000).to_string()),
    }
}

/// Does a verb; what it answers, and the leases it handed out.
async fn play<T: Inspect>(at: &mut Scene<T>, verb: &Verb) -> (String, Vec<Lease>) {
    let told = match verb.clone() {
        Verb::Import { keys, elsewhere, on_conflict } => {
            let mut jobs: Vec<_> = keys.iter().zip(1..).map(|(key, line)| new_job(key, line)).collect();
            jobs.iter_mut().for_each(|job| job.on_conflict = on_conflict);
            // Every other one: a key that comes twice has then two requests.
            jobs.iter_mut().step_by(2).filter(|_| elsewhere).for_each(|job| job.request = request("elsewhere"));
            format!("{:?}", at.import_chunk(Chunk { jobs, rejects: Vec::new() }).await)
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
        Verb::Pause { limit: of, us, jitter_us } => {
            let paused = Limit { jitter_us, ..limit(LIMITS[of].0, 20, LIMITS[of].1) };
            format!("{:?}", at.store().pause_limit(&paused, at.now_us + us).await)
        }
        Verb::Look { beat } => {
            let beat = beat.then_some(Beat { at_us: at.now_us, boot: None });
            let look = at.store().look(at.run, beat.as_ref()).await;
            format!("{:?}", look.map(|Look { changed, stop, .. }| (changed, stop)))
        }
        Verb::Grant { wish, jobs } => format!("{:?}", at.store().grant(wish, &jobs, at.now_us).await),
        Verb::Prune { jobs } => format!("{:?}", at.store().prune(&jobs).await),
        Verb::AskToStop { run } => format!("{:?}", at.store().ask_to_stop(run).await),
        Verb::AskToPause { run, pause } => format!("{:?}", at.store().ask_to_pause(run, pause).await),
        Verb::Steer { limits } => {
            format!("{:?} {:?}", at.store().keep_limits(&limits).await, at.store().limits().await)
        }
        Verb::End(outcome) => format!("{:?}", at.store().end(at.run, outcome, at.now_us).await),
        Verb::Crash { limits } => {
            at.stored.die().await;
            let mut found = at.start_with(&limits).await;
            found.database_id.clear(); // random
            found.spends.sort_by_key(|spend| (spend.limit.clone(), spend.until_us));
            format!("{found:?}")
        }
        Verb::Wait(us) => {
            at.now_us += us;
            String::new()
        }
    };
    let next = (at.store().next_due().await, at.store().next_to_process().await);
    (format!("{told} {next:?}"), Vec::new())
}
