//! What was in time.

use super::latency::overall;
use super::part::{Figure, Key, Part, Table, heads};
use crate::clock::Micros;
use crate::report::axis::{TimeAxis, ValueAxis};
use crate::report::history::{History, RunStory, Slot, Spread};
use crate::report::plot::{Frame, Mark, Plot, area, tips};
use crate::report::words::{between, digits, percent, took};

/// `None` where nobody asked for a deadline.
pub(super) fn part(history: &History, sla_us: Option<Micros>) -> Option<Part> {
    let all = overall(&history.slots, "latency");
    if all.n == 0 || (sla_us.is_none() && all.late == 0) {
        return None;
    }
    let deadline = sla_us.map_or_else(String::new, |sla_us| format!(" The last run's deadline is {}.", took(sla_us)));
    let lead = format!(
        "{} of all results were in time; {} of {} came late, and were kept.{deadline}",
        percent(all.n - all.late, all.n),
        digits(all.late),
        digits(all.n),
    );
    let draw = |frame: Frame| plot(&frame, &history.slots);
    let drawn = all.late > 0; // else it would be an empty frame
    Some(Part {
        id: "sla",
        title: "In time",
        lead: vec![lead],
        figures: drawn
            .then(|| Figure {
                caption: "Results that came late, % of those of their time".to_owned(),
                legend: vec![Key::new("c4", "late")],
                small: false,
                wide: Some(draw(Frame::wide(160.0))),
                narrow: draw(Frame::narrow(160.0)),
            })
            .into_iter()
            .collect(),
        tables: vec![by_run(history), table(&history.slots)],
    })
}

fn share(spread: &Spread) -> f64 {
    100.0 * spread.late as f64 / spread.n.max(1) as f64
}

fn plot(frame: &Frame, slots: &[Slot]) -> Plot {
    let of: Vec<_> = slots.iter().map(|slot| slot.stages.get("latency").filter(|spread| spread.n > 0)).collect();
    let most = of.iter().flatten().map(|spread| share(spread)).fold(0.0, f64::max);
    let (time, value) = (TimeAxis::new(slots, frame), ValueAxis::linear(most.max(1.0), frame));
    let bars: Vec<_> =
        of.iter().map(|spread| spread.filter(|s| s.late > 0).map(|s| (value.y(share(s)), frame.bottom))).collect();
    let mut marks = value.marks(frame, " %");
    marks.push(Mark::Path { class: "h4", d: area(&time.spans, &bars) });
    marks.extend(time.marks);
    marks.extend(tips(frame, &time.spans, |i| {
        let (late, n) = of[i].map_or((0, 0), |spread| (spread.late, spread.n));
        format!("{}: {} of {} late", between(slots[i].from_us, slots[i].to_us), digits(late), digits(n))
    }));
    frame.plot("Late results over time", "The share of results beyond the SLA over time.".to_owned(), marks)
}

fn by_run(history: &History) -> Table {
    let row = |run: &RunStory| {
        let sla = run.settings.as_ref().and_then(|settings| settings.sla);
        let sla = sla.map_or_else(|| "none".to_owned(), |sla| took(crate::clock::micros(sla)));
        vec![
            run.id.to_string(),
            sla,
            digits(run.results - run.late.min(run.results)),
            digits(run.late),
            percent(run.results - run.late.min(run.results), run.results),
        ]
    };
    Table {
        caption: "By run".to_owned(),
        folded: false,
        head: heads(&["#run", "#SLA", "#in time", "#late", "#in time, %"]),
        rows: history.runs.iter().filter(|run| run.results > 0).map(row).collect(),
    }
}

fn table(slots: &[Slot]) -> Table {
    let row = |slot: &Slot| {
        let spread = slot.stages.get("latency")?;
        Some(vec![between(slot.from_us, slot.to_us), digits(spread.n - spread.late), digits(spread.late)])
    };
    Table {
        caption: "The numbers behind it".to_owned(),
        folded: true,
        head: heads(&["time (UTC)", "#in time", "#late"]),
        rows: slots.iter().filter_map(row).collect(),
    }
}
