//! The one integration-test binary.

mod checker;
mod console;
mod server;
