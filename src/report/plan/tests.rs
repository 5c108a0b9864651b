use super::*;

fn window(rate: &str) -> Window {
    Window { limit: rate.parse().expect("a rate"), left: None }
}

fn seconds(requests: u64, rates: &[&str]) -> f64 {
    let windows: Vec<_> = rates.iter().map(|rate| window(rate)).collect();
    shortest_us(requests, &windows) as f64 / SECOND_US as f64
}

/// `n` attempts that each took so long, of which so much in the processor.
fn trial(n: i64, latency_ms: i64, process_ms: i64) -> Vec<Tried> {
    let of = |job| Tried {
        job,
        sent: true,
        fetch_us: Some((latency_ms - process_ms) * 1000),
        process_us: Some(process_ms * 1000),
        latency_us: Some(latency_ms * 1000),
    };
    (1..=n).map(of).collect()
}

fn task(to_send: u64, rates: &[&str]) -> Task {
    let windows = rates.iter().map(|rate| window(rate)).collect();
    Task { to_send, windows, concurrency: 64, cores: 2, ..Task::default() }
}

#[test]
fn without_a_limit_or_a_second_request_it_takes_no_time() {
    assert_eq!([seconds(0, &["20/s"]), seconds(1, &["20/s"]), seconds(1_000_000, &[])], [0.0; 3]);
}

// Seen failing without J in the window: 5,000 s.
#[test]
fn the_original_task_takes_85_minutes() {
    assert_eq!(seconds(100_000, &["20/s"]), 4_999.0 * 1.02 + 0.95);
    assert_eq!(seconds(21, &["20/s"]), 1.02);
    assert_eq!(seconds(20, &["20/s"]), 0.95);
}

#[test]
fn a_long_window_is_used_up_at_the_pace_of_the_short_one_and_waited_for() {
    assert_eq!(seconds(10_000, &["20/s", "10000/d"]), 499.0 * 1.02 + 0.95);
    assert_eq!(seconds(10_001, &["10000/d", "20/s"]), 86_400.02);
    assert_eq!(seconds(10_021, &["20/s", "10000/d"]), 86_401.04);
    assert_eq!(seconds(121, &["20/s", "60/m"]), 2.0 * 60.02, "the order does not matter, and windows repeat");
    assert_eq!(seconds(201, &["10/s", "1000/10s"]), 20.0 * 1.02, "a long one that allows more than the short one");
}

// Seen failing with what is used before the wait counted again after it.
#[test]
fn what_is_used_up_already_is_waited_for() {
    let windows = [window("10/s"), Window { limit: "100/h".parse().expect("a rate"), left: Some((3, 60 * SECOND_US)) }];
    let at = |requests| shortest_us(requests, &windows) as f64 / SECOND_US as f64;
    assert_eq!([at(3), at(4), at(5)], [0.2, 60.0, 60.1]);
    assert_eq!(at(101), 3_600.02, "the hour begins now for what is used now");
}

#[test]
fn the_numbers_no_input_is_too_large_for() {
    assert_eq!(shortest_us(u64::MAX, &[window("1/366d")]), Micros::MAX);
}

#[test]
fn a_slow_limit_bounds_what_is_quick_and_says_what_it_needs() {
    let Expected { total_s, bound, concurrency, cores, .. } =
        expected(&task(1_000, &["20/s"]), &trial(20, 200, 50)).expect("known");
    assert_eq!(bound, Bound::Limits);
    assert!((total_s - (49.0 * 1.02 + 0.95 + 0.4)).abs() < 1e-6, "{total_s}");
    let per_s = 20.0 / 1.02;
    assert!((concurrency.expect("a pace") - per_s * 0.2).abs() < 1e-6);
    assert!((cores - per_s * 0.05).abs() < 1e-6);
}

#[test]
fn few_in_flight_or_few_cores_bound_what_the_limit_would_allow() {
    let few = Task { concurrency: 2, ..task(1_000, &["20/s"]) };
    let slow = expected(&few, &trial(20, 200, 0)).expect("known");
    assert_eq!((slow.bound, slow.total_s), (Bound::Concurrency, 100.0));
    let heavy = expected(&task(1_000, &["20/s"]), &trial(20, 300, 200)).expect("known");
    assert_eq!((heavy.bound, heavy.total_s), (Bound::Cpu, 100.0));
}

#[test]
fn what_is_tried_again_costs_requests() {
    let mut tried = trial(20, 100, 0);
    tried.extend(tried.clone());
    let doubled = expected(&task(100, &["20/s"]), &tried).expect("known");
    assert_eq!(doubled.requests_per_job, 2.0);
    assert!((doubled.total_s - (9.0 * 1.02 + 0.95 + 0.2)).abs() < 1e-6, "{}", doubled.total_s);
}

#[test]
fn an_sla_holds_where_the_trial_kept_it_and_cores_are_left() {
    let within = |sla_ms: i64, latency_ms, process_ms| {
        let task = Task { sla_us: Some(sla_ms * 1000), ..task(100, &["20/s"]) };
        expected(&task, &trial(20, latency_ms, process_ms)).expect("known").sla_holds
    };
    assert_eq!(within(500, 200, 10), Some(true));
    assert_eq!(within(500, 600, 10), Some(false), "too late already");
    assert_eq!(within(500, 400, 100), Some(false), "20 x 100 ms a second are all of two cores");
    assert_eq!(expected(&task(100, &["20/s"]), &trial(20, 1, 1)).expect("known").sla_holds, None);
}

#[test]
fn without_an_attempt_nothing_is_expected() {
    assert_eq!(expected(&task(100, &["20/s"]), &[]), None);
    assert_eq!(expected(&task(100, &["20/s"]), &[Tried { job: 1, sent: true, ..Tried::default() }]), None);
}
