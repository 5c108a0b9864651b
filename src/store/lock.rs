//! The run lock: at most one run holds a database at a time. It vanishes with its process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Held while a run goes. A file beside the database, never the database itself: closing a handle of that would drop
/// SQLite's own locks.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "held for its lock")] File);

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error("another run holds {path}: {holder}; wait for it to end, or stop it there (Ctrl-C)")]
    Held {
        /// The lock file.
        path: String,
        /// Who, and since when, in its own words.
        holder: String,
    },
    /// The file cannot be opened or locked.
    #[error("failed to lock {path}")]
    Io {
        /// The lock file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl RunLock {
    /// Takes the lock of the database at `db`, leaving `holder` for others to read.
    ///
    /// # Errors
    /// At once where another process has it, or where the file cannot be opened.
    pub fn take(db: &Path, holder: &str) -> Result<Self, LockError> {
        let path = lock_path(db);
        let io = |source| LockError::Io { path: path.display().to_string(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // What it says is for people; that it is locked is what counts.
                let _ = file.take(1000).read_to_string(&mut holder);
                return Err(LockError::Held { path: path.display().to_string(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes())).map_err(io)?;
        Ok(Self(file))
    }
}

/// Name of this machine, for people; "unknown" where it has none.
#[must_use]
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// Beside the file itself, not beside a link to it: SQLite follows links too.
fn lock_path(db: &Path) -> PathBuf {
    let mut path = db.canonicalize().unwrap_or_else(|_| db.to_owned()).into_os_string();
    path.push(".lock");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_and_told_who_holds_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let db = dir.path().join("x.db");
        let first = RunLock::take(&db, "pid 1").expect("free");
        // Another handle in the same process stands for another process: the lock belongs to the open file.
        let Err(LockError::Held { holder, .. }) = RunLock::take(&db, "pid 2") else { panic!("taken twice") };
        assert_eq!(holder, "pid 1");
        drop(first);
        RunLock::take(&db, "pid 3").expect("free again");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_database_is_the_same_database() {
        let dir = tempfile::tempdir().expect("a folder");
        let (db, link) = (dir.path().join("x.db"), dir.path().join("link.db"));
        File::create(&db).expect("a file");
        std::os::unix::fs::symlink(&db, &link).expect("a link");
        let _first = RunLock::take(&db, "pid 1").expect("free");
        assert!(matches!(RunLock::take(&link, "pid 2"), Err(LockError::Held { .. })));
    }
}
