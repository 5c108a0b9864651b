//! A run that is killed, signalled, limited, refused or joined by another process goes on where it stopped.
//!
//! Every test runs the real program on a real database against the server that logs what arrives.

pub(crate) mod bench;
mod changes;
mod ends;
mod hopeless;
mod imports;
mod kills;
mod lives;
mod lock;
mod paused;
mod poison;
mod redirects;
mod reprocess;
mod retries;
mod signals;
mod stalls;
mod steered;
mod steering;
mod trouble;
mod uncertain;
mod waits;
mod watched;
