//! A wall clock that can be set while a program runs: libfaketime shows it, and leaves all other clocks as they are.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::row::Figures;

/// The wall clock of some programs.
pub(crate) struct Wall {
    library: String,
    file: PathBuf,
}

impl Wall {
    /// One that is right, kept in this file. Where libfaketime is not there, the row is skipped.
    pub(crate) fn right(file: PathBuf, figures: &mut Figures) -> Option<Self> {
        let asked = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
        let Some(asked) = asked.ok().filter(|asked| asked.status.success()) else {
            figures.skip("faketime is not installed");
            return None;
        };
        let library = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        let wall = Self { library, file };
        wall.set(0);
        Some(wall)
    }

    /// Shows it to this program.
    pub(crate) fn shown_to(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1") // read at each look at the clock
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
    }

    /// Sets it, so many seconds off the true time.
    pub(crate) fn set(&self, off_by_s: i64) {
        // Renamed, so that nobody reads half of it.
        let aside = self.file.with_extension("new");
        fs::write(&aside, format!("{off_by_s:+}\n")).expect("a file");
        fs::rename(&aside, &self.file).expect("a file renamed");
    }
}
