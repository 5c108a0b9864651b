//! What a person sees and a script relies on: the real program, its words, its streams and its exit codes.

mod folder;
mod formats;
mod help;
mod import;
mod numbers;
mod query;
mod readme;
mod rejected;
mod repeat;
mod runs;
mod secrets;
mod settings;
mod terminal;
mod usage;
