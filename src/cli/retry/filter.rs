//! The flags that choose jobs by how they failed, as a condition over `job_view`.

use std::ops::{ControlFlow, RangeInclusive};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use haul::job::Wish;
use haul::near::nearest;
use haul::store::sqlite::console::Value;

use crate::cli::choice::{Choice, SearchFlags};
use crate::cli::database::Console;
use crate::cli::exit::UsageError;
use crate::cli::terminal::visible;

/// Types of failures there may be, whether or not there are any now. Those of status codes are numbers.
const TYPES: [&str; 14] = [
    "timeout",
    "connect",
    "dns",
    "tls",
    "body_too_large",
    "body_truncated",
    "decode",
    "redirect",
    "request",
    "process_error",
    "process_panic",
    "process_timeout",
    "poison",
    "interrupted",
];

/// Which jobs; all that are given must hold.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FilterFlags {
    /// Only jobs for which this is true: a condition in SQL over job_view
    #[arg(long = "where", id = "condition", value_name = "SQL")]
    condition: Option<String>,
    /// Only jobs whose last attempt had this status: 404, 5xx; several by comma
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    status: Vec<RangeInclusive<u16>>,
    /// Only jobs with this type of failure: timeout, process_error; several by comma
    #[arg(long = "error", value_name = "TYPE", value_delimiter = ',')]
    errors: Vec<String>,
}

/// `404` or `5xx`.
fn status(text: &str) -> Result<RangeInclusive<u16>, String> {
    let number = |digits: &str| digits.parse::<u16>().ok().filter(|_| !digits.starts_with('+'));
    let class = text.strip_suffix("xx").and_then(number).filter(|class| (1..=5).contains(class));
    let code = number(text).filter(|code| (100..=599).contains(code));
    match (class, code) {
        (Some(class), _) => Ok(class * 100..=class * 100 + 99),
        (_, Some(code)) => Ok(code..=code),
        _ if TYPES.contains(&text) => Err(format!("that is a type of failure, not a status: --error {text}")),
        _ => Err("write a status code (404) or a class of them (5xx)".to_owned()),
    }
}

impl FilterFlags {
    /// The jobs that are meant.
    pub(super) async fn choice(
        &self,
        console: &mut Console,
        wish: Wish,
        search: &SearchFlags,
    ) -> anyhow::Result<Choice> {
        self.check_types(console).await?;
        let mut ours = self.conditions();
        if wish == Wish::Retry {
            ours.push("state = 'failed'".to_owned());
        }
        let choice = Choice::new(console, &ours, self.condition.as_deref(), search).await;
        choice.context("--where cannot be used")
    }

    /// How many jobs in other states the rest of it is true for: whoever names jobs by --where may have meant these.
    pub(super) async fn left_out(
        &self,
        console: &mut Console,
        wish: Wish,
        search: &SearchFlags,
    ) -> anyhow::Result<u64> {
        if wish == Wish::Refetch || self.condition.is_none() {
            return Ok(0);
        }
        let choice = Choice::new(console, &self.conditions(), self.condition.as_deref(), search).await?;
        Ok(choice.kinds(console).await?.iter().map(|kind| kind.jobs).sum())
    }

    fn conditions(&self) -> Vec<String> {
        let status = |codes: &RangeInclusive<u16>| format!("status_code BETWEEN {} AND {}", codes.start(), codes.end());
        let error = |word: &String| format!("error_type = '{}'", word.replace('\'', "''"));
        let any = |all: Vec<String>| (!all.is_empty()).then(|| format!("({})", all.join(" OR ")));
        let status = any(self.status.iter().map(status).collect());
        status.into_iter().chain(any(self.errors.iter().map(error).collect())).collect()
    }

    /// A mistyped type would match nothing, and look as if all were well.
    async fn check_types(&self, console: &mut Console) -> anyhow::Result<()> {
        let is_code = |word: &String| word.parse().is_ok_and(|code: u16| (100..=599).contains(&code));
        let unknown = |word: &&String| !TYPES.contains(&word.as_str()) && !is_code(word);
        if !self.errors.iter().any(|word| unknown(&word)) {
            return Ok(());
        }
        let there = types(console).await.context("failed to look for types of failures")?;
        let Some(wrong) = self.errors.iter().filter(unknown).find(|word| !there.contains(word)) else { return Ok(()) };
        let hint = match nearest(wrong, there.iter().map(String::as_str).chain(TYPES)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if there.is_empty() => "no job has failed here".to_owned(),
            None => format!("there are {}", there.join(", ")),
        };
        Err(UsageError(format!("--error: there is no type of failure `{}`: {}", visible(wrong), visible(&hint))).into())
    }
}

/// The types of failures in the table, most frequent first; kept counts, a row a type.
async fn types(console: &mut Console) -> anyhow::Result<Vec<String>> {
    let sql = "SELECT error_type FROM counts WHERE error_type <> '' AND n > 0 GROUP BY error_type \
               ORDER BY sum(n) DESC LIMIT 20";
    let query = console.prepare(sql, &[]).await?;
    let mut types = Vec::new();
    let add = |row: &[Value]| {
        if let [Value::Text(word)] = row {
            types.push(word.clone());
        }
        Ok(ControlFlow::Continue(()))
    };
    console.run(&query, Duration::from_secs(10), add).await?;
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_code_or_a_class() {
        assert_eq!((status("404"), status("5xx")), (Ok(404..=404), Ok(500..=599)));
        for wrong in ["700", "6xx", "0xx", "99", "xx", "", "-5xx", "+5xx", "40x", "timeout"] {
            assert!(status(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_are_joined_by_and_their_values_by_or() {
        let flags =
            FilterFlags { condition: None, status: vec![404..=404, 500..=599], errors: vec!["it's".to_owned()] };
        assert_eq!(
            flags.conditions(),
            ["(status_code BETWEEN 404 AND 404 OR status_code BETWEEN 500 AND 599)", "(error_type = 'it''s')"]
        );
    }
}
