//! What becomes of a response: the rules of success, and what is run on it. For whoever runs and for whoever runs again.

use std::time::Duration;

use clap::Args;
use haul::settings::Settings;
use haul::status::StatusSet;

use super::{lay, time, unless_none};
use crate::cli::exit::UsageError;

/// How a response is judged and processed.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Pace, processing and retries")]
pub(crate) struct JudgingFlags {
    /// What is run on each response: 'jq:EXPR', 'jq:@FILE', or 'cmd:PROG ARGS'; 'none' = keep the response as it is
    ///
    /// A program is started once a CPU thread, without a shell. It reads a line of JSON for each job, {"id", "key", "attempt",
    /// "status_code", "headers", "body" or "body_base64", "row", "request"}, and answers with one: {"id", "output": ..} or {"id",
    /// "error": "..", "retry": "fetch" or "process" or null}. It ends where its input does.
    #[arg(long, value_name = "PROCESSOR")]
    process: Option<String>,
    /// How long one response may be processed [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    process_timeout: Option<Duration>,
    /// A variable of the environment that the program of 'cmd:' is given, beside PATH, HOME, LANG and VIRTUAL_ENV; repeatable;
    /// stored by name alone; 'none' = no other
    #[arg(long, value_name = "NAME")]
    pass_env: Vec<String>,
    /// CPU threads [default: one a core]
    #[arg(long, value_name = "N", env = "HAUL_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Status codes that count as success [default: 2xx]
    #[arg(long, value_name = "CODES")]
    success: Option<StatusSet>,
    /// A jq expression over the body of a success; where it is true the job fails for good; 'none' = no such rule
    ///
    /// On a body where the expression itself fails it is not true; that is warned about once. 'jq:@FILE' too.
    #[arg(long, value_name = "jq:EXPR")]
    fail_if: Option<String>,
}

impl JudgingFlags {
    /// Lays what is given over `settings`.
    pub(crate) fn apply(self, settings: &mut Settings) -> Result<(), UsageError> {
        lay(&mut settings.process, self.process.map(unless_none));
        lay(&mut settings.process_timeout, self.process_timeout);
        if !self.pass_env.is_empty() {
            self.pass_env.iter().try_for_each(|name| variable(name))?;
            settings.pass_env = self.pass_env.into_iter().filter_map(unless_none).collect(); // the whole set, as rates are
        }
        lay(&mut settings.threads, self.threads.map(usize::from));
        lay(&mut settings.success, self.success);
        lay(&mut settings.fail_if, self.fail_if.map(unless_none));
        if settings.process_timeout.is_zero() {
            let why = "a --process-timeout of 0 would fail every job; leave it out for the default, 30s";
            return Err(UsageError(why.to_owned()));
        }
        Ok(())
    }
}

/// The name of a variable. Its value is not given here, where it would be stored; and what was given is not told again.
fn variable(text: &str) -> Result<(), UsageError> {
    match text.split_once('=') {
        Some((name, _)) => {
            Err(UsageError(format!("give the name alone, as `--pass-env {name}`, and the value in the environment")))
        }
        None if text.is_empty() => Err(UsageError("--pass-env: an empty name".to_owned())),
        None => Ok(()),
    }
}
