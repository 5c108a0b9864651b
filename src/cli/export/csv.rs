//! CSV: a column for each member of the rows, then what became of the job. All columns are found before the first is written.

use std::collections::HashMap;
use std::io::{self, Write};

use haul::result_line::ResultLine;
use serde_json::value::RawValue;

use super::cells::{Members, cell};

/// Different columns, at most: beyond it a table is no table.
const COLUMNS: usize = 10_000;

/// What stands between the row and its result.
const OURS: [&str; 5] = ["haul_state", "haul_status_code", "haul_error_type", "haul_latency_ms", "haul_result"];

/// Names with their places, in the order in which they were first seen.
#[derive(Debug, Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn add(&mut self, name: &str) {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), self.0.len());
        }
    }

    fn add_members(&mut self, json: Option<&RawValue>) {
        let members = json.and_then(Members::of);
        for (name, _) in members.iter().flat_map(|members| &members.0) {
            self.add(name);
        }
    }

    fn in_order(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.0.iter().map(|(name, place)| (*place, name.as_str())).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }
}

/// The columns of a table, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Columns {
    row: Names,
    result: Names,
}

impl Columns {
    /// Columns that the input has, whatever its rows say.
    pub(super) fn known(names: &[String]) -> Self {
        let mut columns = Self::default();
        names.iter().for_each(|name| columns.row.add(name));
        columns
    }

    /// Takes the columns of a line.
    pub(super) fn see(&mut self, line: &ResultLine) -> io::Result<()> {
        self.row.add_members(line.row.as_deref());
        self.result.add_members(line.result.as_deref());
        if self.row.0.len() + self.result.0.len() > COLUMNS {
            let text = format!("there are more than {COLUMNS} different columns; write --format jsonl instead");
            return Err(io::Error::other(text));
        }
        Ok(())
    }

    /// All names of the header, each once.
    fn header(&self) -> Vec<String> {
        let result = self.result.in_order().into_iter().map(|name| format!("result.{name}"));
        let row = self.row.in_order().into_iter().map(str::to_owned);
        let names: Vec<String> = row.chain(OURS.map(str::to_owned)).chain(result).collect();
        // Ours are what scripts rely on: a column of the input that is called like one gives way.
        let ours = self.row.0.len()..self.row.0.len() + OURS.len();
        let mut taken: std::collections::HashSet<String> = OURS.map(str::to_owned).into();
        let mut free = |(at, name): (usize, String)| {
            if ours.contains(&at) {
                return name;
            }
            let numbered = (2..).map(|n| format!("{name}_{n}"));
            std::iter::once(name.clone()).chain(numbered).find(|name| taken.insert(name.clone())).unwrap_or_default()
        };
        names.into_iter().enumerate().map(&mut free).collect()
    }
}

/// Writes a table.
pub(super) struct Csv<W: Write> {
    columns: Columns,
    out: csv::Writer<W>,
    safe: bool,
}

impl<W: Write> Csv<W> {
    /// A table with these columns; its header is written. `safe` keeps a spreadsheet from running cells.
    pub(super) fn new(columns: Columns, out: W, safe: bool) -> io::Result<Self> {
        let mut csv = Self { out: csv::Writer::from_writer(out), safe, columns };
        let header = csv.columns.header();
        csv.record(header)?;
        Ok(csv)
    }

    /// Writes a line as a record.
    pub(super) fn row(&mut self, line: &ResultLine) -> io::Result<()> {
        let (first, wide) = (self.columns.row.0.len(), self.columns.result.0.len());
        let mut cells = vec![String::new(); first + OURS.len() + wide];
        fill(&mut cells[..first], &self.columns.row, line.row.as_deref())?;
        let number = |n: Option<String>| n.unwrap_or_default();
        cells[first] = line.state.clone().unwrap_or_default();
        cells[first + 1] = number(line.status_code.map(|code| code.to_string()));
        cells[first + 2] = line.error.as_ref().map(|error| error.error_type.clone()).unwrap_or_default();
        cells[first + 3] = number(line.timings_ms.latency.map(|ms| ms.to_string()));
        if !fill(&mut cells[first + OURS.len()..], &self.columns.result, line.result.as_deref())? {
            cells[first + 4] = line.result.as_deref().map(cell).unwrap_or_default();
        }
        self.record(cells)
    }

    /// Hands over what was written.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn record(&mut self, mut cells: Vec<String>) -> io::Result<()> {
        if self.safe {
            for cell in cells.iter_mut().filter(|cell| cell.starts_with(FORMULA)) {
                cell.insert(0, '\'');
            }
        }
        self.out.write_record(&cells).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })
    }
}

/// How what a spreadsheet takes for a formula begins, also behind a tab or a line break, and in the wide letters of East Asia.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Puts the members of an object where they belong; `false` where there are none.
fn fill(cells: &mut [String], names: &Names, json: Option<&RawValue>) -> io::Result<bool> {
    let Some(members) = json.and_then(Members::of) else { return Ok(false) };
    for (name, value) in &members.0 {
        match names.0.get(name).and_then(|place| cells.get_mut(*place)) {
            Some(place) => *place = cell(value),
            None => return Err(io::Error::other("the input changed while it was read; export it again")),
        }
    }
    Ok(!members.0.is_empty())
}

#[cfg(test)]
mod tests {
    use haul::result_line::raw;

    use super::*;

    fn written(safe: bool, lines: &[(&str, &str)]) -> String {
        let line = |(row, result): &(&str, &str)| {
            let mut line = ResultLine::without_job(Some(raw(row)));
            line.result = Some(raw(result));
            line.state = Some("succeeded".to_owned());
            line
        };
        let lines: Vec<_> = lines.iter().map(line).collect();
        let mut columns = Columns::default();
        lines.iter().for_each(|line| columns.see(line).expect("few columns"));
        let mut out = Vec::new();
        let mut csv = Csv::new(columns, &mut out, safe).expect("a Vec takes all");
        lines.iter().for_each(|line| csv.row(line).expect("a Vec takes all"));
        csv.end().expect("a Vec takes all");
        String::from_utf8(out).expect("text")
    }

    const OURS: &str = "haul_state,haul_status_code,haul_error_type,haul_latency_ms,haul_result";

    // Seen failing with names that were not made distinct.
    #[test]
    fn a_result_that_is_an_object_is_spread_and_no_name_stands_twice() {
        let rows = [(r#"{"a":"x","haul_state":"mine"}"#, r#"{"n":1.10,"d":[1, 2]}"#), (r#"{"b":null}"#, r#""say ""#)];
        let expected = format!(
            "a,haul_state_2,b,{OURS},result.n,result.d\nx,mine,,succeeded,,,,,1.10,\"[1, 2]\"\n,,,succeeded,,,,say ,,\n"
        );
        assert_eq!(written(false, &rows), expected);
        let clash = [(r#"{"result.n":1}"#, r#"{"n":2}"#)];
        assert_eq!(written(false, &clash), format!("result.n,{OURS},result.n_2\n1,succeeded,,,,,2\n"));
    }

    // Seen failing without the prefix.
    #[test]
    fn cells_are_as_they_are_unless_a_spreadsheet_may_run_them() {
        let rows = [("{\"a\":\"=1+1\",\"b\":\"@x\",\"c\":\"\\tx\",\"d\":\"a=b\"}", "[\"l\\n\"]")];
        assert_eq!(written(false, &rows), format!("a,b,c,d,{OURS}\n=1+1,@x,\tx,a=b,succeeded,,,,\"[\"\"l\\n\"\"]\"\n"));
        assert_eq!(
            written(true, &rows),
            format!("a,b,c,d,{OURS}\n'=1+1,'@x,'\tx,a=b,succeeded,,,,\"[\"\"l\\n\"\"]\"\n")
        );
    }

    #[test]
    fn a_table_of_too_many_columns_says_so() {
        let names: Vec<_> = (0..=10_000).map(|n| format!("\"{n}\":1")).collect();
        let line = ResultLine::without_job(Some(raw(&format!("{{{}}}", names.join(",")))));
        let error = Columns::default().see(&line).expect_err("too many");
        assert!(error.to_string().contains("more than 10000 different columns"), "{error}");
    }
}
