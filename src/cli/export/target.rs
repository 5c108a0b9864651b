//! Where an export goes: standard output, or a file that is whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use haul::fail_point::{Point, pass};

use crate::cli::exit::UsageError;

/// Takes bytes. One that is dropped before [`Target::finish`] leaves no trace: the old file stays.
pub(crate) struct Target {
    out: Option<BufWriter<Box<dyn Write + Send>>>,
    aside: Option<Aside>,
}

/// A file on its way.
struct Aside {
    file: File,
    temporary: PathBuf,
    to: PathBuf,
}

impl Target {
    /// Standard output.
    pub(super) fn stdout() -> Self {
        Self { out: Some(BufWriter::new(Box::new(io::stdout()))), aside: None }
    }

    /// A file, written aside in the same folder, readable by its owner alone. What is no file, a pipe or `/dev/stdout`, is
    /// written to as it is.
    pub(crate) fn file(path: &Path, db: &Path, input: Option<&Path>) -> anyhow::Result<Self> {
        let name = path.display();
        let refused = |why: String| UsageError(format!("failed to write to {name}: {why}"));
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(refused("it is a folder; name a file".to_owned()).into()),
            Ok(found) if !found.is_file() => {
                let out = OpenOptions::new().write(true).open(path).map_err(|e| refused(e.to_string()))?;
                return Ok(Self { out: Some(BufWriter::new(Box::new(out))), aside: None });
            }
            _ => {}
        }
        // Where a link leads is written, not the link.
        let to = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if is_of_database(&to, db) {
            return Err(refused("it is the database; name another file".to_owned()).into());
        }
        if input.and_then(|input| fs::canonicalize(input).ok()).is_some_and(|input| input == to) {
            return Err(refused("it is the input that is joined; name another file".to_owned()).into());
        }
        let temporary = aside(&to).ok_or_else(|| refused("it has no file name".to_owned()))?;
        let file = create(&temporary).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => refused("there is no such folder; make it first".to_owned()),
            _ => refused(format!("failed to create a file beside it: {e}")),
        })?;
        pass(Point::ExportBegun);
        let writer = file.try_clone().map_err(|e| refused(e.to_string()))?;
        let aside = Some(Aside { file, temporary, to });
        Ok(Self { out: Some(BufWriter::with_capacity(1 << 16, Box::new(writer))), aside })
    }

    /// Makes it durable and gives it its name.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        self.out = None;
        let Some(Aside { file, temporary, to }) = &self.aside else { return Ok(()) };
        let doing = || format!("failed to write {}", to.display());
        file.sync_all().with_context(doing)?;
        pass(Point::ExportSynced);
        fs::rename(temporary, to).with_context(doing)?;
        pass(Point::ExportNamed);
        let to = to.clone();
        self.aside = None;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The name too; where a folder cannot be synced, the file system decides when.
        if let Ok(folder) = File::open(folder) {
            _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Ok(0), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(aside) = self.aside.take() {
            // What is left in the buffer goes nowhere: the file is not to be.
            self.out.take().map(BufWriter::into_parts);
            _ = fs::remove_file(&aside.temporary);
        }
    }
}

/// A file of its owner's alone that was not there before.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A name beside it that nobody else takes.
pub(super) fn aside(to: &Path) -> Option<PathBuf> {
    let name = to.file_name()?.to_string_lossy().into_owned();
    Some(to.with_file_name(format!(".{name}.{}.part", std::process::id())))
}

/// Where a path leads, links followed; what is there may be yet to come, its folder may not.
pub(crate) fn real(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok().or_else(|| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(fs::canonicalize(folder).ok()?.join(path.file_name()?))
    })
}

/// Whether this is the database, or one of the files beside it, where it is yet to come too.
pub(crate) fn is_of_database(to: &Path, db: &Path) -> bool {
    let Some(db) = real(db) else { return false };
    let rest = to.to_string_lossy().strip_prefix(&*db.to_string_lossy()).map(str::to_owned);
    rest.is_some_and(|rest| matches!(rest.as_str(), "" | "-wal" | "-shm" | "-journal" | ".lock" | "-lock"))
}
