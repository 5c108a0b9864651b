//! As many requests in flight as files may be open: a request whose connection cannot be made for want of one would count as
//! a failure of its job.

/// Files that a run needs beside its connections: standard streams, the database with its log and shared memory, the lock,
/// what the runtime waits on, what a look-up of a name opens for a moment.
const OTHERS: u64 = 20;

/// The concurrency that so many open files allow, at least 1.
fn fitting(concurrency: usize, files: u64) -> usize {
    concurrency.min(usize::try_from(files.saturating_sub(OTHERS).max(1)).unwrap_or(usize::MAX))
}

/// The concurrency that this process may have, and the number of files where that is less than what was asked for.
pub(super) fn allowed(concurrency: usize) -> (usize, Option<u64>) {
    let Some(files) = limit() else { return (concurrency, None) };
    let fitting = fitting(concurrency, files);
    (fitting, (fitting < concurrency).then_some(files))
}

/// Connections that may be kept open without being used, at least 1: what is left beside so many requests in flight.
pub(super) fn idle(concurrency: usize) -> usize {
    limit().map_or(usize::MAX, |files| left(concurrency, files))
}

fn left(concurrency: usize, files: u64) -> usize {
    usize::try_from(files.saturating_sub(OTHERS)).unwrap_or(usize::MAX).saturating_sub(concurrency).max(1)
}

/// `None`: there is no limit.
#[cfg(unix)]
fn limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// `None`: there is no limit.
#[cfg(not(unix))]
fn limit() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_mean_few_requests_but_never_none() {
        assert_eq!([fitting(64, 1024), fitting(64, 32), fitting(64, 8), fitting(4, 32)], [64, 12, 1, 4]);
        assert_eq!([left(64, 1024), left(12, 32), left(1, 8), left(4, 32)], [940, 1, 1, 8]);
    }
}
