//! How much was sent and done over time, against the limit.

use super::part::{Figure, Key, Part, Table, heads};
use crate::clock::Micros;
use crate::report::axis::{TimeAxis, ValueAxis};
use crate::report::history::{History, Slot, tightest};
use crate::report::plot::{Frame, Mark, Plot, area, steps, tips};
use crate::report::words::{between, digits, lasted, short};

/// A slot in which at least this much of a second was alive tells of a rate.
const LEAST_US: Micros = 1_000_000;

/// A second, over the time in which a run was there.
pub(super) fn per_s(slot: &Slot, n: u64) -> f64 {
    let alive_us = if slot.alive_us < LEAST_US { slot.to_us - slot.from_us } else { slot.alive_us };
    n as f64 * 1e6 / alive_us.max(1) as f64
}

pub(super) fn count(slot: &Slot, stage: &str) -> u64 {
    slot.stages.get(stage).map_or(0, |spread| spread.n)
}

/// The limit of the last run that was there in this slot.
fn limit(history: &History, slot: &Slot) -> Option<f64> {
    let there = history.runs.iter().rev().find(|run| run.started_at < slot.to_us && run.until >= slot.from_us)?;
    tightest(there.settings.as_ref()?)
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
    let limits: Vec<_> = slots.iter().map(|slot| limit(history, slot)).collect();
    let most = slots.iter().map(|slot| per_s(slot, count(slot, "rate_wait")).max(per_s(slot, count(slot, "latency"))));
    let most = most.fold(0.0, f64::max);
    let highest = limits.iter().flatten().copied().fold(0.0, f64::max);
    // A limit far above what is reached would press everything to the bottom.
    let shows_limit = highest > 0.0 && highest <= 8.0 * most.max(1e-9);
    let mut legend = vec![Key::new("c0", "requests a second"), Key::new("c1", "results a second")];
    if shows_limit {
        legend.push(Key::new("limit", "limit"));
    } else if highest > 0.0 {
        legend.push(Key::new("limit", format!("limit {}/s, off the scale", short(highest))));
    }
    let top = if shows_limit { most.max(highest) } else { most };
    let draw = |frame: Frame| plot(&frame, slots, &limits, top, shows_limit);
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
        tables: vec![table(slots, &limits)],
    }
}

fn plot(frame: &Frame, slots: &[Slot], limits: &[Option<f64>], most: f64, shows_limit: bool) -> Plot {
    let time = TimeAxis::new(slots, frame);
    let value = ValueAxis::linear(most, frame);
    let ys =
        |stage: &str| -> Vec<_> { slots.iter().map(|slot| Some(value.y(per_s(slot, count(slot, stage))))).collect() };
    let (requests, results) = (ys("rate_wait"), ys("latency"));
    let filled: Vec<_> = requests.iter().map(|y| y.map(|y| (y, frame.bottom))).collect();
    let mut marks = value.marks(frame, "");
    marks.push(Mark::Path { class: "f0", d: area(&time.spans, &filled) });
    marks.push(Mark::Path { class: "c0", d: steps(&time.spans, &requests) });
    marks.push(Mark::Path { class: "c1", d: steps(&time.spans, &results) });
    if shows_limit {
        let limit: Vec<_> = limits.iter().map(|limit| limit.map(|limit| value.y(limit))).collect();
        marks.push(Mark::Path { class: "limit", d: steps(&time.spans, &limit) });
    }
    marks.extend(time.marks);
    marks.extend(tips(frame, &time.spans, |i| {
        let slot = &slots[i];
        let limit = limits[i].map(|limit| format!(", limit {}/s", short(limit))).unwrap_or_default();
        format!(
            "{}: {} requests/s, {} results/s{limit}",
            between(slot.from_us, slot.to_us),
            short(per_s(slot, count(slot, "rate_wait"))),
            short(per_s(slot, count(slot, "latency")))
        )
    }));
    let description = format!(
        "Requests and results a second over time, at most {} in any span; the table below has the numbers.",
        short(most)
    );
    frame.plot("Throughput over time", description, marks)
}

fn table(slots: &[Slot], limits: &[Option<f64>]) -> Table {
    let row = |(slot, limit): (&Slot, &Option<f64>)| {
        let (requests, results) = (count(slot, "rate_wait"), count(slot, "latency"));
        vec![
            between(slot.from_us, slot.to_us),
            digits(requests),
            short(per_s(slot, requests)),
            digits(results),
            short(per_s(slot, results)),
            limit.map_or_else(|| "none".to_owned(), short),
        ]
    };
    Table {
        caption: "The numbers behind it".to_owned(),
        folded: true,
        head: heads(&["time (UTC)", "#requests", "#a second", "#results", "#a second", "#limit a second"]),
        rows: slots.iter().zip(limits).map(row).collect(),
    }
}
