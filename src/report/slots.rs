//! How time is cut into slots: few enough to draw, none over time in which nothing ran.

use super::history::Slot;
use crate::clock::Micros;

const MINUTE_US: Micros = 60_000_000;

/// Slots, about and at most twice as many.
const SLOTS: i64 = 120;

/// Stretches of time that are told apart, at most; more are joined where the gaps between them are smallest.
const STRETCHES: usize = 16;

/// Lengths of a slot that people can read, in minutes.
const LENGTHS: [i64; 13] = [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1_440, 10_080];

/// Cuts the time in which runs were there, given as `(from, until)` in any order, into slots without numbers.
#[must_use]
pub fn cut(runs: &[(Micros, Micros)]) -> Vec<Slot> {
    let stretches = stretches(runs);
    let minutes: i64 = stretches.iter().map(|(from, to)| (to - from) / MINUTE_US).sum();
    let fits = |length: &&i64| minutes <= **length * SLOTS;
    let length = LENGTHS.iter().find(fits).copied().unwrap_or(minutes / SLOTS + 1) * MINUTE_US;
    let mut slots = Vec::new();
    for (from, to) in stretches {
        let mut at = from;
        while at < to {
            // On round times, so that a slot of an hour is an hour of the clock.
            let end = (at - at.rem_euclid(length) + length).min(to);
            slots.push(Slot { from_us: at, to_us: end, alive_us: alive(runs, at, end), ..Slot::default() });
            at = end;
        }
    }
    slots
}

/// Whole minutes in which something ran, without those between that are none or nearly so.
fn stretches(runs: &[(Micros, Micros)]) -> Vec<(Micros, Micros)> {
    let floor = |us: Micros| us - us.rem_euclid(MINUTE_US);
    let mut spans: Vec<_> =
        runs.iter().map(|(from, until)| (floor(*from), floor(*until.max(from)) + MINUTE_US)).collect();
    spans.sort_unstable();
    let whole: Micros = spans.iter().map(|(from, to)| to - from).sum();
    let mut stretches = joined(&spans, (2 * MINUTE_US).max(whole / 50));
    if stretches.len() > STRETCHES {
        let mut gaps: Vec<_> = stretches.windows(2).map(|two| two[1].0 - two[0].1).collect();
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        // Those above it stay: fewer than so many.
        stretches = joined(&stretches, gaps[STRETCHES - 1]);
    }
    stretches
}

/// Spans in order, those joined that are no more than this apart.
fn joined(spans: &[(Micros, Micros)], apart_us: Micros) -> Vec<(Micros, Micros)> {
    let mut joined: Vec<(Micros, Micros)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some(last) if *from - last.1 <= apart_us => last.1 = last.1.max(*to),
            _ => joined.push((*from, *to)),
        }
    }
    joined
}

/// How long of this time a run was there. Two are never there at once.
fn alive(runs: &[(Micros, Micros)], from: Micros, to: Micros) -> Micros {
    runs.iter().map(|run| (run.1.min(to) - run.0.max(from)).max(0)).sum::<Micros>().min(to - from)
}

/// The slot in which a time lies.
#[must_use]
pub fn at(slots: &[Slot], us: Micros) -> Option<usize> {
    let after = slots.partition_point(|slot| slot.from_us <= us);
    after.checked_sub(1).filter(|i| us < slots[*i].to_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Micros = 24 * 60 * MINUTE_US;

    fn ends(slots: &[Slot]) -> Vec<(Micros, Micros)> {
        slots.iter().map(|slot| (slot.from_us / MINUTE_US, slot.to_us / MINUTE_US)).collect()
    }

    #[test]
    fn a_short_run_is_one_slot_that_was_alive_as_long_as_it_was() {
        let slots = cut(&[(90_000_000, 100_000_000)]);
        assert_eq!((ends(&slots), slots[0].alive_us), (vec![(1, 2)], 10_000_000));
        assert_eq!(cut(&[]), []);
    }

    #[test]
    fn time_in_which_nothing_ran_is_left_out() {
        let slots = cut(&[(0, MINUTE_US), (3 * DAY, 3 * DAY + MINUTE_US)]);
        let days = 3 * 24 * 60;
        assert_eq!(ends(&slots), [(0, 1), (1, 2), (days, days + 1), (days + 1, days + 2)]);
        assert_eq!((at(&slots, DAY), at(&slots, 3 * DAY), at(&slots, -1)), (None, Some(2), None));
    }

    #[test]
    fn slots_are_few_whatever_ran() {
        let month = [(7, 20 * DAY)];
        let hourly: Vec<_> = (0..9_000).map(|i| (i * 60 * MINUTE_US, i * 60 * MINUTE_US + 30_000_000)).collect();
        let years = [(0, 4_000 * DAY)];
        for runs in [&month[..], &hourly, &years] {
            let slots = cut(runs);
            let most = 2 * usize::try_from(SLOTS).expect("small");
            assert!((10..=most).contains(&slots.len()), "{}", slots.len());
            assert!(slots.windows(2).all(|two| two[0].to_us <= two[1].from_us));
        }
    }
}
