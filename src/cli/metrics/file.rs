//! A file that is replaced every few seconds: whole or the one before, so whoever reads it never sees a half.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::exit::UsageError;
use crate::cli::export::{is_of_database, real};

/// The file, and what is to become it.
pub(super) struct Replaced {
    to: PathBuf,
    aside: PathBuf,
}

impl Replaced {
    /// Only a file is replaced: a pipe or a device would be gone. A link stays, and where it leads is written.
    pub(super) fn at(path: &Path, db: &Path) -> Result<Self, UsageError> {
        let refused = |why: &str| UsageError(format!("--metrics: {} {why}", path.display()));
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(refused("is a folder; name a file")),
            Ok(found) if !found.is_file() => {
                return Err(refused("is no regular file and would be replaced by one; name another file"));
            }
            Err(_) if fs::symlink_metadata(path).is_ok() => {
                return Err(refused("is a link that leads to no file; name the file itself"));
            }
            _ => {}
        }
        let to = real(path).unwrap_or_else(|| path.to_owned());
        if is_of_database(&to, db) {
            return Err(refused("is the database; name another file"));
        }
        let file = to.file_name().ok_or_else(|| refused("is a folder; name a file"))?;
        let aside = to.with_file_name(format!(".{}.{}.part", file.to_string_lossy(), std::process::id()));
        let there = Self { to, aside };
        let tried = there.write("").and_then(|()| fs::remove_file(&there.aside));
        tried.map_err(|e| UsageError(format!("--metrics: {}", there.failed(&e))))?;
        Ok(there)
    }

    /// Replaces it.
    pub(super) fn put(&self, text: &str) -> Result<(), String> {
        if fs::symlink_metadata(&self.to).is_ok_and(|found| !found.is_file()) {
            return Err(format!("failed to write {}: something that is no file has its name now", self.to.display()));
        }
        self.write(text).and_then(|()| fs::rename(&self.aside, &self.to)).map_err(|e| {
            // A part of it may be there.
            _ = fs::remove_file(&self.aside);
            self.failed(&e)
        })
    }

    fn failed(&self, why: &io::Error) -> String {
        format!("failed to write {}: {why}", self.to.display())
    }

    /// Created anew each time, so that a link which somebody left at this name is not followed.
    fn write(&self, text: &str) -> io::Result<()> {
        // Of a process of the same number that was killed; most often there is none.
        _ = fs::remove_file(&self.aside);
        OpenOptions::new().write(true).create_new(true).open(&self.aside)?.write_all(text.as_bytes())
    }
}
