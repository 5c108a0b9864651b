//! What a person sees and a script relies on: the real program, its words, its streams and its exit codes.

mod changes;
mod folder;
mod help;
mod import;
mod numbers;
mod query;
mod readme;
mod runs;
mod secrets;
mod settings;
mod terminal;
mod usage;
