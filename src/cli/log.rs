//! Log lines on stderr.

use haul::process::Pool;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Above).with_target(false);
    let ansi = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let filtered = tracing_subscriber::registry().with(filter).with(filter_fn(|line| !tells_requests(line)));
    match cli.log_format {
        Format::Text => filtered.with(lines.with_ansi(ansi)).init(),
        Format::Json => filtered.with(lines.json()).init(),
    }
}

/// The message of a panic of a processor may quote a response, and that may hold what was sent: its job says it, without that.
pub(crate) fn quiet_processors() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name().is_some_and(|name| name.starts_with(Pool::THREAD_NAME)) {
            let at = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(at, "a processor panicked; `haul query 'SELECT * FROM failures'` tells on which job");
        } else {
            usual(panic);
        }
    }));
}

/// At `trace` the layers under us may log requests as they are sent, with the values of their secrets: they never do, whatever
/// HAUL_LOG says.
fn tells_requests(line: &Metadata<'_>) -> bool {
    const LAYERS: [&str; 6] = ["h2", "hyper", "hyper_rustls", "hyper_util", "reqwest", "rustls"];
    let layer = line.target().split("::").next().unwrap_or_default();
    *line.level() == Level::TRACE && LAYERS.contains(&layer)
}
