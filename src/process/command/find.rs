//! Which file a command line runs, and what tells one version of it from another.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::CommandError;
use crate::near::nearest;

/// Of a larger file only the size counts: reading a model of many gigabytes at each start would take longer than the start.
const MOST_BYTES: u64 = 16 << 20;

/// The file that a shell would run for this word.
///
/// # Errors
/// Where there is none, with what may have been meant.
pub(super) fn program(name: &str, path: Option<&OsStr>) -> Result<PathBuf, CommandError> {
    if name.contains('/') {
        return in_place(name);
    }
    let folders: Vec<_> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    if let Some(found) = folders.iter().map(|folder| folder.join(name)).find(|file| is_executable(file)) {
        return Ok(found);
    }
    let near = match Path::new(name) {
        file if is_executable(file) => format!("; here is a file of that name: write cmd:./{name}"),
        file if file.is_file() => format!("; here is a file of that name: write cmd:{} {name}", runner(name)),
        _ => meant(name, folders.iter().map(PathBuf::as_path)),
    };
    Err(CommandError::NotInPath { name: name.to_owned(), near })
}

fn in_place(name: &str) -> Result<PathBuf, CommandError> {
    let file = PathBuf::from(name);
    match () {
        () if is_executable(&file) => Ok(file),
        () if file.is_file() => Err(CommandError::NotExecutable { path: name.to_owned(), runner: runner(name) }),
        () => {
            let wanted = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Err(CommandError::NoFile { path: name.to_owned(), near: meant(&wanted, file.parent()) })
        }
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The nearest name of a program in these folders.
fn meant<'a>(name: &str, folders: impl IntoIterator<Item = &'a Path>) -> String {
    let mut names = Vec::new();
    for entries in folders.into_iter().filter_map(|folder| folder.read_dir().ok()) {
        names.extend(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()));
    }
    names.sort_unstable(); // of several as near, always the same one
    let near = nearest(name, names.iter().map(String::as_str));
    near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default()
}

/// What usually runs a script of this name.
fn runner(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(OsStr::to_str) {
        Some("py") => "python3",
        Some("js" | "mjs" | "cjs") => "node",
        Some("rb") => "ruby",
        Some("pl") => "perl",
        _ => "sh",
    }
}

/// `cmd:` and the beginning of a hash of the words, and of the files among them: a script that is changed is another version.
///
/// What a script loads in its turn does not count, and of a program that is found in PATH only the name.
pub(super) fn version(words: &[String]) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update([0]);
        if let Some(contents) = contents(word) {
            hash.update(contents);
        }
    }
    let hash = format!("{:x}", hash.finalize());
    format!("cmd:{}", hash.get(..12).unwrap_or(&hash))
}

/// The hash of a file of this name, or of its size. A file that cannot be read is a word like others.
fn contents(word: &str) -> Option<[u8; 32]> {
    // A pipe or a device would be waited for.
    let metadata = std::fs::metadata(word).ok().filter(std::fs::Metadata::is_file)?;
    if metadata.len() > MOST_BYTES {
        return Some(Sha256::digest(metadata.len().to_le_bytes()).into());
    }
    let mut bytes = Vec::new();
    File::open(word).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(Sha256::digest(bytes).into())
}
