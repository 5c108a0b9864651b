//! The one integration-test binary.

mod checker;
mod cli;
mod console;
mod fuzz;
mod hostile;
mod library;
mod opening;
#[cfg(feature = "postgres")]
mod postgres;
mod processing;
mod random_numbers;
mod rate;
mod resume;
mod server;
mod simulation;
mod statements;
mod store_suite;
mod stories;
mod tidy;
