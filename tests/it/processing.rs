//! What works on responses: programs, filters, closures; and what becomes of a run where they do not end, die, or lie.

mod examples;
mod programs;
mod threads;
mod torture;

use crate::resume::bench::card;

/// Whoever sets it has every interpreter, and wants no test passed over.
const ALL: &str = "HAUL_TEST_ALL";

/// Whether there is such a program. Says so where there is not, and fails where there has to be.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(found || std::env::var_os(ALL).is_none(), "there is no {program}, and {ALL} is set");
    if !found {
        card(&format!("SKIPPED: there is no {program} on this machine"));
    }
    found
}
