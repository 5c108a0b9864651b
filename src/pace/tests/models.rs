//! Servers that count in other ways than the rule does, in virtual time.

use std::collections::VecDeque;

use super::NOW;
use crate::backoff::chance;
use crate::clock::{Micros, SECOND_US};
use crate::limit::Limit;
use crate::pace::Pacer;

/// What a server admits: a function of what it has admitted before.
type Admits = fn(&VecDeque<Micros>, Micros) -> bool;

const PERMITS: usize = 20;

/// No sooner than a twentieth of a second after the last one.
fn strict(admitted: &VecDeque<Micros>, at_us: Micros) -> bool {
    admitted.back().is_none_or(|last| at_us - last >= SECOND_US / PERMITS as Micros)
}

/// The second that goes, and of the one before it the share that a sliding window would still hold.
fn sliding_counter(admitted: &VecDeque<Micros>, at_us: Micros) -> bool {
    let second = at_us / SECOND_US;
    let of = |which: Micros| admitted.iter().filter(|at| **at / SECOND_US == which).count() as f64;
    let share = 1.0 - (at_us % SECOND_US) as f64 / SECOND_US as f64;
    of(second - 1) * share + of(second) + 1.0 <= PERMITS as f64
}

/// Requests refused and admitted in a minute. The server answers within 3 ms; timers are up to 2 ms late, and the network's
/// spread is 1 ms. A refusal pauses for a second, as the pipeline does.
fn minute(admits: Admits, seed: u64, mut pacer: Pacer) -> (usize, usize, Micros) {
    let draw = |k: i64, n: u32, most: f64| (chance(seed, k, n) * most) as Micros;
    let (mut now_us, mut admitted) = (NOW, VecDeque::new());
    let (mut refused, mut answered, mut last_refused_us) = (0, 0, 0);
    for k in 0.. {
        let due_us = pacer.earliest(now_us).expect("a time");
        now_us = due_us + draw(k, 0, 2_000.0);
        if now_us >= NOW + 60 * SECOND_US {
            break;
        }
        let sent = pacer.send(now_us).expect("it is due");
        let arrived_us = now_us + 100 + draw(k, 1, 1_000.0);
        let end_us = arrived_us + draw(k, 2, 3_000.0);
        pacer.ended(sent, end_us);
        now_us = end_us;
        if admits(&admitted, arrived_us) {
            admitted.push_back(arrived_us);
            answered += 1;
            pacer.well(sent, Vec::new());
        } else {
            (refused, last_refused_us) = (refused + 1, arrived_us - NOW);
            pacer.refused(sent, now_us);
            pacer.pause(now_us + SECOND_US);
        }
        if admitted.len() > 3 * PERMITS {
            admitted.pop_front();
        }
    }
    (refused, answered, last_refused_us)
}

fn limit() -> Limit {
    "20/s".parse().unwrap()
}

// Seen failing without the gap of the caution: the strict one refused 56.
#[test]
fn a_server_that_counts_otherwise_refuses_three_at_most_and_is_then_used_well() {
    for (admits, name) in [(strict as Admits, "strict"), (sliding_counter, "sliding counter")] {
        for seed in 0..200 {
            let (refused, answered, last_us) = minute(admits, seed, Pacer::new(&[limit()], &[], 0, NOW));
            assert!(refused <= 3, "{name}, seed {seed}: {refused} refused, the last after {last_us} us");
            assert!(answered >= 60 * PERMITS * 85 / 100, "{name}, seed {seed}: {answered} answered, {refused} refused");
        }
    }
}

#[test]
fn a_run_that_knows_of_earlier_refusals_sees_none() {
    for seed in 0..50 {
        for admits in [strict as Admits, sliding_counter] {
            let (refused, answered, _) = minute(admits, seed, Pacer::new(&[limit()], &[], 0, NOW).wary(1));
            assert!(refused == 0 && answered >= 1_020, "seed {seed}: {refused} refused, {answered} answered");
        }
    }
}
