//! The one line at the bottom of the terminal that is drawn again and again, and everything that is written above it.
//!
//! The cursor stays right behind its last character: so the `^C` that a terminal writes there lies within what the next
//! drawing clears, and a line that a narrower terminal has broken into several is found again.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the width of the terminal is not known.
const WIDTH: usize = 80;

/// The longest and the shortest bar there is.
const BAR: std::ops::RangeInclusive<usize> = 8..=24;

/// What stands in the line now; empty = nothing. There is one terminal, so there is one line.
static LINE: Mutex<String> = Mutex::new(String::new());

/// Draws the line anew, where it has changed.
pub(crate) fn draw(done: u64, total: u64, details: &str) {
    let width = width();
    let text = fitted(done, total, details, width);
    let mut line = line();
    if *line != text {
        // Where stderr is closed the run goes on unseen.
        let _ = write(&format!("{}{text}", cleared(&line, width)));
        *line = text;
    }
}

/// Does what writes to the terminal, above the line.
pub(crate) fn above<T>(write_it: impl FnOnce() -> T) -> T {
    let line = line();
    if line.is_empty() {
        return write_it();
    }
    let _ = write(&cleared(&line, width()));
    let written = write_it();
    let _ = write(&line);
    written
}

/// Takes the line away.
pub(crate) fn clear() {
    let mut line = line();
    if !line.is_empty() {
        let _ = write(&cleared(&line, width()));
        line.clear();
    }
}

/// Writes log lines above the line.
pub(crate) struct Above;

impl Write for Above {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        above(|| io::stderr().write(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn line() -> MutexGuard<'static, String> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Clears the line, and those into which a terminal that has become narrower has broken it.
fn cleared(line: &str, width: usize) -> String {
    let more = line.chars().count().saturating_sub(1) / width.max(1);
    let up = if more > 0 { format!("\x1b[{more}A") } else { String::new() };
    format!("\r{up}\x1b[J")
}

/// Columns that stay free at the end of the line, or the `^C` that a terminal writes there would break it.
const FREE: usize = 3;

/// Bar, count and details as far as there is room; the bar goes first.
fn fitted(done: u64, total: u64, details: &str, width: usize) -> String {
    let percent = if total == 0 { 0 } else { (100.0 * done as f64 / total as f64) as u64 };
    let text = format!("{done}/{total} ({percent} %)  {details}");
    let room = width.saturating_sub(FREE);
    let spare = room.saturating_sub(text.chars().count() + 3).min(*BAR.end());
    if spare < *BAR.start() {
        return super::cut(&text, room);
    }
    let filled = if total == 0 { 0 } else { (spare as f64 * done as f64 / total as f64) as usize };
    format!("[{}{}] {text}", "=".repeat(filled.min(spare)), " ".repeat(spare.saturating_sub(filled)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_leaves_room_for_what_a_terminal_echoes() {
        for width in 1..200 {
            for details in ["", "19.6/s  ETA 5s", "19.6/s  ETA 5s  3 failed  paused by the server for 10s"] {
                assert!(
                    fitted(45, 120, details, width).chars().count() <= width.saturating_sub(FREE).max(1),
                    "{width}"
                );
            }
        }
    }

    #[test]
    fn the_bar_goes_before_the_numbers_do() {
        assert_eq!(fitted(1, 2, "9.0/s", 80), "[============            ] 1/2 (50 %)  9.0/s");
        assert_eq!(fitted(1, 2, "9.0/s", 33), "[=====     ] 1/2 (50 %)  9.0/s");
        assert_eq!(fitted(1, 2, "9.0/s", 25), "1/2 (50 %)  9.0/s");
        assert_eq!(fitted(1, 2, "9.0/s", 14), "1/2 (50 %)…");
    }

    #[test]
    fn a_line_that_the_terminal_has_broken_is_cleared_as_a_whole() {
        assert_eq!(cleared("12345678", 8), "\r\x1b[J");
        assert_eq!(cleared("123456789", 8), "\r\x1b[1A\x1b[J");
        assert_eq!(cleared("", 0), "\r\x1b[J");
    }
}
