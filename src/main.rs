//! The `haul` program: `.env`, then a runtime, then one verb.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::environment::load();
    let cli = cli::Cli::parse();
    cli::log::start(&cli);
    cli::log::quiet_processors();
    cli::files::allow_many();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::failed(&anyhow::Error::new(error).context("failed to start the async runtime")),
    };
    // On a worker of the runtime: from the main thread every wake-up would cross threads.
    let ended = runtime.block_on(runtime.spawn(cli::run(cli)));
    let exit = match ended.unwrap_or_else(|panic| Err(anyhow::Error::new(panic).context("this is a bug of haul"))) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => cli::failed(&error),
    };
    // A processor that never ends must not hold up the end of the program.
    runtime.shutdown_background();
    exit
}
