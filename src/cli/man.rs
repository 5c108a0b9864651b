//! `haul man`: the manual page, or one for each command.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::Cli;
use super::exit::Exit;
use super::terminal::quiet_if_closed;

const EXAMPLES: &str = "\
Examples:
  haul man > haul.1 && man ./haul.1
  haul man --dir man1                   haul.1, haul-run.1, .. in a folder that is there";

/// Write the manual page to standard output, or those of all commands into a folder
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// Write haul.1 and a page for each command into this folder instead
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// `haul man`.
pub(crate) fn run(args: &ManArgs) -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = &args.dir else {
        let mut out = anstream::stdout();
        quiet_if_closed(page(command).and_then(|page| out.write_all(&page)).and_then(|()| out.flush()))?;
        return Ok(Exit::Done);
    };
    let verbs: Vec<_> = command.get_subcommands().filter(|verb| verb.get_name() != "help").cloned().collect();
    write(dir, command, "haul")?;
    for verb in verbs {
        let name = format!("haul-{}", verb.get_name());
        write(dir, verb, &name)?;
    }
    Ok(Exit::Done)
}

fn write(dir: &Path, command: Command, name: &str) -> anyhow::Result<()> {
    let path = dir.join(format!("{name}.1"));
    let written = page(command).and_then(|page| fs::write(&path, page));
    written.with_context(|| format!("failed to write {}; the folder of --dir must be there", path.display()))
}

/// Examples are lines as they stand, which roff would fill.
fn page(command: Command) -> io::Result<Vec<u8>> {
    let examples = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command.after_help(None::<&'static str>));
    let mut page = Vec::new();
    man.render(&mut page)?;
    if let Some(examples) = examples {
        writeln!(page, ".SH EXAMPLES\n.nf")?;
        for line in examples.lines().skip_while(|line| line.starts_with("Examples:")) {
            // A line that begins with a dot or a quote would be a request, and a backslash an escape.
            writeln!(page, "\\&{}", line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq"))?;
        }
        writeln!(page, ".fi")?;
    }
    Ok(page)
}
