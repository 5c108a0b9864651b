//! The environment: `./.env` fills in what is not set, before any thread could read it.

use std::io::Write;
use std::path::Path;

/// Reads `./.env`, and only that: parent folders are none of our business, and what is set already stays.
pub(crate) fn load() {
    let path = Path::new("./.env");
    if let Err(error) = dotenvy::from_path(path)
        && !error.not_found()
    {
        // Where stderr is closed there is nobody to tell. The line itself may hold a secret.
        let _ = writeln!(anstream::stderr(), "warning: ./.env is not read to its end: a line in it is no NAME=VALUE");
    }
}

/// Name of this machine, for people; "unknown" where it has none.
pub(crate) fn host() -> String {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME").map_err(|_| ()));
    name.map_or_else(|()| "unknown".to_owned(), |name| name.trim().to_owned())
}
