//! Each run: what it did, what it was told, and what its crash cost.

use super::part::{Part, Table, heads};
use super::settings;
use crate::clock::Micros;
use crate::report::Phase;
use crate::report::history::{History, RunStory};
use crate::report::words::{digits, lasted, moment, plain, short};

/// Characters of a name that are shown.
const NAME: usize = 60;

fn outcome(run: &RunStory) -> String {
    match (run.phase, run.outcome.as_deref()) {
        (Phase::Running, _) => "is running".to_owned(),
        (Phase::Gone, _) => "gone without a word".to_owned(),
        (Phase::Ended, Some("hopeless")) => "could not succeed".to_owned(),
        (Phase::Ended, outcome) => plain(outcome.unwrap_or("ended"), NAME),
    }
}

fn died(run: &RunStory) -> bool {
    run.phase == Phase::Gone || run.outcome.as_deref() == Some("crashed")
}

pub(super) fn part(history: &History) -> Part {
    let told = history.runs.len() as u64;
    let lead = match history.all_runs - told.min(history.all_runs) {
        0 => format!("{} so far.", many(told, "run")),
        before => format!(
            "{} so far; the last {told} are told here, {} before them are not.",
            many(history.all_runs, "run"),
            digits(before)
        ),
    };
    let row = |run: &RunStory| {
        let alive = (run.until - run.started_at).max(1);
        vec![
            run.id.to_string(),
            moment(run.started_at),
            lasted(run.until - run.started_at),
            outcome(run),
            digits(run.requests),
            short(run.requests as f64 * 1e6 / alive as f64),
            digits(run.results),
            format!("pid {} on {}", run.pid, plain(&run.host, NAME)),
            plain(&run.version, NAME),
        ]
    };
    let head = heads(&[
        "#run",
        "began (UTC)",
        "#lasted",
        "how it ended",
        "#requests",
        "#a second",
        "#results",
        "where",
        "haul",
    ]);
    let rows = history.runs.iter().map(row).collect();
    let mut tables = vec![Table { caption: "Runs".to_owned(), folded: false, head, rows }];
    tables.extend(all_settings(history));
    Part { id: "runs", title: "Runs and their settings", lead: vec![lead], figures: Vec::new(), tables }
}

/// One table for runs in a row that were told the same.
fn all_settings(history: &History) -> Vec<Table> {
    let mut tables: Vec<(i64, i64, Vec<Vec<String>>)> = Vec::new();
    for run in &history.runs {
        let rows = run.settings.as_ref().map_or_else(
            || vec![vec!["settings".to_owned(), "written by another version, which this one cannot read".to_owned()]],
            |settings| settings::rows(settings),
        );
        match tables.last_mut() {
            Some((_, last, same)) if *same == rows => *last = run.id,
            _ => tables.push((run.id, run.id, rows)),
        }
    }
    let table = |(from, to, rows): (i64, i64, Vec<Vec<String>>)| {
        let of = if from == to { format!("run {from}") } else { format!("runs {from} to {to}, the same") };
        let caption = format!("Settings of {of}");
        Table { caption, folded: true, head: heads(&["flag", "value (what is not listed is the default)"]), rows }
    };
    tables.into_iter().map(table).collect()
}

/// What crashes cost; `None` where there were none.
pub(super) fn crashes(history: &History) -> Part {
    let mut part = Part { id: "crashes", title: "Crashes, and what they cost", ..Part::default() };
    if history.crashes == 0 && history.interrupted.jobs == 0 && !history.runs.iter().any(died) {
        part.lead.push("No run died.".to_owned());
        return part;
    }
    let lost = history.interrupted;
    part.lead.push(format!(
        "{} ended without a word, with {} in flight. At most {} had to be sent again, never more than --concurrency for a \
         crash; {} whose response was stored were only processed again. Nothing was lost.",
        many(history.crashes, "run"),
        many(lost.jobs, "job"),
        many(lost.sent_again(), "request"),
        digits(lost.stored),
    ));
    let row = |(i, run): (usize, &RunStory)| {
        let next = history.runs.get(i + 1).map(|next| next.started_at);
        let gap = next.map_or_else(|| "not resumed yet".to_owned(), |next: Micros| lasted((next - run.until).max(0)));
        let concurrency = run.settings.as_ref().map_or_else(String::new, |settings| settings.concurrency.to_string());
        let held = run.interrupted;
        vec![
            run.id.to_string(),
            moment(run.until),
            gap,
            concurrency,
            digits(held.jobs),
            digits(held.sent_again()),
            digits(held.stored),
        ]
    };
    part.tables.push(Table {
        caption: "Runs that ended without a word".to_owned(),
        folded: false,
        head: heads(&[
            "#run",
            "last sign of life (UTC)",
            "#until the next run",
            "#concurrency",
            "#in flight",
            "#sent again, at most",
            "#only processed again",
        ]),
        rows: history.runs.iter().enumerate().filter(|(_, run)| died(run)).map(row).collect(),
    });
    part
}

pub(super) fn many(n: u64, what: &str) -> String {
    format!("{} {what}{}", digits(n), if n == 1 { "" } else { "s" })
}
