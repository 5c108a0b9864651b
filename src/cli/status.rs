//! `haul status`: where things stand, once or for as long as a run is going.

mod draw;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use haul::clock::Clock;
use haul::report::Phase;

pub(super) use draw::{digits, time};

use super::database::overview;
use super::exit::Exit;
use super::terminal::quiet_if_closed;

const EXAMPLES: &str = "\
Examples:
  haul status
  haul status --watch           again every second, until the run ends
  haul status --json | jq .jobs.pending
  haul --db other.db status";

/// Show where things stand: jobs, rate, time left, failures, latencies
///
/// Reads kept numbers only, so it is as quick with ten million jobs as with ten, also while a run is going.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// As JSON; members are added over time, never changed
    #[arg(long)]
    json: bool,
    /// Again and again while a run is going, every second or as often as given; with --json an object a line
    #[arg(
        long,
        value_name = "TIME",
        value_parser = super::flags::time,
        num_args = 0..=1,
        default_missing_value = "1s",
        require_equals = true,
    )]
    watch: Option<Duration>,
}

/// Reads the numbers and writes them.
pub(crate) async fn run(args: StatusArgs, db: &Path) -> anyhow::Result<Exit> {
    let moves = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let screen = !args.json && args.watch.is_some() && io::stdout().is_terminal() && moves;
    let mut first = true;
    loop {
        let overview = overview(db, Clock::start()).await?;
        let mut text = Vec::new();
        match (args.json, args.watch) {
            (true, Some(_)) => serde_json::to_writer(&mut text, &overview).map_err(io::Error::from),
            (true, None) => serde_json::to_writer_pretty(&mut text, &overview).map_err(io::Error::from),
            (false, _) => draw::overview(&mut text, &overview, db),
        }?;
        if args.json {
            text.push(b'\n');
        }
        let again = args.watch.filter(|_| overview.run.as_ref().is_some_and(|run| run.phase == Phase::Running));
        // Where colours are not wanted the cursor is moved all the same.
        let shown = if screen {
            put(io::stdout(), &over_the_last(&text, first, height()))
        } else {
            put(anstream::stdout(), &text)
        };
        let closed = shown.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        quiet_if_closed(shown)?;
        let Some(every) = again.filter(|_| !closed) else { return Ok(Exit::Done) };
        first = false;
        // Watching is not to cost the run anything.
        tokio::time::sleep(every.max(Duration::from_millis(100))).await;
        if !screen && !args.json {
            quiet_if_closed(writeln!(io::stdout()))?;
        }
    }
}

fn put(mut out: impl Write, text: &[u8]) -> io::Result<()> {
    out.write_all(text)?;
    out.flush()
}

/// Rows of the terminal; where it does not say, as many as there are.
fn height() -> usize {
    rustix::termios::tcgetwinsize(io::stdout())
        .ok()
        .map(|size| size.ws_row.into())
        .filter(|rows| *rows > 1)
        .unwrap_or(usize::MAX)
}

/// The text over what stands on the screen, a line over a line, so that nothing flickers. What has no room is left out, at the
/// right and at the bottom: a screen that scrolls would lose its head.
fn over_the_last(text: &[u8], first: bool, height: usize) -> Vec<u8> {
    let clear: &[u8] = if first { b"\x1b[2J\x1b[H" } else { b"\x1b[H" };
    let lines = text.split_inclusive(|byte| *byte == b'\n').take(height - 1).flat_map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        [line, b"\x1b[K\n".as_slice()].concat()
    });
    // Lines that are too long are not wrapped meanwhile.
    [b"\x1b[?7l", clear].concat().into_iter().chain(lines).chain(*b"\x1b[J\x1b[?7h").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_longer_before_leaves_nothing_behind() {
        assert_eq!(over_the_last(b"a\nb\n", true, 24), b"\x1b[?7l\x1b[2J\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J\x1b[?7h");
        assert_eq!(over_the_last(b"", false, 24), b"\x1b[?7l\x1b[H\x1b[J\x1b[?7h");
    }

    #[test]
    fn what_has_no_room_does_not_scroll_the_head_away() {
        assert_eq!(over_the_last(b"a\nb\nc\n", false, 3), b"\x1b[?7l\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J\x1b[?7h");
    }
}
