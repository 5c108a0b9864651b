//! The `haul` program.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::run(cli::Cli::parse()).await.unwrap_or_else(|error| {
        // Where stderr is closed there is nobody to tell.
        let _ = writeln!(anstream::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}
