//! `--dry-run`: what a few jobs have now, and what they would have.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context;
use haul::attempt::{ErrorType, Failure, Verdict};
use haul::clock::Clock;
use haul::fetch::Fetcher;
use haul::process::{Pool, Work};
use haul::settings::Settings;
use haul::store::sqlite::samples::Sample;

use crate::cli::choice::{Choice, many};
use crate::cli::database::Console;
use crate::cli::secrets::Given;
use crate::cli::terminal::{cut, quiet_if_closed, visible};

/// Characters of a result that are shown, at most.
const WIDE: usize = 300;

/// How many of them would be what.
#[derive(Debug, Default)]
struct Counted {
    changed: u64,
    same: u64,
    failed: u64,
}

/// Shows before and after for so many of these jobs. Writes nothing.
pub(super) async fn show(
    choice: &Choice,
    console: &mut Console,
    settings: &Settings,
    work: &Work,
    most: u64,
    clock: Clock,
) -> anyhow::Result<()> {
    let fetcher = Fetcher::new(Arc::new(settings.clone()), Given::default().lookup(), clock)?;
    let mut pool = Pool::new(1)?;
    let mut counted = Counted::default();
    let mut out = anstream::stdout();
    let each = |sample: Sample| {
        let id = (sample.seen.id, sample.seen.key.clone());
        let before = (sample.state, sample.error.clone(), sample.result.clone());
        let request = sample.seen.request.clone();
        let made = match fetcher.judge_again(&request, &sample.response) {
            Some(failure) => Err(failure),
            None => processed(&mut pool, work, sample, settings.process_timeout),
        };
        let made = made.map_err(|failure| Failure { message: fetcher.hide(&request, failure.message), ..failure });
        let after = after(&mut counted, before.2.as_deref(), made);
        let error = before.1.map_or_else(String::new, |(kind, message)| format!(": {kind}: {message}"));
        let text = format!("{}{error}", before.0.as_str());
        writeln!(out, "job {}  {}  {}", id.0, shown(&id.1), shown(&text))?;
        writeln!(out, "  before  {}", before.2.as_deref().map_or_else(|| "no result".to_owned(), shown))?;
        writeln!(out, "  after   {after}")?;
        let Counted { changed, same, failed } = counted;
        Ok(if changed + same + failed < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    };
    match console.samples_where(choice.condition(), choice.timeout(), each).await {
        Err(haul::store::sqlite::console::QueryError::Output(e)) => quiet_if_closed(Err(e))?,
        ended => ended.context("failed to look at the jobs")?,
    }
    let Counted { changed, same, failed } = counted;
    let text = format!(
        "{} looked at: {changed} would change, {same} stay the same, {failed} fail\n",
        many(changed + same + failed, "job")
    );
    quiet_if_closed(out.write_all(text.as_bytes()))?;
    Ok(())
}

/// On a CPU thread, whose stack is deep enough for any filter.
fn processed(pool: &mut Pool, work: &Work, sample: Sample, limit: Duration) -> Result<String, Failure> {
    let (told, made) = mpsc::channel();
    let work = work.clone();
    // Nobody listens any more where the program ends.
    pool.spawn(move || _ = told.send(work.run(&sample.response, &sample.seen)));
    let nothing = |kind, message: String| Err(Failure::new(kind, Verdict::Permanent, message));
    match made.recv_timeout(limit) {
        Ok(made) => made,
        Err(RecvTimeoutError::Disconnected) => nothing(ErrorType::PROCESS_PANIC, "it gave no answer".to_owned()),
        Err(RecvTimeoutError::Timeout) => {
            // Its thread is lost to it, so the next job gets another one; without one the next says so.
            Pool::new(1).map(|another| *pool = another).ok();
            let limit = humantime::format_duration(limit);
            nothing(ErrorType::PROCESS_TIMEOUT, format!("no result within {limit} (--process-timeout)"))
        }
    }
}

fn after(counted: &mut Counted, before: Option<&str>, made: Result<String, Failure>) -> String {
    match made {
        Ok(json) if before == Some(json.as_str()) => {
            counted.same += 1;
            "the same".to_owned()
        }
        Ok(json) => {
            counted.changed += 1;
            shown(&json)
        }
        Err(failure) => {
            counted.failed += 1;
            let stays = if before.is_some() { "the same, as it fails" } else { "no result, as it fails" };
            format!("{stays}: {}", shown(&format!("{}: {}", failure.error_type, failure.message)))
        }
    }
}

fn shown(text: &str) -> String {
    visible(&cut(text, WIDE))
}
