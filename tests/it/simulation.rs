//! Random lives of a run over the store in memory: the decisions are the ones the binary makes, time is a number, and the
//! process dies anywhere. After each step everything that must hold is looked at.
//!
//! A seed is a life, bit for bit. `SEED=17 cargo test simulation` lives that one alone; `SEEDS=5000` lives more of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::World;

mod invariants;
mod permits;
mod world;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 200;
/// Steps of a life before it is let run out.
const STEPS: usize = 200;

/// Lives one life; what it did, in words, and what was left.
fn live(seed: u64) -> (Vec<String>, World) {
    // The store in memory is always ready: nothing ever waits, so the smallest executor will do.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::new(seed);
        let mut log = Vec::new();
        for _ in 0..STEPS {
            log.push(world.step().await);
        }
        world.run_out().await;
        (log, world)
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_no_job_is_lost_and_each_ends_with_one_outcome() {
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    for seed in seeds {
        if catch_unwind(AssertUnwindSafe(|| live(seed))).is_err() {
            panic!("broken; to see it again: SEED={seed} cargo test --test it simulation");
        }
    }
}

#[test]
fn a_seed_replays_bit_for_bit() {
    for seed in [1, 2, 3] {
        let ((log, world), (again, same)) = (live(seed), live(seed));
        assert_eq!(log, again);
        assert!(world.tables() == same.tables());
    }
    assert_ne!(live(1).0, live(2).0);
}

#[test]
fn thirty_lives_see_everything_that_can_happen() {
    let mut seen = String::new();
    for seed in 0..30 {
        seen.extend(live(seed).0);
    }
    for what in ["kept", "refused", "throttled", "ghosts", "poison", "crashed", "released", "stopped", "suspect"] {
        assert!(seen.contains(what), "no life saw: {what}");
    }
}
