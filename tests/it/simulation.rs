//! Random lives of a run over the store in memory: the decisions are the ones the binary makes, about permits too; time is
//! a number, and the process dies anywhere. After each change of the store, at each send and at each arrival everything
//! that must hold is looked at.
//!
//! A seed is a life, bit for bit. `SEED=17 cargo test simulation` lives that one alone; `SEEDS=5000` lives more of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use haul::clock::Micros;

use crate::random_numbers::Random;
use nature::{LIMITS, Nature, Without};
use world::World;

mod flight;
mod invariants;
mod nature;
mod passing;
mod server;
mod working;
mod world;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 220;
/// Steps of a life before it is let run out.
const STEPS: usize = 200;
/// A guard that is missing is found out within so many lives.
const SEEDS_TO_SEE: u64 = 600;

fn block_on<T>(life: impl Future<Output = T>) -> T {
    // The store in memory is always ready: nothing ever waits, so the smallest executor will do.
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(life)
}

/// Lives one life.
fn live(seed: u64, without: Without) -> World {
    block_on(async {
        let mut random = Random::new(seed);
        let nature = Nature::wild(&mut random, without);
        let mut world = World::new(random, nature);
        for _ in 0..STEPS {
            world.step().await;
        }
        world.run_out().await;
        world
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_no_job_is_lost_each_ends_with_one_outcome_and_no_window_holds_too_many() {
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    for seed in seeds {
        if catch_unwind(AssertUnwindSafe(|| live(seed, Without::Nothing))).is_err() {
            panic!("broken; to see it again: SEED={seed} cargo test --test it simulation");
        }
    }
}

#[test]
fn a_seed_replays_bit_for_bit() {
    for seed in [1, 2, 3] {
        let (world, same) = (live(seed, Without::Nothing), live(seed, Without::Nothing));
        assert_eq!(world.log, same.log);
        assert!(world.tables() == same.tables());
        assert_eq!(world.arrivals(), same.arrivals());
    }
    assert_ne!(live(1, Without::Nothing).log, live(2, Without::Nothing).log);
}

#[test]
fn thirty_lives_see_everything_that_can_happen() {
    let mut seen = String::new();
    for seed in 0..30 {
        seen.extend(live(seed, Without::Nothing).log);
    }
    for what in [
        "Good",
        "Busy",
        "Wrong",
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
    ] {
        assert!(seen.contains(what), "no life saw: {what}");
    }
}

/// Fails unless some life without this guard ends badly, and with these words.
fn is_needed(without: Without, words: &str) {
    for seed in 0..SEEDS_TO_SEE {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| live(seed, without))) else { continue };
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref().copied()).unwrap_or_default();
        assert!(said.contains(words), "seed {seed} without {without:?}: {said}");
        return;
    }
    panic!("nobody misses {without:?}");
}

#[test]
fn a_start_that_forgets_earlier_permits_is_found_out() {
    is_needed(Without::Spends, "requests within");
}

#[test]
fn a_permit_used_late_and_written_down_early_is_found_out() {
    is_needed(Without::LatePermits, "requests within");
}

#[test]
fn a_recovery_that_leaves_the_permits_of_the_interrupted_is_found_out() {
    is_needed(Without::MovedPermits, "requests within");
}

#[test]
fn a_connection_taken_for_open_is_found_out() {
    is_needed(Without::ColdConnections, "requests within");
}

#[test]
fn a_start_that_forgets_a_pause_is_found_out() {
    is_needed(Without::Pauses, "sent before the server wanted it");
}

#[test]
fn a_place_freed_before_its_commit_is_found_out() {
    is_needed(Without::Places, "more jobs in flight than slots");
}

#[test]
fn a_write_of_the_dead_is_found_out() {
    is_needed(Without::Fence, "job ");
}

#[test]
fn a_429_held_against_a_job_is_found_out() {
    is_needed(Without::Mercy, "what is held against it");
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
            let mut world = World::new(random, nature);
            world.import(2_000).await;
            world.start().await;
            world.pass(span_us, true).await;
            world.arrivals().len()
        });
        let (sent, most) = (sent as f64, most.unwrap_or(0) as f64);
        assert!(sent >= 0.9 * most, "seed {seed}: {sent} of {most} under {limits:?}");
    }
}
