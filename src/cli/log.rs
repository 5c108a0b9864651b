//! Log lines on stderr.

use tracing_subscriber::EnvFilter;

use super::Cli;
use super::progress::bar::Above;

/// Form of a log line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For machines: an object a line.
    Json,
}

/// Log lines go to stderr from now on: warnings, more with `-v`, whatever HAUL_LOG says.
pub(crate) fn start(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("HAUL_LOG").unwrap_or_else(|_| EnvFilter::new(format!("{level},sqlx=warn")));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Above).with_target(false);
    match cli.log_format {
        Format::Text => {
            lines.with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never).init()
        }
        Format::Json => lines.json().init(),
    }
}
