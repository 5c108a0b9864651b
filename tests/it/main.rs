//! The one integration-test binary.

mod checker;
mod server;
