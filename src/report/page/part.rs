//! What a page is made of: tiles, and parts with drawings and the tables behind them.

use serde::Serialize;

use crate::report::plot::Plot;

/// A number that stands out.
#[derive(Debug, Serialize)]
pub(crate) struct Tile {
    pub(crate) label: &'static str,
    pub(crate) value: String,
    pub(crate) notes: Vec<String>,
    /// Something is wrong with it.
    pub(crate) bad: bool,
}

/// A part of the page.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Part {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) lead: Vec<String>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) tables: Vec<Table>,
}

/// A drawing, for a screen and for a phone.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) caption: String,
    pub(crate) legend: Vec<Key>,
    /// One drawing for both: several stand side by side on a screen.
    pub(crate) small: bool,
    pub(crate) wide: Option<Plot>,
    pub(crate) narrow: Plot,
}

/// What a colour means.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Key {
    pub(crate) class: String,
    pub(crate) text: String,
}

impl Key {
    pub(crate) fn new(class: impl Into<String>, text: impl Into<String>) -> Self {
        Self { class: class.into(), text: text.into() }
    }
}

/// The numbers.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) caption: String,
    /// Shown only when asked for.
    pub(crate) folded: bool,
    pub(crate) head: Vec<Head>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// The head of a column.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Head {
    pub(crate) text: &'static str,
    /// Its cells are numbers.
    pub(crate) number: bool,
}

/// Columns; those whose name begins with `#` are numbers.
pub(crate) fn heads(names: &[&'static str]) -> Vec<Head> {
    let head = |name: &&'static str| match name.strip_prefix('#') {
        Some(text) => Head { text, number: true },
        None => Head { text: name, number: false },
    };
    names.iter().map(head).collect()
}
