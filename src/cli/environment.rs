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
