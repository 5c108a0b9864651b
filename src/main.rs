//! The `haul` program.

mod cli;

fn main() {}
