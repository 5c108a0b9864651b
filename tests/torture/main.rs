//! The torture suite: what FAULTS promise, tried with kills, signals and faults on the real program.
//!
//! `cargo test --features fail-points --test torture` runs all rows one after the other, `.. -- 1a 6` only these.
//! `HAUL_TORTURE=long` takes the long sizes, `HAUL_TORTURE_CARD=FILE` appends a JSON object a row to that file. What a row needs
//! and does not find is said, and the row skipped; with `HAUL_TORTURE_COMPLETE` in the environment that is a failure.

use std::process::ExitCode;

// The server, the checker and the benches of the integration tests.
#[path = "../it"]
#[expect(dead_code, unused_imports, reason = "shared with tests that need more of it")]
mod it {
    pub(crate) mod checker;
    pub(crate) mod random_numbers;
    pub(crate) mod rate {
        pub(crate) mod busy;
    }
    pub(crate) mod server;
    pub(crate) mod resume {
        pub(crate) mod bench;
        pub(crate) mod lives;
    }
}
use it::{checker, random_numbers, rate, resume, server};

mod between;
mod card;
mod cutting;
mod damaged;
mod denied;
mod disk;
mod faketime;
mod faults;
mod forgotten;
mod full;
mod ills;
mod kills;
mod memory;
mod panics;
mod pipes;
mod points;
mod power;
mod record;
mod row;
mod scale;
mod signals;
mod soak;
mod steps;
mod stopped;
mod strace;
mod syscalls;
mod trial;
mod two_runs;
mod upgrade;
mod ways;

use row::Row;

/// One row a promise; each is a file or two.
const ROWS: &[Row] = &[
    kills::ROW,
    syscalls::ROW,
    points::ROW,
    two_runs::ROW,
    stopped::ROW,
    signals::ROW,
    pipes::ROW,
    memory::ROW,
    panics::ROW,
    power::ROW,
    faults::ROW,
    damaged::ROW,
    scale::ROW,
    soak::ROW,
    upgrade::ROW,
    steps::ROW,
    between::ROW,
];

fn main() -> ExitCode {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let rows: Vec<_> =
        ROWS.iter().filter(|row| wanted.is_empty() || wanted.iter().any(|name| name == row.name)).collect();
    let results: Vec<_> = rows.iter().map(|row| row.run()).collect();
    card::show(&results);
    // A name that is none must not look like a row that held.
    if results.iter().all(row::Result::holds) && !results.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
