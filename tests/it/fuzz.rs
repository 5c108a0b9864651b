//! Whatever comes in from outside, damaged: inputs, templates, databases. Nothing panics, nothing lasts, and what does come of
//! it is what it should be.
//!
//! Each target tries a few hundred cases, always the same. `HAUL_FUZZ_SECONDS=600 cargo test --test it -- fuzz` tries others for
//! so long, from the seed in `HAUL_FUZZ_SEED` on.

mod databases;
mod inputs;
mod mutation;
mod templates;
