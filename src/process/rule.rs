//! A jq expression that is true of a response or is not: `--fail-if`, `--stop-if`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::bounds::cut;
use super::{Jq, WorkError, from_jq};
use crate::attempt::{ErrorType, Failure, Verdict};
use crate::job::Job;
use crate::response::Response;

/// How much of a body stands in a message, in characters.
const QUOTED: usize = 200;

/// A condition on responses. Cheap to clone.
///
/// It is met where one of the expression's outputs is neither `false` nor `null`. Where the expression fails (it indexes a
/// text, say) it is not met: an unexpected body is no proof of anything. The first such failure is warned about.
#[derive(Clone)]
pub struct Rule {
    jq: Arc<Jq>,
    setting: Arc<str>,
    warned: Arc<AtomicBool>,
}

impl Rule {
    /// The rule that `jq:EXPR` or `jq:@FILE` names. A file is read once, here.
    ///
    /// # Errors
    /// When it names none, or one that does not compile.
    pub fn from_setting(setting: &str) -> Result<Self, WorkError> {
        let jq = from_jq(setting)?.ok_or_else(|| WorkError::NoRule(setting.to_owned()))?;
        Ok(Self { jq: Arc::new(jq), setting: setting.into(), warned: Arc::default() })
    }

    /// As it was given.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// Whether this response meets it. Takes as long as the expression takes: not for threads that others wait for.
    #[must_use]
    pub fn is_met(&self, response: &Response, job: &Job) -> bool {
        self.jq.is_true(response, job).unwrap_or_else(|failure| {
            if !self.warned.swap(true, Ordering::Relaxed) {
                let (rule, job, error) = (&*self.setting, job.id, failure.message);
                tracing::warn!(rule, job, error, "a rule failed on a response, which counts as not met; told once");
            }
            false
        })
    }

    /// Nothing, or that this response meets it, as a failure.
    ///
    /// # Errors
    /// Where it is met.
    pub(super) fn refuse(&self, response: &Response, job: &Job) -> Result<(), Failure> {
        if !self.is_met(response, job) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&response.body);
        let start: String = text.chars().take(QUOTED + 1).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let message = format!("the body meets `{}`: {}", shortened(&self.setting), shortened(&start));
        Err(Failure::new(ErrorType::FAIL_IF, Verdict::Permanent, cut(message)))
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{} ..", &text[..end]), // in bounds: the index of a character
        None => text.to_owned(),
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.setting).finish()
    }
}
