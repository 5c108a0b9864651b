//! What went wrong, by type and over time, and what was tried again.

use std::collections::BTreeMap;

use super::part::{Figure, Key, Part, Table, heads};
use super::throughput::count;
use crate::report::FailureKind;
use crate::report::axis::{TimeAxis, ValueAxis};
use crate::report::history::{History, Slot};
use crate::report::plot::{Frame, Mark, Plot, area, tips};
use crate::report::words::{between, digits, percent, plain};

/// Types that have a colour of their own.
const COLOURS: usize = 5;

/// The colours of bars, and that of all other types.
const BARS: [&str; COLOURS + 1] = ["h4", "h2", "h5", "h3", "h1", "hx"];

/// Characters of a key and of a message that are shown.
const KEY: usize = 60;
const MESSAGE: usize = 240;

/// Failed attempts by type, most frequent first.
fn by_type(history: &History) -> Vec<(String, u64)> {
    let mut all = BTreeMap::<&str, u64>::new();
    for (error_type, n) in history.slots.iter().flat_map(|slot| &slot.failed) {
        *all.entry(error_type).or_default() += n;
    }
    let mut all: Vec<_> = all.into_iter().map(|(error_type, n)| (error_type.to_owned(), n)).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all
}

/// All failed attempts.
pub(super) fn attempts(history: &History) -> u64 {
    by_type(history).iter().map(|(_, n)| n).sum()
}

pub(super) fn part(history: &History) -> Part {
    let types = by_type(history);
    let (failed, jobs) = (attempts(history), &history.overview.jobs);
    let requests: u64 = history.slots.iter().map(|slot| count(slot, "rate_wait")).sum();
    let mut part = Part { id: "failures", title: "Failures and retries", ..Part::default() };
    if failed == 0 && history.overview.failures.is_empty() {
        part.lead.push("No attempt failed.".to_owned());
        return part;
    }
    part.lead.push(format!(
        "{} attempts failed, {} as many as requests were sent. {} jobs were given up, {} wait for another try; what else \
         failed was tried again and came to an end.",
        digits(failed),
        percent(failed, requests.max(failed)),
        digits(jobs.failed),
        digits(jobs.retrying),
    ));
    if failed > 0 {
        let draw = |frame: Frame| plot(&frame, &history.slots, &types);
        part.figures.push(Figure {
            caption: "Failed attempts over time, by type; each stands where its request was sent".to_owned(),
            legend: legend(&types),
            small: false,
            wide: Some(draw(Frame::wide(220.0))),
            narrow: draw(Frame::narrow(200.0)),
        });
    }
    part.tables.push(kinds(history, &types));
    part.tables.push(table(&history.slots, &types));
    part
}

fn legend(types: &[(String, u64)]) -> Vec<Key> {
    let key = |(i, (error_type, n)): (usize, &(String, u64))| {
        Key::new(BARS[i], format!("{} ({})", plain(error_type, KEY), digits(*n)))
    };
    let mut legend: Vec<_> = types.iter().take(COLOURS).enumerate().map(key).collect();
    if types.len() > COLOURS {
        legend.push(Key::new(BARS[COLOURS], "others"));
    }
    legend
}

/// How many of each colour failed in a slot.
fn stack(slot: &Slot, types: &[(String, u64)]) -> [u64; COLOURS + 1] {
    let mut stack = [0; COLOURS + 1];
    for (error_type, n) in &slot.failed {
        let place = types.iter().position(|(known, _)| known == error_type).unwrap_or(COLOURS);
        stack[place.min(COLOURS)] += n;
    }
    stack
}

fn plot(frame: &Frame, slots: &[Slot], types: &[(String, u64)]) -> Plot {
    let stacks: Vec<_> = slots.iter().map(|slot| stack(slot, types)).collect();
    let most = stacks.iter().map(|stack| stack.iter().sum::<u64>()).max().unwrap_or(0) as f64;
    let (time, value) = (TimeAxis::new(slots, frame), ValueAxis::linear(most, frame));
    let mut marks = value.marks(frame, "");
    for (colour, class) in BARS.into_iter().enumerate() {
        let bar = |stack: &[u64; COLOURS + 1]| {
            let below: u64 = stack[..colour].iter().sum();
            (stack[colour] > 0).then(|| (value.y((below + stack[colour]) as f64), value.y(below as f64)))
        };
        let d = area(&time.spans, &stacks.iter().map(bar).collect::<Vec<_>>());
        if !d.is_empty() {
            marks.push(Mark::Path { class, d });
        }
    }
    marks.extend(time.marks);
    marks.extend(tips(frame, &time.spans, |i| {
        let told: Vec<_> = slots[i].failed.iter().map(|(t, n)| format!("{} x {}", digits(*n), plain(t, KEY))).collect();
        let told = if told.is_empty() { "none failed".to_owned() } else { told.join(", ") };
        format!("{}: {told}", between(slots[i].from_us, slots[i].to_us))
    }));
    let most_frequent = types.first().map_or("", |(error_type, _)| error_type);
    let description =
        format!("Failed attempts over time, stacked by type; the most frequent is {}.", plain(most_frequent, KEY));
    frame.plot("Failed attempts over time", description, marks)
}

/// Every type once: of the attempts, and of the jobs that bear it now.
fn kinds(history: &History, types: &[(String, u64)]) -> Table {
    let known = &history.overview.failures;
    let of = |error_type: &str| known.iter().find(|kind| kind.error_type == error_type);
    let row = |error_type: &str, attempts: u64, kind: Option<&FailureKind>| {
        let (failed, retrying) = kind.map_or((0, 0), |kind| (kind.failed, kind.retrying));
        let text = |text: Option<&String>, most| text.map_or_else(String::new, |text| plain(text, most));
        let example = history.examples.get(error_type);
        let key = example.map(|example| &example.key).or(kind.and_then(|kind| kind.example_key.as_ref()));
        let message = example.map(|example| &example.message).or(kind.and_then(|kind| kind.example_message.as_ref()));
        vec![
            plain(error_type, KEY),
            digits(attempts),
            digits(attempts.saturating_sub(failed)),
            digits(failed),
            digits(retrying),
            text(key, KEY),
            text(message, MESSAGE),
        ]
    };
    let mut rows: Vec<_> = types.iter().take(50).map(|(error_type, n)| row(error_type, *n, of(error_type))).collect();
    // Some failures are no attempt's: what was never sent, and what died with its run.
    let others = known.iter().filter(|kind| types.iter().all(|(known, _)| *known != kind.error_type));
    rows.extend(others.map(|kind| row(&kind.error_type, 0, Some(kind))));
    Table {
        caption: "By type, each with an example".to_owned(),
        folded: false,
        head: heads(&[
            "type",
            "#failed attempts",
            "#not the end of their job",
            "#jobs given up",
            "#waiting for another try",
            "example: key",
            "what it says",
        ]),
        rows,
    }
}

fn table(slots: &[Slot], types: &[(String, u64)]) -> Table {
    let mut rows = Vec::new();
    for slot in slots {
        for (error_type, _) in types {
            if let Some(n) = slot.failed.get(error_type) {
                rows.push(vec![between(slot.from_us, slot.to_us), plain(error_type, KEY), digits(*n)]);
            }
        }
    }
    rows.truncate(2_000);
    Table {
        caption: "The numbers behind it".to_owned(),
        folded: true,
        head: heads(&["time (UTC)", "type", "#failed attempts"]),
        rows,
    }
}
