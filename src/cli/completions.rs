//! `haul completions`: what a shell needs to complete commands and flags.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::exit::Exit;
use super::terminal::quiet_if_closed;

const EXAMPLES: &str = "\
Examples:
  haul completions bash > haul.bash && . ./haul.bash
  haul completions zsh > _haul          in a folder of $fpath
  haul completions fish > haul.fish     in ~/.config/fish/completions";

/// Write what a shell needs to complete commands, flags and their values
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// Of which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// `haul completions`.
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    // Whole first: the generator would take a closed pipe for a bug.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "haul", &mut script);
    let mut out = anstream::stdout();
    quiet_if_closed(out.write_all(&script).and_then(|()| out.flush()))?;
    Ok(Exit::Done)
}
