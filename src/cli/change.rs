//! Other request flags on a database that holds jobs: nothing is guessed, as each guess would cost requests.

use std::fmt::Write;
use std::path::Path;

use haul::clock::Clock;
use haul::import;
use haul::settings::{RequestTemplate, Settings};
use haul::stop::{Phase, Stop};
use haul::store::{Rerender, Rerendered, Store};
use haul::template::Template;

use super::exit::UsageError;
use super::import::say;
use super::run::{Remembered, remembered};
use super::terminal::{cut, visible};

/// What becomes of the jobs that other request flags made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnChange {
    /// Those not sent yet are made anew.
    Rerender,
    /// They stay.
    Add,
}

pub(crate) fn on_change(text: &str) -> Result<OnChange, String> {
    match text {
        "rerender" => Ok(OnChange::Rerender),
        "add" => Ok(OnChange::Add),
        _ => Err("write rerender (jobs not sent yet are made anew from their rows) or add (they stay)".to_owned()),
    }
}

/// Jobs that are to be made anew.
#[derive(Debug)]
pub(crate) struct Change {
    last: Remembered,
    old: RequestTemplate,
    new: RequestTemplate,
}

/// Asks what a change of the request flags means, unless that was said; before anything is written.
pub(crate) async fn settle(
    said: Option<OnChange>,
    db: &Path,
    last: Remembered,
    settings: &Settings,
    input: bool,
) -> anyhow::Result<Option<Change>> {
    let new = &settings.template;
    let Some(old) = last.template().filter(|old| *old != new).cloned() else { return Ok(None) };
    match said {
        Some(OnChange::Add) => Ok(None),
        Some(OnChange::Rerender) => Ok(Some(Change { last, old, new: new.clone() })),
        None => match super::database::count_unsent(db).await? {
            (_, 0) => Ok(None),
            (unsent, all) => Err(UsageError(question(db, &old, new, unsent, all, input)).into()),
        },
    }
}

fn question(db: &Path, old: &RequestTemplate, new: &RequestTemplate, unsent: u64, all: u64, input: bool) -> String {
    let db = db.display();
    let sent = all - unsent;
    let mut text = format!("the request flags are not those that made the jobs of {db}");
    for (flag, was, is) in differences(old, new) {
        // Cannot fail: a String takes all that is written to it.
        let _ = write!(text, "\n  {flag}\n    was  {was}\n    is   {is}");
    }
    let _ = write!(
        text,
        "\n  {db} holds {all} jobs: {unsent} not sent yet, {sent} sent or answered; say what becomes of them:"
    );
    let (rerender, add) = (
        format!("{unsent} requests as the flags are now; the {sent} others are not asked again"),
        format!("{unsent} requests as the flags were; all {all} jobs stay as they are"),
    );
    let _ = write!(text, "\n  --on-change rerender  {rerender}");
    if input {
        let _ = write!(text, "\n      and 1 for each row of the input that was not imported before");
    }
    let _ = write!(text, "\n  --on-change add       {add}");
    if input {
        let _ = write!(text, "\n      and 1 for each row of the input {}", rows_added(old, new));
        let _ = write!(text, "\n  how many rows that are is not known before the input is read");
    }
    let _ = write!(text, "\n  --db OTHER.db         keeps the two apart");
    text
}

/// Which rows make jobs where nothing was made anew.
fn rows_added(old: &RequestTemplate, new: &RequestTemplate) -> &'static str {
    match (&old.key, &new.key) {
        (Some(old), Some(new)) if old == new => {
            "whose key is new; one whose key is known is rejected (see --on-conflict)"
        }
        _ => "whose request is new, which may be all of them, imported before or not",
    }
}

/// Flag, old and new text of what differs. Secrets stand in it by name.
fn differences(old: &RequestTemplate, new: &RequestTemplate) -> Vec<(&'static str, String, String)> {
    let shown = |text: &Option<String>| text.as_ref().map_or("(not given)".to_owned(), |text| visible(&cut(text, 300)));
    let headers = |lines: &[String]| Some(lines.join(", ")).filter(|text| !text.is_empty());
    let texts = [
        ("--url", old.url.clone(), new.url.clone()),
        ("-X", old.method.clone(), new.method.clone()),
        ("-H", headers(&old.headers), headers(&new.headers)),
        ("-d", old.body.clone(), new.body.clone()),
        ("--json-body", old.json_body.clone(), new.json_body.clone()),
        ("--key", old.key.clone(), new.key.clone()),
        ("--base-url", old.base_url.clone(), new.base_url.clone()),
    ];
    let differ = texts.into_iter().filter(|(_, was, is)| was != is);
    differ.map(|(flag, was, is)| (flag, shown(&was), shown(&is))).collect()
}

impl Change {
    /// Makes the jobs anew, all or none, and says how many; `false` where it was interrupted, so that nothing more is to be
    /// done under these flags. The run lock is held.
    pub(crate) async fn carry_out(
        self,
        store: &impl Store,
        db: &Path,
        stop: &Stop,
        clock: Clock,
        quiet: bool,
    ) -> anyhow::Result<bool> {
        if remembered(db).await? != self.last {
            let text = "another command has changed the request flags just now; nothing was done, look again";
            return Err(UsageError(text.to_owned()).into());
        }
        let (old, new) = (Template::compile(&self.old)?, Template::compile(&self.new)?);
        let judge = move |stored: &_| import::judge(&old, &new, stored);
        let (old, new) = (self.old.to_json(), self.new.to_json());
        let change = Rerender { old: &old, new: &new, judge: &judge };
        let done = store.rerender(&change, &|| stop.phase() > Phase::Go, clock.now_us()).await?;
        refuse(&done)?;
        if done.interrupted {
            say("interrupted: no job was changed");
        } else if !quiet {
            tell(&done);
        }
        Ok(!done.interrupted)
    }
}

fn tell(done: &Rerendered) {
    let Rerendered { rerendered, sent, own, .. } = done;
    let mut text = format!("rerendered {rerendered} jobs not sent yet; {sent} answered ones stay");
    if *own > 0 {
        text += &format!("; so do {own} not sent yet that these flags did not make");
    }
    say(&text);
}

fn refuse(done: &Rerendered) -> Result<(), UsageError> {
    if done.refused == 0 {
        return Ok(());
    }
    let mut text = format!("{} jobs cannot be made anew, so none was changed:", done.refused);
    for (job, why) in &done.examples {
        // Cannot fail: a String takes all that is written to it.
        let _ = write!(text, "\n  job {job}: {}", visible(&cut(why, 300)));
    }
    text += "\n  give other flags, or leave the jobs as they are with --on-change add";
    Err(UsageError(text))
}
