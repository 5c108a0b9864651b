//! The one integration-test binary.

mod console;
