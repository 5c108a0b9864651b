//! How long it took: over time, by stage, and as a distribution.

use super::part::{Figure, Key, Part, Table, heads};
use crate::clock::Micros;
use crate::report::axis::{TimeAxis, ValueAxis};
use crate::report::history::{History, Slot, Spread};
use crate::report::plot::{Frame, Mark, Plot, area, line, px, steps, text, tips};
use crate::report::words::{between, digits, short, took};

/// The stages in the order in which a job meets them, what people call them, and what they mean.
pub(super) const STAGES: [(&str, &str, &str); 6] = [
    ("rate_wait", "rate wait", "from claim to send: waiting for the limit"),
    ("ttfb", "first byte", "from send to the head of the answer"),
    ("fetch", "whole answer", "from send to its last byte"),
    ("queue", "queue", "waiting for a CPU"),
    ("process", "process", "your code"),
    ("latency", "latency", "from send to result: what the SLA is about"),
];

/// All slots together.
pub(super) fn overall(slots: &[Slot], stage: &str) -> Spread {
    let mut all = Spread::default();
    slots.iter().filter_map(|slot| slot.stages.get(stage)).for_each(|spread| all.add(spread));
    all
}

/// Percentiles of a stage over time.
type Lines = [Vec<Option<Micros>>; 3];

fn lines(slots: &[Slot], stage: &str) -> Lines {
    [0.5, 0.9, 0.99].map(|share| {
        slots.iter().map(|slot| slot.stages.get(stage).and_then(|spread| spread.percentile_us(share))).collect()
    })
}

pub(super) fn part(history: &History, sla_us: Option<Micros>) -> Part {
    let slots = &history.slots;
    let all = overall(slots, "latency");
    let lead = match (all.percentile_us(0.5), all.percentile_us(0.99)) {
        (Some(p50), Some(p99)) => format!(
            "Half of all results were ready within {} of sending, 99 of 100 within {}. Bounds are at most 1/8 too high.",
            took(p50),
            took(p99)
        ),
        _ => "No result yet.".to_owned(),
    };
    let there: Vec<_> = STAGES.iter().filter(|(stage, ..)| overall(slots, stage).n > 0).collect();
    let mut figures = Vec::new();
    if all.n > 0 {
        let draw = |frame: Frame| over_time(&frame, slots, "latency", "Latency", sla_us);
        figures.push(Figure {
            caption: "Latency over time: from sending a request to its result".to_owned(),
            legend: legend(sla_us),
            small: false,
            wide: Some(draw(Frame::wide(240.0))),
            narrow: draw(Frame::narrow(210.0)),
        });
    }
    if !there.is_empty() {
        figures.push(Figure {
            caption: "How it is distributed, by stage: each octave is as wide as any other".to_owned(),
            legend: vec![Key::new("c0", "share of attempts"), Key::new("p", "p50, p90, p99")],
            small: false,
            wide: Some(distribution(&Frame::wide(0.0), slots, &there)),
            narrow: distribution(&Frame::narrow(0.0), slots, &there),
        });
    }
    for (stage, name, meaning) in there.iter().filter(|(stage, ..)| *stage != "latency") {
        figures.push(Figure {
            caption: format!("{name}: {meaning}"),
            legend: Vec::new(),
            small: true,
            wide: None,
            narrow: over_time(&Frame::narrow(150.0), slots, stage, name, None),
        });
    }
    Part {
        id: "latency",
        title: "Latency",
        lead: vec![lead],
        figures,
        tables: vec![percentiles(slots, &there), table(slots)],
    }
}

fn legend(sla_us: Option<Micros>) -> Vec<Key> {
    let mut legend = vec![Key::new("c0", "p50"), Key::new("c2", "p90"), Key::new("c4", "p99")];
    if let Some(sla_us) = sla_us {
        legend.push(Key::new("limit", format!("SLA {}", took(sla_us))));
    }
    legend
}

fn over_time(frame: &Frame, slots: &[Slot], stage: &str, name: &str, sla_us: Option<Micros>) -> Plot {
    let lines = lines(slots, stage);
    let known = || lines.iter().flatten().flatten().copied();
    let least = known().chain(sla_us).min().unwrap_or(1);
    let most = known().chain(sla_us).max().unwrap_or(1);
    let (time, value) = (TimeAxis::new(slots, frame), ValueAxis::durations(least, most, frame));
    let y = |us: &Option<Micros>| us.map(|us| value.y(us as f64));
    let band: Vec<_> = lines[0].iter().zip(&lines[2]).map(|(low, high)| y(high).zip(y(low))).collect();
    let mut marks = value.marks(frame, "");
    marks.push(Mark::Path { class: "f0", d: area(&time.spans, &band) });
    for (class, line) in ["c4", "c2", "c0"].into_iter().zip(lines.iter().rev()) {
        marks.push(Mark::Path { class, d: steps(&time.spans, &line.iter().map(y).collect::<Vec<_>>()) });
    }
    if let Some(sla_us) = sla_us {
        let y = value.y(sla_us as f64);
        marks.push(line("limit", (frame.left, y), (frame.right, y)));
    }
    marks.extend(time.marks);
    let told = |us: Option<Micros>| us.map_or_else(|| "-".to_owned(), took);
    marks.extend(tips(frame, &time.spans, |i| {
        let [p50, p90, p99] = [0, 1, 2].map(|line: usize| told(lines[line][i]));
        format!("{}: p50 {p50}, p90 {p90}, p99 {p99}", between(slots[i].from_us, slots[i].to_us))
    }));
    let description =
        format!("The 50th, 90th and 99th percentile of {name} over time, between {} and {}.", took(least), took(most));
    frame.plot(&format!("{name} over time"), description, marks)
}

/// A hill for each stage, all over one axis of durations.
fn distribution(frame: &Frame, slots: &[Slot], stages: &[&(&str, &str, &str)]) -> Plot {
    const ROW: f64 = 46.0;
    let spreads: Vec<_> = stages.iter().map(|(stage, ..)| overall(slots, stage)).collect();
    let bounds = || spreads.iter().flat_map(|spread| spread.buckets.keys().copied());
    // What takes next to nothing is not worth half of the width.
    let low = bounds().min().unwrap_or(1).max(10) as f64 * 0.8;
    let high = (bounds().max().unwrap_or(100) as f64 * 1.05).max(low * 10.0);
    let left = frame.left + if frame.width > 500.0 { 34.0 } else { 26.0 };
    let x = |us: f64| left + ((us.max(low) / low).ln() / (high / low).ln()).clamp(0.0, 1.0) * (frame.right - left);
    let bottom = 16.0 + ROW * stages.len() as f64;
    let mut marks = Vec::new();
    let mut tick = 10f64.powf(low.log10().ceil());
    while tick <= high {
        marks.push(line("grid", (x(tick), 8.0), (x(tick), bottom)));
        marks.push(text("label", (x(tick), bottom + 18.0), "middle", took(tick as Micros)));
        tick *= 10.0;
    }
    for (i, (spread, (_, name, _))) in spreads.iter().zip(stages).enumerate() {
        let base = 16.0 + ROW * (i + 1) as f64;
        marks.extend(hill(spread, name, base, left, &x));
        marks.push(line("base", (left, base), (frame.right, base)));
    }
    let frame = Frame { height: bottom + 26.0, ..*frame };
    let told = spreads.iter().zip(stages).map(|(spread, (_, name, _))| {
        let [p50, p99] = [0.5, 0.99].map(|share| spread.percentile_us(share).map_or_else(String::new, took));
        format!("{name}: half within {p50}, 99 of 100 within {p99}")
    });
    let description = told.collect::<Vec<_>>().join("; ");
    frame.plot("Distribution of durations by stage", description, marks)
}

fn hill(spread: &Spread, name: &str, base: f64, left: f64, x: &impl Fn(f64) -> f64) -> Vec<Mark> {
    const HEIGHT: f64 = 34.0;
    // Four buckets an octave are enough for the eye, and smoother.
    let mut bars: Vec<(f64, f64, u64)> = Vec::new();
    for (bound, n) in &spread.buckets {
        let key = ((*bound as f64).log2() * 4.0).floor();
        match bars.last_mut() {
            Some(bar) if (bar.0 - key).abs() < 0.5 => bar.2 += n,
            _ => bars.push((key, *bound as f64, *n)),
        }
    }
    let most = bars.iter().map(|bar| bar.2).max().unwrap_or(1) as f64;
    let mut d = String::new();
    for (key, _, n) in &bars {
        let (from, to) = (x((key / 4.0).exp2()), x(((key + 1.0) / 4.0).exp2()));
        // What is rare is still seen.
        let y = base - (*n as f64 / most * HEIGHT).max(1.0);
        d += &format!("M{} {}V{}H{}V{}Z", px(from), px(base), px(y), px(to), px(base));
    }
    let mut marks = vec![Mark::Path { class: "h0", d }, text("name", (left - 8.0, base - 6.0), "end", name)];
    for share in [0.5, 0.9, 0.99] {
        if let Some(us) = spread.percentile_us(share) {
            marks.push(line("p", (x(us as f64), base - HEIGHT), (x(us as f64), base + 3.0)));
        }
    }
    marks
}

fn percentiles(slots: &[Slot], stages: &[&(&str, &str, &str)]) -> Table {
    let row = |(stage, name, meaning): &&(&str, &str, &str)| {
        let spread = overall(slots, stage);
        let told = [0.5, 0.9, 0.99, 1.0].map(|share| spread.percentile_us(share).map_or_else(String::new, took));
        let mut row = vec![(*name).to_owned(), (*meaning).to_owned(), digits(spread.n)];
        row.extend(told);
        row
    };
    Table {
        caption: "Percentiles by stage, all runs".to_owned(),
        folded: false,
        head: heads(&["stage", "what it is", "#n", "#p50", "#p90", "#p99", "#max"]),
        rows: stages.iter().map(row).collect(),
    }
}

fn table(slots: &[Slot]) -> Table {
    let ms = |us: Option<Micros>| us.map_or_else(String::new, |us| short(us as f64 / 1e3));
    let rows = slots.iter().map(|slot| {
        let of = |stage: &str, share| ms(slot.stages.get(stage).and_then(|spread| spread.percentile_us(share)));
        let mut row = vec![between(slot.from_us, slot.to_us)];
        for (stage, ..) in STAGES {
            row.extend([of(stage, 0.5), of(stage, 0.99)]);
        }
        row
    });
    Table {
        caption: "The numbers behind it, in milliseconds".to_owned(),
        folded: true,
        head: heads(&[
            "time (UTC)",
            "#rate wait p50",
            "#p99",
            "#first byte p50",
            "#p99",
            "#whole answer p50",
            "#p99",
            "#queue p50",
            "#p99",
            "#process p50",
            "#p99",
            "#latency p50",
            "#p99",
        ]),
        rows: rows.collect(),
    }
}
