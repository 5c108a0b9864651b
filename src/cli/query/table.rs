//! Rows for people: a table, or where it would be wider than the terminal, a block of lines a row.

use std::io::{self, Write};
use std::ops::ControlFlow;

use comfy_table::{CellAlignment, ContentArrangement, presets};
use haul::store::sqlite::console::Value;

use super::format::real;
use crate::cli::terminal::{cut, visible};

/// Rows that are collected, at most: widths are known only when all have been seen.
const ROWS: usize = 10_000;

/// Characters of a cell, at most: the first with which the table fits. Of the only column, and in a block of lines, more.
const CELLS: [usize; 3] = [60, 30, 16];
const WIDE_CELL: usize = 500;

/// Where the width of the terminal is not known.
const WIDTH: u16 = 120;

/// Rows to draw.
pub(crate) struct Table {
    columns: Vec<String>,
    numeric: Vec<bool>,
    rows: Vec<Vec<String>>,
    more: bool,
}

impl Table {
    /// Rows of these columns.
    pub(crate) fn new(columns: &[String]) -> Self {
        let columns: Vec<_> = columns.iter().map(|name| visible(name)).collect();
        Self { numeric: vec![true; columns.len()], columns, rows: Vec::new(), more: false }
    }

    /// Takes a row; breaks when there are enough.
    pub(crate) fn row(&mut self, values: &[Value]) -> ControlFlow<()> {
        if self.rows.len() == ROWS {
            self.more = true;
            return ControlFlow::Break(());
        }
        for (numeric, value) in self.numeric.iter_mut().zip(values) {
            *numeric &= matches!(value, Value::Integer(_) | Value::Real(_) | Value::Null);
        }
        self.rows.push(values.iter().map(cell).collect());
        ControlFlow::Continue(())
    }

    /// Draws what came.
    pub(crate) fn draw(&self, out: &mut impl Write) -> io::Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let width = usize::from(comfy_table::Table::new().width().unwrap_or(WIDTH));
        let caps = if self.columns.len() == 1 { &[WIDE_CELL][..] } else { &CELLS };
        let fitting = caps.iter().find(|cap| self.width(**cap) <= width);
        match fitting.or(caps.last()) {
            // A thousand blocks of lines are no easier to read than a wide table.
            Some(cap) if fitting.is_some() || self.rows.is_empty() || self.rows.len() > 100 => {
                writeln!(out, "{}", self.table(*cap))
            }
            _ => self.blocks(out),
        }
    }

    /// How wide the table is when no cell is wider than that: a frame, and two spaces beside each cell.
    fn width(&self, cap: usize) -> usize {
        let mut widths: Vec<usize> = self.columns.iter().map(|name| name.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count().min(cap));
            }
        }
        widths.iter().map(|width| width + 3).sum::<usize>() + 1
    }

    fn table(&self, cap: usize) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&self.columns);
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| cut(cell, cap)));
        }
        for (column, numeric) in table.column_iter_mut().zip(&self.numeric) {
            if *numeric && !self.rows.is_empty() {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    fn blocks(&self, out: &mut impl Write) -> io::Result<()> {
        let widest = self.columns.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for (i, row) in self.rows.iter().enumerate() {
            if i > 0 {
                writeln!(out)?;
            }
            for (name, cell) in self.columns.iter().zip(row) {
                writeln!(out, "{name:>widest$}  {cell}")?;
            }
        }
        Ok(())
    }

    /// What the table does not show.
    pub(crate) fn note(&self) -> Option<String> {
        self.more.then(|| format!("only the first {ROWS} rows are shown; --csv, --json and --nl write all"))
    }
}

/// A cell, without anything that would steer the terminal.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(n) => n.to_string(),
        Value::Real(x) => real(*x),
        // Cut before it is escaped, so that 10 MiB are not; and after, for escapes are longer.
        Value::Text(text) => cut(&visible(&cut(text, WIDE_CELL)), WIDE_CELL),
        Value::Blob(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => cut(&visible(&cut(text, WIDE_CELL)), WIDE_CELL),
            Err(_) => format!("<{} bytes>", bytes.len()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(columns: usize, rows: usize, text: &str) -> String {
        let names: Vec<String> = (0..columns).map(|i| format!("c{i}")).collect();
        let mut table = Table::new(&names);
        for _ in 0..rows {
            let _ = table.row(&vec![Value::Text(text.to_owned()); columns]);
        }
        let mut out = Vec::new();
        table.draw(&mut out).expect("a Vec takes all");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_width_is_known_before_it_is_drawn() {
        let mut table = Table::new(&["a".to_owned(), "longer".to_owned()]);
        let _ = table.row(&[Value::Text("x".repeat(70)), Value::Integer(1)]);
        let line = table.table(60).to_string().lines().next().map_or(0, |line| line.chars().count());
        assert!(line <= table.width(60), "{line} > {}", table.width(60));
    }

    #[test]
    fn a_table_too_wide_for_the_terminal_becomes_a_block_of_lines_a_row() {
        assert!(drawn(2, 3, "short").starts_with('┌'));
        assert!(drawn(30, 3, "something longer").starts_with(" c0  something longer"));
    }

    #[test]
    fn nothing_from_outside_reaches_the_terminal_raw() {
        assert!(!drawn(1, 1, "\u{1b}[2J\r").contains(['\u{1b}', '\r']));
        assert!(!drawn(40, 1, "\u{1b}[2J\r").contains(['\u{1b}', '\r']));
    }
}
