//! The one integration-test binary.

mod random_numbers;
mod simulation;
mod store_suite;
mod tidy;
