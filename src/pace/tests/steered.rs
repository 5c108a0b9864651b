//! Limits that are changed while a run goes, in virtual time.

use super::world::{Claims, Nature, World};
use super::{J, NOW, dues, limits, pacer};
use crate::clock::{Micros, SECOND_US};
use crate::limit::{Left, Wait};
use crate::pace::Pacer;

/// What is asked for, one after the other, and for how many seconds.
const CHANGES: [(&[&str], Micros); 9] = [
    (&["20/s"], 5),
    (&["5/s"], 5),
    (&["40/s", "100/10s"], 20),
    (&["10/s"], 4),
    (&["10/s", "60/m"], 10),
    (&["30/s"], 5),
    (&["3/500ms"], 4),
    (&["600/m"], 10),
    (&["2/s"], 3),
];

// Seen failing with rings that begin empty, and without what is in flight in them.
#[test]
fn no_window_that_ends_under_a_limit_holds_more_than_it_allows_whatever_held_before() {
    for (seed, nature) in [Nature::quick, Nature::slow, Nature::rough].into_iter().cycle().take(9).enumerate() {
        let mut world = World::new(nature(seed as u64));
        let mut pacer = Pacer::new(&limits(CHANGES[0].0), &[], 0, world.now_us);
        for (nth, (rates, seconds)) in CHANGES.into_iter().cycle().take(4 * CHANGES.len()).enumerate() {
            let before = world.count();
            pacer.relimit(&limits(rates), world.now_us);
            world.go(&mut pacer, Claims::None, world.now_us + seconds * SECOND_US);
            for limit in limits(rates) {
                let most = world.most_within_after(limit.window_us, before);
                assert!(most <= limit.permits as usize, "{most} in {limit}, change {nth}, nature {seed}");
            }
        }
        assert!(world.count() > 1_000, "{}", world.count());
    }
}

// Seen failing with `rest` until a window after the last request.
#[test]
fn a_raised_rate_is_used_at_once_and_a_lowered_one_waits_for_no_more_than_its_window() {
    let mut world = World::new(Nature::quick(5));
    let mut pacer = Pacer::new(&limits(&["2/s"]), &[], 0, world.now_us);
    for (rate, least) in [("2/s", 0.9), ("40/s", 0.97), ("10/s", 0.85), ("200/s", 0.97), ("600/m", 0.0), ("50/s", 0.97)]
    {
        let before = world.count();
        pacer.relimit(&limits(&[rate]), world.now_us);
        world.go(&mut pacer, Claims::None, world.now_us + 10 * SECOND_US);
        let limit = &limits(&[rate])[0];
        let allowed = 10.0 * f64::from(limit.permits) * SECOND_US as f64 / limit.window_us as f64;
        let share = (world.count() - before) as f64 / allowed;
        assert!((least..=1.01).contains(&share), "{rate}: {share}");
    }
}

#[test]
fn where_no_limit_held_what_was_sent_counts_in_the_first_to_come() {
    let mut pacer = pacer(&[]);
    let sent: Vec<_> = (0..30).map(|k| pacer.send(NOW + k).unwrap()).collect();
    sent[..20].iter().for_each(|sent| _ = pacer.ended(*sent, NOW + 900));
    pacer.cold(sent[20]);
    pacer.relimit(&limits(&["30/s"]), NOW + 1_000);
    let due_us = pacer.earliest(NOW + 1_000).unwrap();
    assert!((1_000_000..=1_001_000).contains(&(due_us - NOW)), "{}", due_us - NOW);
    pacer.relimit(&[], NOW + 1_000);
    assert_eq!(pacer.earliest(NOW + 1_000), Some(NOW + 1_000));
}

// Seen failing with a new ring for every limit, and with a new caution.
#[test]
fn a_limit_that_stays_keeps_its_place_and_what_refusals_have_taught() {
    let mut changed = pacer(&["20/s"]);
    let sent = changed.send(NOW).unwrap();
    let [widened] = &changed.refused(sent, NOW + 1_000)[..] else { panic!("one limit") };
    let mut limits = limits(&["1000/h", "20/s"]);
    let before = dues(&changed, 30);
    changed.relimit(&limits, NOW + 2_000);
    assert_eq!((dues(&changed, 30), changed.limits()[1].jitter_us), (before, widened.jitter_us));
    limits.pop();
    changed.relimit(&limits, NOW + 3_000);
    assert_eq!(changed.earliest(NOW + 3_000), Some(NOW + 3_600_000), "evenly after the last one");
}

#[test]
fn a_pause_of_the_server_outlasts_a_change() {
    let mut pacer = pacer(&["20/s"]);
    pacer.pause(NOW + 9 * SECOND_US);
    pacer.relimit(&limits(&["40/s"]), NOW);
    assert_eq!(dues(&pacer, 2), [9 * SECOND_US, 9 * SECOND_US + 25_000]);
    assert_eq!(pacer.wait(NOW), Some(Wait { until_us: NOW + 9 * SECOND_US, limit: None }));
}

#[test]
fn a_wait_names_the_limit_that_is_waited_for() {
    let mut pacer = pacer(&["2/s", "3/h"]);
    assert_eq!(pacer.wait(NOW), None);
    let mut now_us = NOW;
    let of = |limit: &str, until_us| Some(Wait { until_us, limit: Some(limit.to_owned()) });
    pacer.send(now_us).unwrap();
    assert_eq!(pacer.wait(now_us), of("2/s", NOW + 500_000));
    for _ in 0..2 {
        now_us = pacer.earliest(now_us).unwrap();
        pacer.send(now_us).unwrap();
    }
    assert_eq!(pacer.wait(now_us), of("3/h", NOW + J + 3_600 * SECOND_US));
    let left = Left { limit: "3/h".to_owned(), permits: 3, left: 0, next_us: Some(NOW + J + 3_600 * SECOND_US) };
    assert_eq!(pacer.left(now_us), [left], "a second is nothing to tell of");
    pacer.relimit(&limits(&["2/h"]), now_us);
    let more_us = pacer.left(now_us)[0].next_us;
    assert_eq!(more_us, pacer.wait(now_us).map(|wait| wait.until_us), "the first that comes back is of no use yet");
}
