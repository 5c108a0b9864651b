//! Random lives of a run over the store in memory: the decisions are the ones the binary makes, about permits too; time is
//! a number, and the process dies anywhere. After each change of the store, at each send and at each arrival everything
//! that must hold is looked at.
//!
//! A seed is a life, bit for bit. `SEED=17 cargo test simulation` lives that one alone; `SEEDS=5000` lives more of them.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use haul::clock::{Clock, Micros, SECOND_US};

use crate::random_numbers::Random;
use life::{Life, block_on};
use nature::{LIMITS, Nature, Without};
use world::{Log, World};

mod card;
mod days;
mod flight;
mod governor;
mod invariants;
mod life;
mod nature;
mod passing;
mod power;
mod reproductions;
mod rivals;
mod server;
mod spoiled;
mod steps;
mod working;
mod world;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 220;
/// Steps of a life before it is let run out.
const STEPS: usize = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Those of these lives that end badly, with what does not hold. More lives than usual are lived on all cores.
fn broken(seeds: Range<u64>) -> Vec<(u64, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if seeds.end - seeds.start > SEEDS { cores } else { 1 };
    let next = AtomicU64::new(seeds.start);
    let live = || {
        let one = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end);
        let broken = |seed| Some((seed, Life::new(seed).broken(Without::Nothing)?.words));
        std::iter::from_fn(one).filter_map(broken).collect::<Vec<_>>()
    };
    let mut broken: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(live)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a panic of a life is caught")).collect()
    });
    broken.sort_unstable();
    broken
}

#[test]
fn whatever_happens_no_job_is_lost_each_ends_with_one_outcome_and_no_window_holds_too_many() {
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    let clock = Clock::start();
    let began_us = clock.now_us();
    let broken = broken(seeds.clone());
    let seconds = (clock.now_us() - began_us) as f64 / SECOND_US as f64;
    let lived = seeds.end - seeds.start;
    card::write("4", &format!(r#""seeds":{lived},"steps":{STEPS},"broken":{},"seconds":{seconds:.1}"#, broken.len()));
    if let Some((seed, _)) = broken.first() {
        let life = Life::new(*seed).shrunk(Without::Nothing, "").told(Without::Nothing);
        let some: Vec<_> = broken.iter().take(12).map(|(seed, words)| format!("seed {seed}: {words}")).collect();
        let some = some.join("\n");
        panic!("{} of {lived} lives are broken (SEED=17 lives one alone):\n{some}\n\n{life}", broken.len());
    }
}

#[test]
fn a_seed_replays_bit_for_bit() {
    for seed in [1, 2, 3] {
        let lived = || Life::new(seed).lived(Without::Nothing, &Log::default());
        let (world, same) = (lived(), lived());
        assert_eq!(world.log, same.log);
        assert!(world.tables() == same.tables());
        assert_eq!(world.arrivals(), same.arrivals());
        assert_ne!(world.log, Life::new(seed + 1).lived(Without::Nothing, &Log::default()).log);
    }
}

#[test]
fn thirty_lives_see_everything_that_can_happen() {
    let log = Log::default();
    for seed in 0..30 {
        Life::new(seed).lived(Without::Nothing, &log);
    }
    let seen = log.borrow().concat();
    for what in [
        "Good",
        "Busy",
        "Wrong",
        "Elsewhere",
        "Throttled(None)",
        "Throttled(Some",
        "ghosts",
        "poison",
        "crashed",
        "released",
        "stopped",
        "suspect",
        "drained",
        "stood still",
        "a sign of life",
        "beside the other",
        "the wall clock is set",
        "the last commits are lost",
        "the server is in trouble",
        "redirects have their permits",
        "Retry for",
        "Refetch for",
        "Cancel for",
    ] {
        assert!(seen.contains(what), "no life saw: {what}");
    }
}

#[test]
fn a_life_without_accidents_sends_nine_tenths_of_what_it_may() {
    for (seed, rates) in (0..).zip(LIMITS) {
        let mut random = Random::new(seed);
        let nature = Nature::plenty(&mut random, rates);
        let limits = nature.limits.clone();
        // Long enough for 120 requests under the limit that lasts longest.
        let longest = limits.iter().max_by_key(|limit| limit.window_us).expect("a limit");
        let span_us = longest.window_us * Micros::from(120_u32.div_ceil(longest.permits));
        let most = limits.iter().map(|limit| span_us / limit.window_us * Micros::from(limit.permits)).min();
        let sent = block_on(async {
            let mut world = World::new(random, nature, Log::default());
            world.import(2_000).await;
            world.start().await;
            world.pass(span_us, true).await;
            world.arrivals().len()
        });
        let (sent, most) = (sent as f64, most.unwrap_or(0) as f64);
        assert!(sent >= 0.9 * most, "seed {seed}: {sent} of {most} under {limits:?}");
    }
}
