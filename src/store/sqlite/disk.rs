//! What a database stands on: the kind of its file system, and the room that is left there.

use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Whether a file system keeps what it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// As far as the system tells.
    Lasting,
    /// In memory: nothing survives the machine.
    Memory,
    /// On another machine, without the shared memory and the locks that SQLite's write-ahead log needs.
    Network(&'static str),
}

/// By the magic numbers of `statfs(2)`.
#[must_use]
fn kind(magic: u64) -> Disk {
    match magic {
        0x6969 => Disk::Network("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Disk::Network("SMB/CIFS"),
        0x5346_414f | 0x6b41_4653 => Disk::Network("AFS"),
        0x0102_1994 | 0x8584_58f6 => Disk::Memory,
        _ => Disk::Lasting,
    }
}

/// What the database at this path stands on, or would stand on.
#[must_use]
pub fn disk(path: &Path) -> Disk {
    standing(path).map_or(Disk::Lasting, kind)
}

/// Refuses where two machines could have the database open at once and neither would know.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    match disk(path) {
        Disk::Network(name) => Err(StoreError::Network { path: path.display().to_string(), name }),
        Disk::Lasting | Disk::Memory => Ok(()),
    }
}

/// The folder of a path that may not be there yet.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(target_os = "linux")]
fn standing(path: &Path) -> Option<u64> {
    // A link leads to where its file is.
    let found = rustix::fs::statfs(path).or_else(|_| rustix::fs::statfs(folder(path))).ok()?;
    // Some of the numbers fill 32 bits, and are negative where the field is signed and that long.
    Some(u64::from(found.f_type as u32))
}

#[cfg(not(target_os = "linux"))]
fn standing(_path: &Path) -> Option<u64> {
    None
}

/// Bytes left for this user on the disk of the database.
#[cfg(unix)]
pub(super) fn free(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder(path)).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes left for this user on the disk of the database.
#[cfg(not(unix))]
pub(super) fn free(_path: &Path) -> Option<u64> {
    None
}

/// Which of the files of the database, or its folder, this user may not write to, and why; SQLite says no more than that it
/// could not. Asked without opening: to close a handle would drop SQLite's locks.
#[cfg(unix)]
pub(super) fn hindrance(path: &Path) -> Option<String> {
    if let Err(error) = std::fs::File::open("/dev/null") {
        return Some(error.to_string()); // no file at all can be opened: too many are
    }
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let all = [path.to_owned(), folder(path).to_owned(), beside("-wal"), beside("-shm")];
    all.into_iter().find_map(|file| match rustix::fs::access(&file, rustix::fs::Access::WRITE_OK) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => None,
        Err(errno) => Some(format!("{}: {}", file.display(), std::io::Error::from(errno))),
    })
}

/// Which file hinders, where the system tells.
#[cfg(not(unix))]
pub(super) fn hindrance(_path: &Path) -> Option<String> {
    None
}

/// Bytes in the write-ahead log, which is only looked at, never opened.
pub(super) fn log_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |found| found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    // No network file system can be mounted by a test: the numbers are those of linux/magic.h and of the file systems' sources.
    #[test]
    fn a_network_file_system_and_memory_are_told_from_a_disk() {
        for (magic, expected) in [
            (0x6969, Disk::Network("NFS")),
            (0xff53_4d42, Disk::Network("SMB/CIFS")),
            (0xfe53_4d42, Disk::Network("SMB/CIFS")),
            (0x0102_1994, Disk::Memory),
            (0xef53, Disk::Lasting),
            (0x794c_7630, Disk::Lasting), // overlay
        ] {
            assert_eq!(kind(magic), expected, "{magic:x}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_database_that_is_not_there_yet_stands_where_its_folder_does() {
        assert_eq!(disk(Path::new("/dev/shm/none.db")), Disk::Memory);
        assert_eq!(disk(Path::new("/no/such/folder/none.db")), Disk::Lasting);
        assert!(free(Path::new("none.db")).is_some());
    }
}
