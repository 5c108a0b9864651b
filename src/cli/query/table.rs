//! Rows for people: a table, or where it would be wider than the terminal, a block of lines a row.

use std::io::{self, Write};
use std::ops::ControlFlow;

use comfy_table::{CellAlignment, ContentArrangement, presets};
use haul::store::sqlite::console::Value;

use super::format::real;
use crate::cli::terminal::{cut, visible};

/// Rows that are collected, at most: widths are known only when all have been seen.
const ROWS: usize = 10_000;

/// Characters of a cell, at most; of the only column, and in a block of lines.
const CELL: usize = 60;
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
        let width = comfy_table::Table::new().width().unwrap_or(WIDTH);
        // Long tables stay tables: a thousand blocks of lines are no easier to read.
        let table = self.table();
        let drawn = table.to_string();
        let fits = drawn.lines().next().is_none_or(|line| line.chars().count() <= usize::from(width));
        if fits || self.rows.is_empty() || self.rows.len() > 100 {
            return writeln!(out, "{drawn}");
        }
        self.blocks(out)
    }

    fn table(&self) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&self.columns);
        let most = if self.columns.len() == 1 { WIDE_CELL } else { CELL };
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| cut(cell, most)));
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
