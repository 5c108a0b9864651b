//! Promises about limits and permits.

use haul::clock::{Micros, SECOND_US};
use haul::limit::{Limit, Spend};
use haul::store::{Recovered, Store, Want};

use super::Inspect;
use super::scene::{Scene, limit};

fn both() -> [Limit; 2] {
    [limit("20/s", 20, SECOND_US), limit("600/m", 600, 60 * SECOND_US)]
}

pub(crate) async fn a_permit_is_counted_in_every_limit<T: Inspect>(mut at: Scene<T>) {
    at.import(&["a", "b", "c"]).await;
    at.start_with(&both()).await;
    let until_us = at.now_us + 50;
    let spends = [until_us, until_us, until_us + 1, until_us + 2];
    let want = Want { slots: 9, requests: 4 };
    at.store().claim(at.run, &want, &spends, at.now_us).await.expect("claim");
    let rows = at.rows().await;
    for name in ["20/s", "600/m"] {
        let of = |until_us| rows.spends.get(&(name.to_owned(), until_us)).copied();
        assert_eq!((of(until_us), of(until_us + 1), of(until_us + 2)), (Some(2), Some(1), None));
    }
    at.store().release(at.run, &[], &[until_us, until_us + 1]).await.expect("release");
    let rows = at.rows().await;
    assert_eq!((rows.spent("20/s"), rows.spent("600/m")), (1, 1));
}

pub(crate) async fn permits_that_may_still_count_survive_a_crash_and_older_ones_go<T: Inspect>(mut at: Scene<T>) {
    at.import(&["a", "b"]).await;
    at.start_with(&both()).await;
    let first_us = at.now_us;
    let second_us = first_us + SECOND_US;
    for until_us in [first_us, second_us] {
        let want = Want { slots: 1, requests: 1 };
        at.store().claim(at.run, &want, &[until_us], at.now_us).await.expect("claim");
    }
    let jitter_us = both()[0].jitter_us;
    let spend = |limit: &str, until_us| Spend { limit: limit.to_owned(), until_us, permits: 1 };
    for (now_us, left) in [
        (
            second_us + jitter_us - 1,
            vec![
                spend("20/s", first_us),
                spend("20/s", second_us),
                spend("600/m", first_us),
                spend("600/m", second_us),
            ],
        ),
        (second_us + jitter_us, vec![spend("20/s", second_us), spend("600/m", first_us), spend("600/m", second_us)]),
        (first_us + 60 * SECOND_US + jitter_us, vec![spend("600/m", second_us)]),
        (second_us + 60 * SECOND_US + jitter_us, vec![]),
    ] {
        at.now_us = now_us;
        at.stored.die().await;
        let mut found = at.start_with(&both()).await.spends;
        found.sort_by_key(|spend| (spend.limit.clone(), spend.until_us));
        assert_eq!(found, left);
        assert_eq!(at.rows().await.spends.len(), left.len(), "older ones are gone");
    }
}

pub(crate) async fn the_table_of_limits_holds_exactly_those_of_the_run<T: Inspect>(mut at: Scene<T>) {
    let [second, minute] = both();
    for limits in [vec![second.clone(), minute.clone()], vec![minute], vec![], vec![second]] {
        at.start_with(&limits).await;
        let rows = at.rows().await;
        let mut names: Vec<_> = limits.iter().map(|limit| limit.name.clone()).collect();
        names.sort();
        assert_eq!(rows.limits.keys().cloned().collect::<Vec<_>>(), names);
        for limit in limits {
            let row = &rows.limits[&limit.name];
            assert_eq!((row.permits, row.window_us, row.jitter_us), (limit.permits, limit.window_us, limit.jitter_us));
        }
    }
}

pub(crate) async fn a_pause_survives_a_crash<T: Inspect>(mut at: Scene<T>) {
    let [second, _] = both();
    assert_eq!(pause_of("20/s", &at.start_with(&both()).await), 0);
    let until_us = at.now_us + 5 * SECOND_US;
    at.store().pause_limit(&second, until_us).await.expect("pause");
    at.stored.die().await;
    let found = at.start_with(&both()).await;
    assert_eq!((pause_of("20/s", &found), pause_of("600/m", &found)), (until_us, 0));
}

/// The time before which nothing is sent under this limit.
fn pause_of(name: &str, found: &Recovered) -> Micros {
    found.limits.iter().find(|(limit, _)| limit.name == name).expect("the limit is kept").1
}

pub(crate) async fn a_shorter_pause_does_not_cut_a_longer_one<T: Inspect>(mut at: Scene<T>) {
    let [second, _] = both();
    at.start_with(&both()).await;
    for seconds in [60, 1] {
        at.store().pause_limit(&second, at.now_us + seconds * SECOND_US).await.expect("pause");
    }
    assert_eq!(at.rows().await.limits["20/s"].paused_until_us, at.now_us + 60 * SECOND_US);
}

pub(crate) async fn a_widened_jitter_is_kept<T: Inspect>(mut at: Scene<T>) {
    let [second, _] = both();
    at.start_with(&both()).await;
    let wide = Limit { jitter_us: 2 * second.jitter_us, ..second };
    at.store().pause_limit(&wide, at.now_us + 1).await.expect("pause");
    at.stored.die().await;
    at.start_with(&both()).await;
    let rows = at.rows().await;
    assert_eq!(rows.limits["20/s"].jitter_us, wide.jitter_us);
    assert_eq!(rows.limits["600/m"].jitter_us, both()[1].jitter_us, "the other limit is as it was");
}

pub(crate) async fn a_limit_that_is_new_knows_what_was_sent_under_the_old_one_and_no_pause<T: Inspect>(
    mut at: Scene<T>,
) {
    at.import(&["a"]).await;
    let [second, _] = both();
    at.start_with(std::slice::from_ref(&second)).await;
    at.claim(1).await;
    at.store().pause_limit(&second, at.now_us + SECOND_US).await.expect("pause");
    let found = at.start_with(&[limit("10/s", 10, SECOND_US)]).await;
    let spent: Vec<_> = found.spends.iter().map(|spend| (spend.limit.as_str(), spend.permits)).collect();
    assert_eq!((spent.as_slice(), pause_of("10/s", &found)), ([("10/s", 1)].as_slice(), 0));
}
