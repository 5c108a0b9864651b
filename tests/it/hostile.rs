//! A hostile world: servers that break off, lie, flood, drip and forge. Each fault becomes the failure that it is, is tried
//! again or not, costs no more time than its deadline and no more memory than its bound, and its job has exactly one end.
//!
//! Every row of the table is a run of the real program against a server that is given its connections raw.
//! `cargo test --test it -- hostile --nocapture --test-threads 1` shows it: fault, type, verdict, exit code, time, memory, words.

mod around;
mod bodies;
mod connection;
mod framing;
mod fuzz;
mod h2;
mod limits;
mod names;
mod redirects;
mod row;
mod secure;
mod tls;
mod wire;
