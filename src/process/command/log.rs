//! What a program says on stderr, a line at a time, in the log.

use std::sync::Arc;

use crate::process::bounds::MAX_MESSAGE;
use crate::secret::Values;

/// Lines shown for one job: a program that talks without end must not fill a disk.
const MOST_LINES: u32 = 100;

/// What is kept of a line, in bytes.
const MOST_BYTES: usize = 4 << 10;

/// The lines of one program.
pub(super) struct Log {
    program: u32,
    /// Values of variables that it was given: it may say them, and they are not shown.
    hidden: Arc<Values>,
    line: Vec<u8>,
    shown: u32,
    last: String,
}

impl Log {
    /// Of the program with this process id.
    pub(super) fn new(program: u32, hidden: Arc<Values>) -> Self {
        Self { program, hidden, line: Vec::new(), shown: 0, last: String::new() }
    }

    /// Another job begins.
    pub(super) fn begin(&mut self) {
        self.shown = 0;
        self.last.clear();
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MOST_BYTES.saturating_sub(self.line.len());
            self.line.extend(part.iter().take(room));
            if part.ends_with(b"\n") {
                self.show();
            }
        }
    }

    /// Shows a line that was begun.
    pub(super) fn flush(&mut self) {
        if !self.line.is_empty() {
            self.show();
        }
    }

    /// The last line said for this job that was not empty.
    pub(super) fn last(&self) -> Option<&str> {
        Some(self.last.as_str()).filter(|last| !last.is_empty())
    }

    fn show(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let plain = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c });
        let said = self.hidden.quote(plain, MAX_MESSAGE);
        self.line.clear();
        self.shown = self.shown.saturating_add(1);
        match self.shown.cmp(&MOST_LINES) {
            std::cmp::Ordering::Less => tracing::warn!(program = self.program, "{said}"),
            std::cmp::Ordering::Equal => {
                tracing::warn!(program = self.program, "{said} (what else it says about this job is not shown)");
            }
            std::cmp::Ordering::Greater => {}
        }
        if !said.trim().is_empty() {
            self.last = said;
        }
    }
}
