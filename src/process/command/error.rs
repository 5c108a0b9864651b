//! What is wrong with a `cmd:`.

use std::io;

/// Why a command line cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no word in it.
    #[error("it names no program; write cmd:PROG ARGS, as in cmd:python3 process.py")]
    Empty,
    /// A quote that is not closed.
    #[error("a quote is not closed: {0}")]
    Quote(char),
    /// Nothing follows its last character.
    #[error("it ends with a backslash")]
    Backslash,
    /// Something only a shell can do.
    #[error("no shell runs it, so `{0}` would be a word for the program; write cmd:sh -c '..', or quote it")]
    Shell(String),
    /// Something only a shell can do, before the program.
    #[error("no shell runs it, so `{0}=..` would be the program; set it in the environment and write --pass-env {0}")]
    Assignment(String),
    /// There is no such program.
    #[error("there is no program `{name}` in PATH{near}")]
    NotInPath {
        /// Its name.
        name: String,
        /// What may have been meant.
        near: String,
    },
    /// There is no such file.
    #[error("there is no program {path}{near}")]
    NoFile {
        /// Its path.
        path: String,
        /// What may have been meant.
        near: String,
    },
    /// A file, but no program.
    #[error("{path} may not be executed; `chmod +x {path}`, or name what runs it, as in cmd:{runner} {path}")]
    NotExecutable {
        /// Its path.
        path: String,
        /// What may run it.
        runner: &'static str,
    },
    /// The system does not run it.
    #[error("failed to start {path}: {source}{}", hint(source))]
    Start {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A variable that it is to be given is not there.
    #[error("--pass-env {0}: it is not set; set it, or give other names (`--pass-env none` gives none)")]
    Unset(String),
}

/// What an error of the system usually means for a script.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; what its first line (#!) names is not there",
        _ if error.raw_os_error() == Some(8) => "; does its first line (#!) say what runs it?", // ENOEXEC
        _ => "",
    }
}
