//! Processing by a program of the user's, in any language: a line of JSON in for each job, a line of JSON out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;

use super::refused;
use crate::attempt::{ErrorType, Failure, Verdict};
use crate::clock::{Clock, Micros, SECOND_US, micros};
use crate::job::Job;
use crate::response::Response;
use crate::secret::{SecretName, Values};
use crate::settings::Settings;

mod error;
mod find;
mod line;
mod log;
mod program;
mod words;

pub use error::CommandError;
use program::{Program, Trouble};

/// What every program gets of our environment, where it is set. Nothing else: who finds a key there may say it.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "LANG", "VIRTUAL_ENV"];

/// Programs that are told that there are no more jobs have this long to end.
const ENDING_US: Micros = SECOND_US;

/// A program that is asked, and as many copies of it as there are threads that ask at once. Copies are started when they are
/// needed, and anew after every trouble.
pub(super) struct Command {
    file: PathBuf,
    words: Vec<String>,
    version: String,
    environment: Vec<(OsString, OsString)>,
    hidden: Arc<Values>,
    timeout_us: Micros,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Program>,
    /// Those that are asked right now. None of them is reaped while it stands here: its number is its own.
    busy: Vec<Pid>,
    ended: bool,
}

/// A program that is asked. Dropped, it is no longer busy, and killed.
struct Busy<'a> {
    command: &'a Command,
    program: Option<Program>,
}

impl Command {
    /// The program of a command line, its first copy started.
    ///
    /// # Errors
    /// Where there is no such program, it cannot be started, or a variable that it is to be given is not set.
    pub(super) fn start(line: &str, settings: &Settings) -> Result<Self, CommandError> {
        let words = words::split(line)?;
        let name = words.first().filter(|name| !name.is_empty()).ok_or(CommandError::Empty)?;
        let file = find::program(name, std::env::var_os("PATH").as_deref())?;
        let (environment, hidden) = environment(&settings.pass_env)?;
        let command = Self {
            version: find::version(&words),
            file,
            words,
            environment,
            hidden: Arc::new(hidden),
            timeout_us: micros(settings.process_timeout),
            clock: Clock::start(),
            state: Mutex::default(),
        };
        let first = command.another().map_err(|source| {
            let path = command.file.display().to_string();
            CommandError::Start { path, source }
        })?;
        command.state().idle.push(first);
        Ok(command)
    }

    /// `cmd:` and the beginning of a hash of the command line and the files it names.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Asks a copy that is free about one job, and gives its output as JSON.
    ///
    /// # Errors
    /// What the program says, or that it gave no answer; the copy is then killed, and the next job gets a new one.
    pub(super) fn run(&self, response: &Response, job: &Job) -> Result<String, Failure> {
        let line = line::asking(response, job)?;
        loop {
            let mut busy = self.take()?;
            let Some(program) = &mut busy.program else { return Err(over()) };
            let used = program.used;
            let trouble = match program.ask(&line, self.clock.now_us().saturating_add(self.timeout_us)) {
                Ok(answer) => match line::answer(&answer, job.id) {
                    Ok(answered) => {
                        program.used = true;
                        busy.give_back();
                        return answered.map_err(|failure| self.hide(failure));
                    }
                    Err(_) if used => continue,
                    Err(why) => refused(format!("the program {why}")),
                },
                // What a copy does late, after its last answer, is not this job's doing: a new one is asked.
                Err(Trouble::Ended | Trouble::OutOfTurn(_)) if used => continue,
                Err(Trouble::TooSlow) => too_slow(self.timeout_us),
                Err(Trouble::TooLong) => refused("the program put out a line of more than 16 MiB"),
                Err(Trouble::OutOfTurn(line)) => refused(format!(
                    "the program put out more than one line for a job, or one before it had read it: {}",
                    line::quoted(&line)
                )),
                Err(Trouble::Ended) => refused(format!("the program {}", busy.last_words())),
                Err(Trouble::Io(error)) => refused(format!("failed to talk to the program: {error}")),
            };
            return Err(self.hide(trouble));
        }
    }

    /// Ends all copies: those that are idle may end by themselves, for a moment; those that are asked are killed.
    pub(super) fn end(&self) {
        let idle = {
            let mut state = self.state();
            state.ended = true;
            state.busy.drain(..).for_each(program::kill_group);
            std::mem::take(&mut state.idle)
        };
        let until_us = self.clock.now_us() + ENDING_US;
        let closed: Vec<_> = idle.into_iter().map(Program::closed).collect();
        closed.into_iter().for_each(|program| program.end(until_us));
    }

    fn take(&self) -> Result<Busy<'_>, Failure> {
        let idle = {
            let mut state = self.state();
            if state.ended {
                return Err(over());
            }
            state.idle.pop()
        };
        // One that ended while nobody asked it is no fault of the job that would be next.
        let program = match idle.filter(|program| !program.has_ended()) {
            Some(program) => program,
            None => self.another().map_err(|error| {
                // The system lacks something, which is not the job's fault.
                let message = format!("failed to start the program {}: {error}", self.file.display());
                Failure::new(ErrorType::PROCESS_ERROR, Verdict::Transient, message)
            })?,
        };
        let mut state = self.state();
        if state.ended {
            return Err(over());
        }
        state.busy.extend(program.pid());
        drop(state);
        Ok(Busy { command: self, program: Some(program) })
    }

    fn another(&self) -> std::io::Result<Program> {
        let args = self.words.get(1..).unwrap_or_default();
        Program::start(&self.file, args, &self.environment, self.hidden.clone(), self.clock)
    }

    /// A panic elsewhere leaves nothing half-changed: every change is one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hide(&self, failure: Failure) -> Failure {
        let message = self.hidden.hide(&failure.message).into_owned();
        Failure { message, ..failure }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.end();
    }
}

impl Busy<'_> {
    /// It may be asked again.
    fn give_back(mut self) {
        let program = self.release();
        let mut state = self.command.state();
        if !state.ended {
            state.idle.extend(program);
        }
    }

    /// How it ended.
    fn last_words(&mut self) -> String {
        self.release().map(Program::last_words).unwrap_or_default()
    }

    /// From now on it may be reaped.
    fn release(&mut self) -> Option<Program> {
        let program = self.program.take()?;
        self.command.state().busy.retain(|pid| Some(*pid) != program.pid());
        Some(program)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        drop(self.release());
    }
}

/// What a program is given of our environment, and what of it must not be shown.
fn environment(pass: &[String]) -> Result<(Vec<(OsString, OsString)>, Values), CommandError> {
    let set = |name: &str| std::env::var_os(name).map(|value| (name.into(), value));
    let mut environment: Vec<(OsString, OsString)> = ENVIRONMENT.into_iter().filter_map(set).collect();
    let mut hidden = Values::default();
    for name in pass {
        let (key, value) = set(name).ok_or_else(|| CommandError::Unset(name.clone()))?;
        hidden.add(SecretName::Env(name.clone()), value.to_string_lossy().into_owned());
        environment.push((key, value));
    }
    Ok((environment, hidden))
}

/// No copy is started any more, and nobody waits for what this job comes to.
fn over() -> Failure {
    Failure::new(ErrorType::PROCESS_ERROR, Verdict::Transient, "the run was over before the program was asked")
}

fn too_slow(timeout_us: Micros) -> Failure {
    let limit = humantime::format_duration(crate::clock::span(timeout_us));
    let message =
        format!("no answer of the program within {limit} (--process-timeout); it was killed, and is started anew");
    Failure::new(ErrorType::PROCESS_TIMEOUT, Verdict::Permanent, message)
}

#[cfg(test)]
mod tests;
