//! What the suite found: a line a row as it ends, a JSON object a row for machines, and the whole at the end.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

use serde_json::{Value, json};

use crate::resume::bench::card;
use crate::row::Result;

/// Says how a row ended, and appends it to the file named by `HAUL_TORTURE_CARD`.
pub(crate) fn tell(result: &Result) {
    card(&line(result));
    let Some(path) = std::env::var_os("HAUL_TORTURE_CARD") else { return };
    let mut object = json!({
        "row": result.row.name, "what": result.row.what, "size": result.size, "commit": commit(),
        "seconds": (result.seconds * 10.0).round() / 10.0, "holds": result.holds(),
        "skipped": result.skipped, "broken": result.broken,
    });
    for (name, value) in &result.noted {
        object[name.as_str()] = value.clone();
    }
    let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("the file of HAUL_TORTURE_CARD");
    writeln!(file, "{object}").expect("the file takes a line");
}

/// All rows, one below the other.
pub(crate) fn show(results: &[Result]) {
    let held = results.iter().filter(|result| result.holds()).count();
    let seconds: f64 = results.iter().map(|result| result.seconds).sum();
    let lines: String = results.iter().map(|result| format!("  {}\n", line(result))).collect();
    card(&format!("\ntorture: {held} of {} rows hold, {seconds:.0} s, commit {}\n{lines}", results.len(), commit()));
}

fn line(result: &Result) -> String {
    let end = match (&result.broken, &result.skipped) {
        (Some(broken), _) => format!("BROKEN: {broken}"),
        (None, Some(why)) => format!("skipped: {why}"),
        (None, None) => "holds".to_owned(),
    };
    let figure = |(name, value): &(String, Value)| format!("{name} {value}");
    let figures: Vec<_> = result.noted.iter().map(figure).collect();
    let (name, what, size, seconds) = (result.row.name, result.row.what, result.size, result.seconds);
    format!("{name:<4} {what} ({size}, {seconds:.0} s): {end}; {}", figures.join(", "))
}

/// What was tried, as far as git knows it here.
fn commit() -> String {
    let asked = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"]).output();
    let said = asked.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    said.map_or_else(|| "unknown".to_owned(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}
