//! A disk in memory: what the program wrote to the files of a database, what of it was made durable, and what a power cut
//! may have left of the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::random_numbers::Random;

/// The least that a disk writes whole.
const SECTOR: usize = 512;

/// Something that was done to a file, and is not durable yet.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Bytes at an offset.
    Write(usize, Vec<u8>),
    /// A length.
    Length(usize),
    /// It was removed.
    Gone,
}

/// How much of what was not durable is there after the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    Half,
    Most,
    /// All of it, as after `kill -9`.
    All,
}

#[derive(Debug, Clone, Default)]
struct File {
    durable: Option<Vec<u8>>,
    pending: Vec<Change>,
}

/// Files by the end of their name: the database itself has none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(BTreeMap<String, File>);

impl Disk {
    /// What the database at this path is now, all of it durable.
    pub(crate) fn of(database: &Path) -> Self {
        let file = File { durable: Some(fs::read(database).expect("a database")), pending: Vec::new() };
        Self(BTreeMap::from([(String::new(), file)]))
    }

    pub(crate) fn change(&mut self, file: &str, change: Change) {
        self.0.entry(file.to_owned()).or_default().pending.push(change);
    }

    /// All that was done to the file is durable; not that it was removed, which is the folder's.
    pub(crate) fn synced(&mut self, file: &str) {
        let file = self.0.entry(file.to_owned()).or_default();
        let pending = std::mem::take(&mut file.pending);
        file.durable = apply(file.durable.take(), pending.iter());
    }

    /// Bytes that are not durable.
    pub(crate) fn pending(&self) -> usize {
        self.0.values().flat_map(|file| &file.pending).count()
    }

    /// Writes what a cut leaves, as a database at this path.
    pub(crate) fn after_cut(&self, kept: Kept, random: &mut Random, database: &Path) {
        for (name, file) in &self.0 {
            let mut survive = Vec::new();
            for change in &file.pending {
                let percent = match kept {
                    Kept::Nothing => 0,
                    Kept::Half => 50,
                    Kept::Most => 90,
                    Kept::All => 100,
                };
                if random.percent(percent) {
                    survive.push(change.clone());
                }
            }
            if kept != Kept::All {
                survive = survive.into_iter().flat_map(|change| torn(change, random)).collect();
            }
            let mut path = database.as_os_str().to_owned();
            path.push(name);
            if let Some(bytes) = apply(file.durable.clone(), survive.iter()) {
                fs::write(path, bytes).expect("an image");
            }
        }
    }
}

/// One of four writes arrives in part, and in any order.
fn torn(change: Change, random: &mut Random) -> Vec<Change> {
    match change {
        Change::Write(at, bytes) if random.percent(25) => {
            // To the next border between two sectors, and from there sector by sector.
            let mut parts = Vec::new();
            let mut from = 0;
            while from < bytes.len() {
                let to = ((at + from) / SECTOR * SECTOR + SECTOR - at).min(bytes.len());
                if random.percent(50) {
                    parts.push(Change::Write(at + from, bytes[from..to].to_vec()));
                }
                from = to;
            }
            parts
        }
        whole => vec![whole],
    }
}

fn apply<'a>(before: Option<Vec<u8>>, changes: impl Iterator<Item = &'a Change>) -> Option<Vec<u8>> {
    let mut now = before;
    for change in changes {
        match change {
            Change::Gone => now = None,
            Change::Length(length) => now.get_or_insert_default().resize(*length, 0),
            Change::Write(at, bytes) => {
                let file = now.get_or_insert_default();
                file.resize(file.len().max(at + bytes.len()), 0);
                file[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
    now
}
