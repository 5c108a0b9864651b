//! tmp
pub(crate) mod address;
pub(crate) mod expression;
pub(crate) mod secrets;
