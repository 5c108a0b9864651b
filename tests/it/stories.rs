//! Stories: from a raw file, or a program's own rows, to the answer, by way of an interruption, a partial failure and a change
//! of mind. Each is told with the real program on a real database, against the server that logs what arrives.

mod batch;
mod enrichment;
mod program;

use crate::resume::bench::Bench;

/// Puts a file beside the database.
fn write(bench: &Bench, name: &str, text: &str) {
    std::fs::write(bench.db().with_file_name(name), text).expect("a file");
}

/// Reads a file beside the database.
fn read(bench: &Bench, name: &str) -> String {
    std::fs::read_to_string(bench.db().with_file_name(name)).expect("a file")
}
