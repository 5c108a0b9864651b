use proptest::prelude::*;

use super::*;
use crate::checker::max_window;

const ALL: [Model; 7] = [
    Model::FixedByClock,
    Model::FixedByFirst,
    Model::SlidingLog,
    Model::EveryArrival,
    Model::SlidingCounter,
    Model::Bucket,
    Model::Strict,
];

/// Of these arrivals, those that are admitted.
fn admitted(model: Model, permits: usize, window_ns: u64, at_ns: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut limiter = Limiter::new(model, permits, Duration::from_nanos(window_ns));
    at_ns.into_iter().filter(|at_ns| limiter.arrive(*at_ns).is_ok()).collect()
}

/// What becomes of arrivals at a limit of 3 per 100 ns: a dot, or how long they should have waited.
fn answers(model: Model, at_ns: &[u64]) -> String {
    let mut limiter = Limiter::new(model, 3, Duration::from_nanos(100));
    let mut answer =
        |at_ns: &u64| limiter.arrive(*at_ns).map_or_else(|wait_ns| wait_ns.to_string(), |()| ".".to_owned());
    at_ns.iter().map(&mut answer).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_model_admits_and_refuses_as_it_is_known_to() {
    use Model::*;
    for (model, at_ns, expected) in [
        // Two bursts around a border of the clock.
        (FixedByClock, &[250, 297, 298, 299, 300, 301, 302, 303][..], ". . . 1 . . . 97"),
        (FixedByFirst, &[250, 251, 252, 300, 349, 350, 460], ". . . 50 1 . ."),
        (SlidingLog, &[0, 40, 80, 90, 99, 100, 139, 140], ". . . 10 1 . 1 ."),
        // What came at 90 and was refused counts as well: at 140, two of those since 80 must leave.
        (EveryArrival, &[0, 40, 80, 90, 130, 140, 240], ". . . 50 50 50 ."),
        // At 150 half of the last window counts, 1.5, and one of this; at 151 two of this are too many until 167.
        (SlidingCounter, &[0, 1, 2, 50, 100, 101, 150, 151, 300], ". . . 51 1 . . 16 ."),
        (Bucket, &[0, 1, 2, 3, 33, 34, 35, 500, 501, 502, 503], ". . . 31 1 . 32 . . . 31"),
        (Strict, &[0, 1, 33, 34, 60, 68], ". 33 1 . 8 ."),
    ] {
        assert_eq!(answers(model, at_ns), expected, "{model:?}");
    }
}

proptest! {
    // Seen failing with a window three times as long.
    #[test]
    fn an_even_sender_at_half_the_rate_is_never_refused(
        permits in 1_usize..50, window_ns in 100_u64..1_000_000, phase_ns in 0_u64..2_000_000,
    ) {
        let gap_ns = 2 * window_ns.div_ceil(permits as u64);
        for model in ALL {
            let even = (0..200).map(|k| phase_ns + k * gap_ns);
            prop_assert_eq!(admitted(model, permits, window_ns, even).len(), 200, "{:?}", model);
        }
    }

    // Seen failing with N + 1 in place of N.
    #[test]
    fn of_twice_as_many_at_once_half_or_more_is_refused(
        permits in 1_usize..50, window_ns in 100_u64..1_000_000, at_ns in 0_u64..2_000_000,
    ) {
        for model in ALL {
            let expected = if model == Model::Strict { 1 } else { permits };
            let burst = std::iter::repeat_n(at_ns, 2 * permits);
            prop_assert_eq!(admitted(model, permits, window_ns, burst).len(), expected, "{:?}", model);
        }
    }

    // Seen failing with N + 1 in place of N.
    #[test]
    fn no_window_admits_more_than_its_model_may(
        permits in 1_usize..10, gaps_ns in prop::collection::vec(0_u64..200, 1..200),
    ) {
        let at_ns = gaps_ns.iter().scan(0, |at_ns, gap_ns| { *at_ns += gap_ns; Some(*at_ns) });
        for model in ALL {
            let most = max_window(admitted(model, permits, 1_000, at_ns.clone()), 1_000);
            let exact = matches!(model, Model::SlidingLog | Model::EveryArrival | Model::Strict);
            let allowed = if exact { permits } else { 2 * permits };
            prop_assert!(most <= allowed, "{:?}: {} of {}", model, most, allowed);
        }
    }

    // Seen failing with a nanosecond less to wait.
    #[test]
    fn who_waits_as_long_as_told_is_admitted_and_no_sooner(
        permits in 1_usize..10, gaps_ns in prop::collection::vec(0_u64..200, 1..100),
    ) {
        for model in ALL {
            let mut limiter = Limiter::new(model, permits, Duration::from_nanos(1_000));
            let mut at_ns = 0;
            for gap_ns in &gaps_ns {
                at_ns += gap_ns;
                if let Err(wait_ns) = limiter.arrive(at_ns) {
                    prop_assert!(wait_ns > 0, "{:?}", model);
                    // To ask a moment too soon would itself count there.
                    if model != Model::EveryArrival {
                        prop_assert!(limiter.arrive(at_ns + wait_ns - 1).is_err(), "{:?}", model);
                    }
                    at_ns += wait_ns;
                    prop_assert_eq!(limiter.arrive(at_ns), Ok(()), "{:?}", model);
                }
            }
        }
    }
}
