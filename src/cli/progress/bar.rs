//! The lines at the bottom of the terminal that are drawn again and again, and everything that is written above them.
//!
//! The cursor stays right behind their last character: so the `^C` that a terminal writes there lies within what the next
//! drawing clears, and a line that a narrower terminal has broken into several is found again.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::line::{Line, Tone};

/// Where the width of the terminal is not known.
const WIDTH: usize = 80;

/// The longest and the shortest bar there is.
const BAR: std::ops::RangeInclusive<usize> = 8..=32;

/// What stands there now; no line = nothing. There is one terminal, so there is one of it.
static SHOWN: Mutex<Shown> = Mutex::new(Shown { text: String::new(), widths: Vec::new() });

struct Shown {
    text: String,
    /// Of each line.
    widths: Vec<usize>,
}

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looks {
    /// Colours are wanted.
    pub(crate) colours: bool,
    /// More than ASCII.
    pub(crate) unicode: bool,
}

impl Looks {
    /// Of standard error, as the environment has it.
    pub(crate) fn of_stderr() -> Self {
        let colours = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        // The first that is set counts, as it does for every program.
        let names = ["LC_ALL", "LC_CTYPE", "LANG"];
        let locale = names.iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
        let locale = locale.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        Self { colours, unicode: locale.ends_with("utf-8") || locale.ends_with("utf8") }
    }
}

/// Draws these lines anew, where they have changed; they are made for so many columns.
pub(crate) fn draw(looks: Looks, lines: impl FnOnce(usize) -> Vec<Line>) {
    let width = width();
    let room = width.saturating_sub(FREE);
    let lines: Vec<_> = lines(room).into_iter().map(|line| line.cut(room)).collect();
    let text = lines.iter().map(|line| line.painted(looks.colours)).collect::<Vec<_>>().join("\r\n");
    let mut shown = shown();
    if shown.text != text {
        // Where stderr is closed the run goes on unseen.
        let _ = write(&format!("{}{text}", cleared(&shown.widths, width)));
        *shown = Shown { text, widths: lines.iter().map(Line::width).collect() };
    }
}

/// Does what writes to the terminal, above the lines.
pub(crate) fn above<T>(write_it: impl FnOnce() -> T) -> T {
    let shown = shown();
    if shown.widths.is_empty() {
        return write_it();
    }
    let _ = write(&cleared(&shown.widths, width()));
    let written = write_it();
    let _ = write(&shown.text);
    written
}

/// Takes the lines away.
pub(crate) fn clear() {
    let mut shown = shown();
    if !shown.widths.is_empty() {
        let _ = write(&cleared(&shown.widths, width()));
        *shown = Shown { text: String::new(), widths: Vec::new() };
    }
}

/// Writes log lines above the lines that stay.
pub(crate) struct Above;

impl Write for Above {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        above(|| io::stderr().write(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn shown() -> MutexGuard<'static, Shown> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In one piece, or it would flicker.
fn write(text: &str) -> io::Result<()> {
    let mut out = io::stderr().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn width() -> usize {
    comfy_table::Table::new().use_stderr().width().map_or(WIDTH, usize::from)
}

/// Clears the lines, and those into which a terminal that has become narrower has broken them.
fn cleared(widths: &[usize], width: usize) -> String {
    let rows: usize = widths.iter().map(|line| line.saturating_sub(1) / width.max(1) + 1).sum();
    let up = if rows > 1 { format!("\x1b[{}A", rows - 1) } else { String::new() };
    format!("\r{up}\x1b[J")
}

/// Columns that stay free at the end of a line, or the `^C` that a terminal writes there would break it.
const FREE: usize = 3;

/// A bar before this line, where there is room for one.
pub(crate) fn with_bar(done: u64, total: u64, line: Line, unicode: bool, room: usize) -> Line {
    let spare = room.saturating_sub(line.width() + 4).min(*BAR.end());
    if spare < *BAR.start() {
        return line;
    }
    let filled = if total == 0 { 0 } else { (spare as f64 * done as f64 / total as f64) as usize }.min(spare);
    let mut with_bar = Line::default();
    let (open, full, empty, close) = if unicode { ("", "━", "─", "") } else { ("[", "=", " ", "]") };
    with_bar.push(Tone::Dim, open);
    with_bar.push(Tone::Good, full.repeat(filled));
    with_bar.push(Tone::Dim, format!("{}{close}", empty.repeat(spare - filled)));
    with_bar.push(Tone::Plain, " ");
    with_bar.append(line);
    with_bar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(text: &str, room: usize) -> String {
        let mut line = Line::default();
        line.add(Tone::Plain, text);
        with_bar(1, 2, line, false, room).cut(room).painted(false)
    }

    #[test]
    fn the_bar_goes_before_the_numbers_do() {
        assert_eq!(fitted("1/2 (50 %)  9.0/s", 53), "[================                ] 1/2 (50 %)  9.0/s");
        assert_eq!(fitted("1/2 (50 %)  9.0/s", 30), "[====     ] 1/2 (50 %)  9.0/s");
        assert_eq!(fitted("1/2 (50 %)  9.0/s", 28), "1/2 (50 %)  9.0/s");
        assert_eq!(fitted("1/2 (50 %)  9.0/s", 11), "1/2 (50 %)…");
    }

    #[test]
    fn lines_that_the_terminal_has_broken_are_cleared_as_a_whole() {
        assert_eq!(cleared(&[8], 8), "\r\x1b[J");
        assert_eq!(cleared(&[9], 8), "\r\x1b[1A\x1b[J");
        assert_eq!(cleared(&[9, 0, 17], 8), "\r\x1b[5A\x1b[J");
        assert_eq!(cleared(&[], 0), "\r\x1b[J");
    }
}
