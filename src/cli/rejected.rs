//! `--rejected FILE`: the rows that made no job, in a file to mend and import again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use haul::store::{Reject, Store};

use super::exit::UsageError;
use super::export::is_of_database;

/// Rows read at a time.
const PAGE: u32 = 500;

/// A file that takes its name when it is whole. What was there before stays until then.
#[derive(Debug)]
pub(crate) struct RejectedFile {
    /// As given.
    name: String,
    path: PathBuf,
    aside: PathBuf,
    out: BufWriter<File>,
    finished: bool,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    input: &'a str,
    line: u64,
    reason: &'a str,
    text: &'a str,
}

impl RejectedFile {
    /// Begins the file, beside where it will be. It must be none of the `others`, and nothing of the database.
    pub(crate) fn create<'a>(path: &Path, others: impl Iterator<Item = &'a Path>, db: &Path) -> anyhow::Result<Self> {
        let wrong = |why: &str| UsageError(format!("--rejected {} cannot be written: {why}", path.display()));
        if path == Path::new("-") {
            return Err(wrong("the rows do not go to standard output; name a file").into());
        }
        // Through a link to what it points at, which is then replaced, not the link.
        let path = match fs::canonicalize(path) {
            Ok(there) if !there.is_file() => return Err(wrong("it is there and no file").into()),
            Ok(there) if is_of_database(&there, db) || others.into_iter().any(|other| is_same(other, &there)) => {
                return Err(wrong("it is an input, or the database; name another file").into());
            }
            Ok(there) => there,
            Err(_) => path.to_owned(),
        };
        let Some(file) = path.file_name() else { return Err(wrong("it is no name of a file").into()) };
        let aside = path.with_file_name(format!(".{}.{}.part", file.to_string_lossy(), std::process::id()));
        // Left by a death, under the same number by chance; what is new is nobody else's.
        let _ = fs::remove_file(&aside);
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside);
        let opened = opened.map_err(|error| wrong(&error.to_string()))?;
        let name = path.display().to_string();
        Ok(Self { name, path, aside, out: BufWriter::new(opened), finished: false })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds what an import rejected, those rows too that only the store could refuse.
    pub(crate) async fn add(&mut self, store: &impl Store, import: i64, input: &str) -> anyhow::Result<()> {
        let mut after = 0;
        loop {
            let rows = store.rejected(import, after, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.line;
            self.add_rows(input, &rows)?;
        }
    }

    /// Adds rows that an import rejected.
    pub(crate) fn add_rows(&mut self, input: &str, rows: &[Reject]) -> anyhow::Result<()> {
        for row in rows {
            let line = Line { input, line: row.line, reason: &row.reason, text: &row.text };
            self.write(&line).with_context(|| format!("failed to write the rejected rows to {}", self.name))?;
        }
        Ok(())
    }

    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }

    /// Gives the file its name.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        let done = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        done.and_then(|()| fs::rename(&self.aside, &self.path))
            .with_context(|| format!("failed to write the rejected rows to {}", self.name))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for RejectedFile {
    fn drop(&mut self) {
        if !self.finished {
            // It may be gone already, and nothing is missed if it stays.
            let _ = fs::remove_file(&self.aside);
        }
    }
}

fn is_same(other: &Path, there: &Path) -> bool {
    fs::canonicalize(other).is_ok_and(|other| other == there)
}
