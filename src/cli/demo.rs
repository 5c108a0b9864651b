//! `haul demo`: the first minute. A rate-limited API on loopback, and CPU work for its answers.

#![cfg_attr(not(test), expect(dead_code, reason = "the verb itself is still to come"))]

pub(crate) mod api;
pub(crate) mod work;
