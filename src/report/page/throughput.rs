//! How much was sent and done over time, against the limit.

use super::part::{Figure, Key, Part, Table, heads};
use crate::clock::Micros;
use crate::report::axis::{TimeAxis, ValueAxis};
use crate::report::history::{History, RunStory, Slot, tightest};
use crate::report::plot::{Frame, Mark, Plot, area, steps, tips};
use crate::report::words::{between, digits, lasted, short};

/// A slot that was alive for less tells of no rate, unless all were: a request in its last milliseconds is no hundred a second.
const LEAST_US: Micros = 1_000_000;

/// What went on in a slot, a second of the time in which a run was there; `None` where that is too short to tell.
struct Rates {
    requests: Option<f64>,
    results: Option<f64>,
    limit: Option<f64>,
}

impl Rates {
    fn all(slots: &[Slot], runs: &[RunStory]) -> Vec<Self> {
        let longest = slots.iter().map(|slot| slot.alive_us).max().unwrap_or(0);
        let least_us = if longest < LEAST_US { 1 } else { LEAST_US };
        let rates = |slot: &Slot| {
            let alive_us = Some(slot.alive_us).filter(|us| *us >= least_us);
            let per_s = |stage| alive_us.map(|us| count(slot, stage) as f64 * 1e6 / us as f64);
            let limit = alive_us.and_then(|us| limit(runs, slot, us));
            Self { requests: per_s("rate_wait"), results: per_s("latency"), limit }
        };
        slots.iter().map(rates).collect()
    }

    fn most(all: &[Self]) -> f64 {
        all.iter().flat_map(|rates| [rates.requests, rates.results]).flatten().fold(0.0, f64::max)
    }

    /// Limits up to this are drawn. One far above what is reached would press everything to the bottom, as would what a long
    /// window lets through in a short time.
    fn reach(all: &[Self]) -> f64 {
        let (most, limits) = (Self::most(all), all.iter().filter_map(|rates| rates.limit));
        let least = limits.min_by(f64::total_cmp).filter(|least| *least <= 8.0 * most);
        least.map_or(0.0, |least| least.max(2.0 * most))
    }
}

pub(super) fn count(slot: &Slot, stage: &str) -> u64 {
    slot.stages.get(stage).map_or(0, |spread| spread.n)
}

/// The limit of the last run that was there in this slot, which was alive so long.
fn limit(runs: &[RunStory], slot: &Slot, alive_us: Micros) -> Option<f64> {
    let there = runs.iter().rev().find(|run| run.started_at < slot.to_us && run.until >= slot.from_us)?;
    tightest(there.settings.as_ref()?, alive_us)
}

pub(super) fn part(history: &History) -> Part {
    let slots = &history.slots;
    let all = |stage| slots.iter().map(|slot| count(slot, stage)).sum::<u64>();
    let alive: Micros = slots.iter().map(|slot| slot.alive_us).sum();
    let (requests, results) = (all("rate_wait"), all("latency"));
    let mean = |n: u64| {
        if alive > 0 { format!(" ({} a second)", short(n as f64 * 1e6 / alive as f64)) } else { String::new() }
    };
    let lead = format!(
        "{} requests{} and {} results{} in {} in which a run was there.",
        digits(requests),
        mean(requests),
        digits(results),
        mean(results),
        lasted(alive),
    );
    let rates = Rates::all(slots, &history.runs);
    let mut legend = vec![Key::new("c0", "requests a second"), Key::new("c1", "results a second")];
    if Rates::reach(&rates) > 0.0 {
        legend.push(Key::new("limit", "limit"));
    } else if rates.iter().any(|rates| rates.limit.is_some()) {
        legend.push(Key::new("limit", "limit, off the scale"));
    }
    let draw = |frame: Frame| plot(&frame, slots, &rates);
    Part {
        id: "throughput",
        title: "Throughput",
        lead: vec![lead],
        figures: vec![Figure {
            caption: String::new(),
            legend,
            small: false,
            wide: Some(draw(Frame::wide(260.0))),
            narrow: draw(Frame::narrow(220.0)),
        }],
        tables: vec![table(slots, &rates)],
    }
}

fn plot(frame: &Frame, slots: &[Slot], rates: &[Rates]) -> Plot {
    let time = TimeAxis::new(slots, frame);
    let (most, reach) = (Rates::most(rates), Rates::reach(rates));
    let limits: Vec<_> = rates.iter().map(|rates| rates.limit.filter(|limit| *limit <= reach)).collect();
    let value = ValueAxis::linear(limits.iter().flatten().copied().fold(most, f64::max), frame);
    let ys = |of: fn(&Rates) -> Option<f64>| -> Vec<_> {
        rates.iter().map(|rates| of(rates).map(|rate| value.y(rate))).collect()
    };
    let (requests, results) = (ys(|rates| rates.requests), ys(|rates| rates.results));
    let filled: Vec<_> = requests.iter().map(|y| y.map(|y| (y, frame.bottom))).collect();
    let mut marks = value.marks(frame, "");
    marks.push(Mark::Path { class: "f0", d: area(&time.spans, &filled) });
    marks.push(Mark::Path { class: "c0", d: steps(&time.spans, &requests) });
    marks.push(Mark::Path { class: "c1", d: steps(&time.spans, &results) });
    if reach > 0.0 {
        let limit: Vec<_> = limits.iter().map(|limit| limit.map(|limit| value.y(limit))).collect();
        marks.push(Mark::Path { class: "limit", d: steps(&time.spans, &limit) });
    }
    marks.extend(time.marks);
    marks.extend(tips(frame, &time.spans, |i| {
        let (when, rates) = (between(slots[i].from_us, slots[i].to_us), &rates[i]);
        let limit = rates.limit.map(|limit| format!(", limit {}/s", short(limit))).unwrap_or_default();
        match (rates.requests, rates.results) {
            (Some(requests), Some(results)) => {
                format!("{when}: {} requests/s, {} results/s{limit}", short(requests), short(results))
            }
            _ => format!("{when}: too short to tell of a rate"),
        }
    }));
    let description = format!(
        "Requests and results a second over time, at most {} in any span; the table below has the numbers.",
        short(most)
    );
    frame.plot("Throughput over time", description, marks)
}

fn table(slots: &[Slot], rates: &[Rates]) -> Table {
    let row = |(slot, rates): (&Slot, &Rates)| {
        let told = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), short);
        let no_limit = if rates.requests.is_some() { "none" } else { "-" };
        vec![
            between(slot.from_us, slot.to_us),
            digits(count(slot, "rate_wait")),
            told(rates.requests),
            digits(count(slot, "latency")),
            told(rates.results),
            rates.limit.map_or_else(|| no_limit.to_owned(), short),
        ]
    };
    Table {
        caption: "The numbers behind it".to_owned(),
        folded: true,
        head: heads(&["time (UTC)", "#requests", "#a second", "#results", "#a second", "#limit a second"]),
        rows: slots.iter().zip(rates).map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::history::Spread;

    fn told(alive_us: &[Micros]) -> Vec<Option<f64>> {
        let spread = Spread { n: 10, ..Spread::default() };
        let slot = |(alive_us, i): (&Micros, i64)| Slot {
            from_us: i * 60_000_000,
            to_us: (i + 1) * 60_000_000,
            alive_us: *alive_us,
            stages: BTreeMap::from([("rate_wait".to_owned(), spread.clone())]),
            ..Slot::default()
        };
        let slots: Vec<_> = alive_us.iter().zip(0..).map(slot).collect();
        Rates::all(&slots, &[]).into_iter().map(|rates| rates.requests).collect()
    }

    // Divided by the whole length of its slot, 10 in 0.25 s were 0.17 a second.
    #[test]
    fn a_short_run_has_its_rate_and_a_short_end_of_a_long_one_has_none() {
        assert_eq!(told(&[250_000]), [Some(40.0)]);
        assert_eq!(told(&[20_000_000, 4_000]), [Some(0.5), None]);
        assert_eq!(told(&[0]), [None]);
    }

    #[test]
    fn a_limit_is_drawn_near_what_was_reached_and_left_out_far_above_it() {
        let reach = |pairs: &[(f64, f64)]| {
            let rates =
                |(rate, limit): &(f64, f64)| Rates { requests: Some(*rate), results: None, limit: Some(*limit) };
            Rates::reach(&pairs.iter().map(rates).collect::<Vec<_>>())
        };
        assert_eq!([reach(&[(1.0, 5.0)]), reach(&[(1.0, 9.0)]), reach(&[(4.0, 4.2), (1.0, 250.0)])], [5.0, 0.0, 8.0]);
    }
}
