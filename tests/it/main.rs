//! The one integration-test binary.

mod random_numbers;
mod store_suite;
mod tidy;
