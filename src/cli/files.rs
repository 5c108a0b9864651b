//! How many files this process may have open.

/// Takes all that the system lets this process have: the usual limit is for programs that still use `select(2)`.
#[cfg(unix)]
pub(crate) fn allow_many() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where this is refused, fewer requests are in flight: the run sees what there is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Takes all that the system lets this process have.
#[cfg(not(unix))]
pub(crate) fn allow_many() {}
