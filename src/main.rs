//! The `haul` program: `.env`, then a runtime, then one verb.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::environment::load();
    let cli = cli::Cli::parse();
    cli::log::start(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::failed(&anyhow::Error::new(error).context("failed to start the async runtime")),
    };
    let exit = match runtime.block_on(cli::run(cli)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => cli::failed(&error),
    };
    // A processor that never ends must not hold up the end of the program.
    runtime.shutdown_background();
    exit
}
