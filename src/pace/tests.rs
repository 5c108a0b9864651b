//! What the pacer promises, in sentences and in a world of virtual time.

mod models;
mod steered;
mod world;

use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter, state};
use proptest::prelude::*;
use std::num::NonZeroU32;

use super::*;
use crate::clock::{SECOND_US, span};
use world::{Claims, Dispense, Nature, World};

const NOW: Micros = 1_700_000_000_000_000;
const J: Micros = crate::limit::DEFAULT_JITTER_US;

fn limits(rates: &[&str]) -> Vec<Limit> {
    rates.iter().map(|rate| rate.parse().unwrap()).collect()
}

fn pacer(rates: &[&str]) -> Pacer {
    Pacer::new(&limits(rates), &[], 0, NOW)
}

fn spend(limit: &str, until_us: Micros, permits: u32) -> Spend {
    Spend { limit: limit.to_owned(), until_us, permits }
}

/// The next `count` due times since `NOW`.
fn dues(pacer: &Pacer, count: usize) -> Vec<Micros> {
    pacer.forecast(NOW, Micros::MAX / 2, count, 0).into_iter().map(|due| due - NOW).collect()
}

#[test]
fn without_a_limit_everything_is_due_at_once() {
    let mut pacer = pacer(&[]);
    assert_eq!(pacer.forecast(NOW, 1, 3, 0), [NOW; 3]);
    let sent = pacer.send(NOW).unwrap();
    pacer.cold(sent);
    assert_eq!(pacer.earliest(NOW), Some(NOW));
    pacer.ended(sent, NOW);
    pacer.pause(NOW + 5);
    assert_eq!(pacer.earliest(NOW), Some(NOW + 5));
    assert_eq!(pacer.send(NOW), None);
}

#[test]
fn a_start_sends_at_once_and_then_evenly() {
    assert_eq!(dues(&pacer(&["20/s"]), 3), [0, 50_000, 100_000]);
    let mut pacer = pacer(&["20/s"]);
    assert!(pacer.send(NOW).is_some());
    assert!(pacer.send(NOW).is_none());
    assert_eq!(pacer.earliest(NOW), Some(NOW + 50_000));
}

#[test]
fn the_rule_is_kept_where_the_even_pace_would_allow_more() {
    let due = dues(&pacer(&["20/s"]), 41);
    assert_eq!(due[19], 950_000);
    assert_eq!(due[20], SECOND_US + J);
    assert_eq!(due[40], 2 * (SECOND_US + J));
}

#[test]
fn the_shortest_window_is_paced_evenly_and_the_longer_ones_are_counted() {
    let due = dues(&pacer(&["10/m", "2/s"]), 11);
    assert_eq!(due[..4], [0, 500_000, SECOND_US + J, 1_500_000 + J]);
    assert_eq!(due[10], 60 * SECOND_US + J);
}

#[test]
fn an_open_connection_in_the_making_makes_the_next_time_unknown() {
    let mut pacer = pacer(&["1/s"]);
    let sent = pacer.send(NOW).unwrap();
    pacer.cold(sent);
    pacer.cold(sent);
    assert_eq!(pacer.earliest(NOW + 60 * SECOND_US), None);
    assert_eq!(pacer.send(NOW + 60 * SECOND_US), None);
    assert!(pacer.forecast(NOW, SECOND_US, 1, 0).is_empty());
    pacer.ended(sent, NOW + 60 * SECOND_US);
    pacer.ended(sent, NOW + 90 * SECOND_US);
    assert_eq!(pacer.earliest(NOW), Some(NOW + 61 * SECOND_US));
}

#[test]
fn what_was_in_flight_at_a_standstill_counts_from_its_end() {
    let mut pacer = pacer(&["2/s"]);
    let warm = pacer.send(NOW).unwrap();
    let cold = pacer.send(NOW + 500_000).unwrap();
    pacer.cold(cold);
    let thaw_us = NOW + 60 * SECOND_US;
    pacer.stalled(thaw_us);
    assert!(pacer.send(thaw_us).is_none());
    assert_eq!(pacer.earliest(thaw_us), Some(thaw_us + J + SECOND_US));
    assert_eq!(pacer.ended(warm, thaw_us + 1_000), thaw_us + 1_000);
    assert_eq!(pacer.earliest(thaw_us), Some(thaw_us + 1_000 + SECOND_US));
    assert_eq!(pacer.ended(cold, thaw_us + 90_000), thaw_us + 90_000);
}

#[test]
fn an_end_tells_from_when_its_permit_counts() {
    let mut pacer = pacer(&["2/s"]);
    let quick = pacer.send(NOW).unwrap();
    assert_eq!(pacer.ended(quick, NOW + 3_000), NOW + 3_000);
    let slow = pacer.send(NOW + 500_000).unwrap();
    assert_eq!(pacer.ended(slow, NOW + 900_000), NOW + 500_000 + J);
}

#[test]
fn permits_of_an_earlier_run_count_as_sent_at_their_last_moment() {
    let spends = [spend("3/s", NOW - 200_000, 1), spend("3/s", NOW - 100_000, 2), spend("9/s", NOW, 9)];
    let pacer = Pacer::new(&limits(&["3/s"]), &spends, 0, NOW);
    assert_eq!(dues(&pacer, 2), [SECOND_US + J - 200_000, SECOND_US + J - 100_000]);
}

#[test]
fn permits_written_down_in_the_future_count_as_now() {
    let pacer = Pacer::new(&limits(&["1/s"]), &[spend("1/s", NOW + 3_600 * SECOND_US, 1)], 0, NOW);
    assert_eq!(dues(&pacer, 1), [SECOND_US + J]);
}

#[test]
fn a_pause_is_followed_by_no_burst_and_the_longer_pause_wins() {
    let mut pacer = pacer(&["20/s"]);
    pacer.pause(NOW + 9 * SECOND_US);
    pacer.pause(NOW + SECOND_US);
    assert_eq!(dues(&pacer, 3), [9 * SECOND_US, 9 * SECOND_US + 50_000, 9 * SECOND_US + 100_000]);
    let paused = Pacer::new(&limits(&["20/s"]), &[], NOW + SECOND_US, NOW);
    assert_eq!(dues(&paused, 2), [SECOND_US, SECOND_US + 50_000]);
    pacer.pause(Micros::MAX);
    assert_eq!(pacer.forecast(NOW, 1, 3, 0), [Micros::MAX]);
}

#[test]
fn a_refusal_doubles_the_jitter_once_for_all_that_was_in_flight() {
    let mut pacer = pacer(&["20/s", "100/m"]);
    let first = pacer.send(NOW).unwrap();
    let second = pacer.send(NOW + 50_000).unwrap();
    let changed = pacer.refused(first, NOW + 60_000);
    assert_eq!(changed.iter().map(|limit| limit.jitter_us).collect::<Vec<_>>(), [2 * J, 2 * J]);
    assert!(pacer.refused(second, NOW + 61_000).is_empty());
    assert_eq!(pacer.limits(), changed);
    assert_eq!(pacer.earliest(NOW + 61_000), Some(NOW + 50_000 + 54_348), "strictly even, and a little slower");
    let third = pacer.send(NOW + 104_348).unwrap();
    assert_eq!(pacer.refused(third, NOW + 110_000)[0].jitter_us, 4 * J);
}

#[test]
fn what_was_learned_from_refusals_holds_in_the_next_run_too() {
    assert_eq!(dues(&pacer(&["20/s"]).wary(1), 3), [0, 54_348, 108_696]);
}

#[test]
fn a_server_in_trouble_is_asked_one_thing_at_a_time() {
    let mut pacer = pacer(&["20/s"]);
    let mut now_us = NOW;
    for _ in 0..9 {
        now_us = pacer.earliest(now_us).unwrap();
        let sent = pacer.send(now_us).unwrap();
        assert_eq!(pacer.failed(sent, now_us), Setback { wait_us: None, probe: false });
    }
    now_us += 50_000;
    let tenth = pacer.send(now_us).unwrap();
    assert_eq!(pacer.failed(tenth, now_us).wait_us, Some(SECOND_US));
    assert_eq!(pacer.forecast(now_us, Micros::MAX / 2, 9, 0), [now_us + SECOND_US], "one probe, and no more");
    now_us += SECOND_US;
    let probe = pacer.send(now_us).unwrap();
    assert_eq!(pacer.earliest(now_us + SECOND_US), None, "the next hangs on the answer");
    assert_eq!(pacer.failed(probe, now_us), Setback { wait_us: Some(2 * SECOND_US), probe: true });
    now_us += 2 * SECOND_US;
    let probe = pacer.send(now_us).unwrap();
    pacer.well(probe, Vec::new());
    assert_eq!(pacer.earliest(now_us + 50_000), Some(now_us + 50_000));
}

#[test]
fn what_the_server_says_is_left_slows_down_and_never_speeds_up() {
    let mut pacer = pacer(&["20/s"]);
    let sent = pacer.send(NOW).unwrap();
    let allowance = |left, until_us| vec![Allowance { name: "q".to_owned(), left, until_us }];
    pacer.well(sent, allowance(2, NOW + 9 * SECOND_US));
    assert_eq!(dues(&pacer, 4), [50_000, 100_000, 9 * SECOND_US, 9 * SECOND_US]);
    let sent = pacer.send(NOW + 50_000).unwrap();
    pacer.well(sent, allowance(1_000_000, NOW + 9 * SECOND_US));
    assert_eq!(pacer.earliest(NOW + 50_000), Some(NOW + 100_000));
}

#[test]
fn a_forecast_leaves_out_what_is_queued_and_what_is_too_far() {
    let pacer = pacer(&["20/s"]);
    assert_eq!(pacer.forecast(NOW, 100_000, 9, 0), [NOW, NOW + 50_000]);
    assert_eq!(pacer.forecast(NOW, 100_000, 1, 0), [NOW]);
    assert_eq!(pacer.forecast(NOW, 100_000, 9, 1), [NOW + 50_000]);
    assert!(pacer.forecast(NOW, 100_000, 9, 2).is_empty());
    assert!(pacer.forecast(NOW, 100_000, 0, 0).is_empty());
}

#[test]
fn a_forecast_has_one_time_however_late_if_nothing_is_queued() {
    let mut pacer = pacer(&["1/h"]);
    pacer.send(NOW).unwrap();
    assert_eq!(pacer.forecast(NOW, 100_000, 9, 0), [NOW + 3_600 * SECOND_US + J]);
    assert!(pacer.forecast(NOW, 100_000, 9, 1).is_empty());
}

#[test]
fn permits_due_together_share_the_time_at_which_they_are_void() {
    assert_eq!(void_after(NOW), NOW + PERMIT_SLACK_US);
    assert_eq!(void_after(NOW + 1), NOW + PERMIT_SLACK_US + 5_000);
    assert_eq!(void_after(NOW + 5_000), void_after(NOW + 1));
    assert_eq!(void_after(Micros::MAX), Micros::MAX);
}

/// Requests sent in virtual time, as a share of what the limit allows.
fn share(rate: &str, seconds: i64, nature: Nature) -> f64 {
    let limits = limits(&[rate]);
    let mut world = World::new(nature);
    let mut pacer = Pacer::new(&limits, &[], 0, world.now_us);
    world.live(&mut pacer, Claims::None, world.now_us + seconds * SECOND_US);
    assert!(world.most_within(limits[0].window_us) <= limits[0].permits as usize, "{rate}");
    let allowed = f64::from(limits[0].permits) * (seconds * SECOND_US) as f64 / limits[0].window_us as f64;
    world.count() as f64 / allowed
}

#[test]
fn a_quick_server_gets_nearly_all_that_is_allowed() {
    for (rate, seconds, least) in
        [("1/s", 60, 0.99), ("20/s", 60, 0.99), ("20/s", 3_600, 0.99), ("200/s", 60, 0.99), ("3/500ms", 60, 0.985)]
    {
        let share = share(rate, seconds, Nature::quick(1));
        assert!(share >= least, "{rate}: {share}");
    }
    for (rate, seconds, least) in [("2000/s", 20, 0.99), ("10000/s", 10, 0.97)] {
        let share = share(rate, seconds, Nature::quick(1));
        assert!(share >= least, "{rate}: {share}");
    }
}

#[test]
fn a_slow_server_costs_no_more_than_the_jitter() {
    for (rate, seconds) in [("20/s", 60), ("20/s", 3_600), ("200/s", 60), ("2000/s", 20), ("10000/s", 10)] {
        let share = share(rate, seconds, Nature::slow(2));
        assert!(share >= 0.975, "{rate}: {share}");
    }
}

#[test]
fn no_window_at_the_server_holds_more_than_its_limit_whatever_happens() {
    let sets: [&[&str]; 7] =
        [&["1/s"], &["20/s"], &["200/s"], &["2000/s"], &["3/500ms"], &["20/s", "100/m"], &["25000/s"]];
    for rates in sets {
        let limits = limits(rates);
        for nature in [Nature::quick(3), Nature::slow(3), Nature::rough(3)] {
            let mut world = World::new(nature);
            let mut pacer = Pacer::new(&limits, &[], 0, world.now_us);
            let seconds = if limits[0].permits > 200 { 5 } else { 150 };
            world.live(&mut pacer, Claims::None, world.now_us + seconds * SECOND_US);
            assert!(world.count() >= 10);
            for limit in &limits {
                assert!(world.most_within(limit.window_us) <= limit.permits as usize, "{limit}");
            }
        }
    }
}

/// Lives of a process that is killed each time, and started again at once.
fn crash_loop(world: &mut World, limits: &[Limit], horizon_us: Micros, lives: &[Micros]) {
    for life_us in lives {
        let mut pacer = Pacer::new(limits, &world.written(limits), 0, world.now_us);
        world.live(&mut pacer, Claims::Written(horizon_us), world.now_us + life_us);
    }
}

#[test]
fn a_restart_every_350_ms_keeps_the_limit_and_most_of_the_pace() {
    let limits = limits(&["20/s"]);
    for (horizon_us, least) in [(50_000, 0.85), (100_000, 0.79)] {
        let mut world = World::new(Nature::quick(4));
        crash_loop(&mut world, &limits, horizon_us, &[350_000; 86]);
        let share = world.count() as f64 / (20.0 * 0.35 * 86.0);
        assert!(world.most_within(SECOND_US) <= 20);
        assert!(share >= least, "{horizon_us}: {share}");
    }
}

/// governor as it comes, in the pacer's place.
struct AsItComes {
    limiter: RateLimiter<state::NotKeyed, state::InMemoryState, FakeRelativeClock, NoOpMiddleware<Nanos>>,
    clock: FakeRelativeClock,
    seen_us: std::cell::Cell<Micros>,
}

impl AsItComes {
    fn advance(&self, now_us: Micros) {
        self.clock.advance(span(now_us - self.seen_us.replace(now_us)));
    }
}

impl Dispense for AsItComes {
    fn earliest(&self, now_us: Micros) -> Option<Micros> {
        self.advance(now_us);
        Some(now_us + 1_000)
    }
    fn send(&mut self, now_us: Micros) -> Option<Sent> {
        self.advance(now_us);
        self.limiter.check().ok().map(|()| Sent(0))
    }
    fn cold(&mut self, _sent: Sent) {}
    fn ended(&mut self, _sent: Sent, now_us: Micros) -> Micros {
        now_us
    }
    fn stalled(&mut self, _now_us: Micros) {}
    fn forecast(&self, _now_us: Micros, _horizon_us: Micros) -> Vec<Micros> {
        Vec::new()
    }
}

#[test]
fn the_same_world_sees_governor_alone_break_the_window() {
    let mut world = World::new(Nature::quick(5));
    let clock = FakeRelativeClock::default();
    let limiter = RateLimiter::direct_with_clock(Quota::per_second(NonZeroU32::new(20).unwrap()), clock.clone());
    let mut governor = AsItComes { limiter, clock, seen_us: world.now_us.into() };
    world.live(&mut governor, Claims::None, world.now_us + 10 * SECOND_US);
    assert!(world.most_within(SECOND_US) > 30, "{}", world.most_within(SECOND_US));
}

fn rates() -> impl Strategy<Value = Vec<String>> {
    let window = prop_oneof![10..2_000i64, Just(1_000), Just(60_000)];
    prop::collection::vec((1..60u32, window).prop_map(|(permits, ms)| format!("{permits}/{ms}ms")), 1..3)
}

fn nature() -> impl Strategy<Value = Nature> {
    let late = prop_oneof![Just(2_000), 1..200_000i64];
    (any::<u64>(), 1..J, 1..500_000i64, late, 0.0..0.5, 0.0..0.05).prop_map(|(seed, way, serve, late, cold, stall)| {
        Nature {
            seed,
            one_way: 0..way,
            serve: 0..serve,
            late: 0..late,
            cold: (cold, 0..2_000_000),
            stall: (stall, 0..3_000_000),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_history_of_one_life_breaks_a_window(rates in rates(), nature in nature()) {
        let limits: Vec<Limit> = rates.iter().map(|rate| rate.parse().unwrap()).collect();
        let mut world = World::new(nature);
        let mut pacer = Pacer::new(&limits, &[], 0, world.now_us);
        world.live(&mut pacer, Claims::None, world.now_us + 20 * SECOND_US);
        for limit in &limits {
            prop_assert!(world.most_within(limit.window_us) <= limit.permits as usize, "{}", limit);
        }
    }

    #[test]
    fn no_crash_loop_breaks_a_window(
        rates in rates(),
        nature in nature(),
        horizon_us in 1..200_000i64,
        lives in prop::collection::vec(1..2_000_000i64, 1..20),
    ) {
        let limits: Vec<Limit> = rates.iter().map(|rate| rate.parse().unwrap()).collect();
        let mut world = World::new(nature);
        crash_loop(&mut world, &limits, horizon_us, &lives);
        for limit in &limits {
            prop_assert!(world.most_within(limit.window_us) <= limit.permits as usize, "{}", limit);
        }
    }

    #[test]
    fn what_was_forecast_can_be_sent_when_it_falls_due(rates in rates(), used in 0..50usize, claimed in 1..50usize) {
        let limits: Vec<Limit> = rates.iter().map(|rate| rate.parse().unwrap()).collect();
        let mut pacer = Pacer::new(&limits, &[], 0, NOW);
        let mut now_us = NOW;
        for _ in 0..used {
            now_us = pacer.earliest(now_us).unwrap();
            prop_assert!(pacer.send(now_us).is_some());
        }
        for due_us in pacer.forecast(now_us, Micros::MAX / 2, claimed, 0) {
            prop_assert_eq!(pacer.earliest(now_us), Some(due_us));
            prop_assert!(due_us == now_us || pacer.send(due_us - 1).is_none());
            prop_assert!(pacer.send(due_us).is_some());
            now_us = due_us;
        }
    }
}
