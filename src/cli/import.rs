//! `haul import`.
use super::exit::Exit;
use clap::Args;
use haul::clock::Clock;
use haul::settings::Settings;
use haul::stop::Stop;
use haul::store::Store;
use std::path::{Path, PathBuf};
/// x
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {}
/// x
#[derive(Debug, Args)]
pub(crate) struct InputFlags {}
pub(crate) async fn run(_: ImportArgs, _: &Path, _: bool) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
pub(crate) async fn import(
    _: &impl Store,
    _: &[PathBuf],
    _: InputFlags,
    _: &Settings,
    _: Clock,
    _: &Stop,
    _: bool,
) -> anyhow::Result<u64> {
    Ok(0)
}
