//! One program that is asked, a job at a time. Its pipes are never waited for one alone: whatever it reads, writes or leaves,
//! somebody takes it away, and a time limit holds.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::log::Log;
use crate::clock::{Clock, Micros};
use crate::secret::Values;

/// How long a line may be: as long as the largest body that one may ask for by default, with every byte of it escaped.
pub(super) const MAX_LINE: usize = 16 << 20;

/// Read at once.
const CHUNK: usize = 64 << 10;

/// A program whose children hold its pipes ends without a sign on them: it is looked for this often.
const LOOK_US: Micros = 50_000;

/// A program whose pipes are closed is about to end by itself, and says how; then it is waited for no longer.
const ENDING_US: Micros = 200_000;

/// A program that runs, in a process group of its own. Dropped, it is killed with its group, and reaped.
pub(super) struct Program {
    child: Child,
    /// Its own, and its group's. `None` only where the system numbers processes in a way of its own.
    pid: Option<Pid>,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    unread: Vec<u8>,
    /// Where what is read arrives.
    chunk: Box<[u8]>,
    log: Log,
    clock: Clock,
    /// It has answered before.
    pub(super) used: bool,
}

/// Why a program gave no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// None within the time.
    TooSlow,
    /// A line without an end.
    TooLong,
    /// It put out this line and more, or before it had read the job.
    OutOfTurn(Vec<u8>),
    /// It has ended, or closed its pipes.
    Ended,
    /// The system failed.
    Io(io::Error),
}

/// What one look at the pipes has shown.
struct Ready {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Program {
    /// Starts it with this environment and no other.
    pub(super) fn start(
        file: &Path,
        args: &[String],
        environment: &[(OsString, OsString)],
        hidden: Arc<Values>,
        clock: Clock,
    ) -> io::Result<Self> {
        let mut command = std::process::Command::new(file);
        command.args(args).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("it has no pipes")); // cannot be: they were asked for
        };
        let log = Log::new(child.id(), hidden);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (stdin, stderr) = (Some(stdin), Some(stderr));
        let (unread, chunk) = (Vec::new(), vec![0; CHUNK].into());
        let program = Self { child, pid, stdin, stdout, stderr, unread, chunk, log, clock, used: false };
        program.never_block()?; // where this fails it is dropped, and thereby killed
        Ok(program)
    }

    fn never_block(&self) -> io::Result<()> {
        ioctl_fionbio(&self.stdout, true)?;
        if let (Some(stdin), Some(stderr)) = (&self.stdin, &self.stderr) {
            ioctl_fionbio(stdin, true)?;
            ioctl_fionbio(stderr, true)?;
        }
        Ok(())
    }

    /// Its process id, and its group's.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Says this line, and takes the line that comes back, without its end.
    pub(super) fn ask(&mut self, line: &[u8], until_us: Micros) -> Result<Vec<u8>, Trouble> {
        self.log.begin();
        let mut unsaid = line;
        let mut scanned = 0;
        loop {
            let now_us = self.clock.now_us();
            if now_us >= until_us {
                return Err(Trouble::TooSlow);
            }
            let ready = self.look(!unsaid.is_empty(), (until_us - now_us).min(LOOK_US)).map_err(Trouble::Io)?;
            if ready.stderr {
                self.read_log();
            }
            if ready.stdin {
                unsaid = self.say(unsaid)?;
            }
            if ready.stdout {
                self.hear()?;
                if let Some(answer) = self.answer(&mut scanned)? {
                    let in_turn = unsaid.is_empty() && self.unread.is_empty();
                    return if in_turn { Ok(answer) } else { Err(Trouble::OutOfTurn(answer)) };
                }
            }
            // All it said has been heard: nothing was there any more.
            if !(ready.stdin || ready.stdout || ready.stderr) && self.has_ended() {
                return Err(Trouble::Ended);
            }
        }
    }

    /// Waits until a pipe is ready, at most so long.
    fn look(&self, to_say: bool, at_most_us: Micros) -> io::Result<Ready> {
        let mut pipes = vec![PollFd::new(&self.stdout, PollFlags::IN)];
        let stderr = self.stderr.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN));
        let stdin = self.stdin.as_ref().filter(|_| to_say).map(|pipe| PollFd::new(pipe, PollFlags::OUT));
        let (has_stderr, has_stdin) = (stderr.is_some(), stdin.is_some());
        pipes.extend(stderr);
        pipes.extend(stdin);
        let timeout = Timespec { tv_sec: at_most_us / 1_000_000, tv_nsec: (at_most_us % 1_000_000) * 1_000 };
        match poll(&mut pipes, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Closed is ready, too: the next call says so.
        let mut ready = pipes.iter().map(|pipe| !pipe.revents().is_empty());
        let stdout = ready.next().unwrap_or(false);
        let stderr = has_stderr && ready.next().unwrap_or(false);
        let stdin = has_stdin && ready.next().unwrap_or(false);
        Ok(Ready { stdin, stdout, stderr })
    }

    /// Writes what fits; gives what is left.
    fn say<'a>(&mut self, line: &'a [u8]) -> Result<&'a [u8], Trouble> {
        let Some(stdin) = &mut self.stdin else { return Err(Trouble::Ended) };
        match stdin.write(line) {
            Ok(written) => Ok(line.get(written..).unwrap_or_default()),
            Err(error) if is_later(&error) => Ok(line),
            // Nobody will ever read it. What it says at its end may still come, but no answer.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Trouble::Ended),
            Err(error) => Err(Trouble::Io(error)),
        }
    }

    /// Reads what is there.
    fn hear(&mut self) -> Result<(), Trouble> {
        match self.stdout.read(&mut self.chunk) {
            Ok(0) => Err(Trouble::Ended),
            Ok(read) => {
                self.unread.extend_from_slice(self.chunk.get(..read).unwrap_or_default());
                Ok(())
            }
            Err(error) if is_later(&error) => Ok(()),
            Err(error) => Err(Trouble::Io(error)),
        }
    }

    /// A whole line, where there is one. What was looked through before is not looked through again.
    fn answer(&mut self, scanned: &mut usize) -> Result<Option<Vec<u8>>, Trouble> {
        let new = self.unread.get(*scanned..).unwrap_or_default();
        let Some(end) = new.iter().position(|byte| *byte == b'\n').map(|at| *scanned + at) else {
            *scanned = self.unread.len();
            return if *scanned > MAX_LINE { Err(Trouble::TooLong) } else { Ok(None) };
        };
        if end > MAX_LINE {
            return Err(Trouble::TooLong);
        }
        let rest = self.unread.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.unread, rest);
        line.truncate(end);
        Ok(Some(line))
    }

    /// Takes what is on stderr now, at most a chunk of it.
    fn read_log(&mut self) {
        let Some(stderr) = &mut self.stderr else { return };
        match stderr.read(&mut self.chunk) {
            Ok(read) if read > 0 => self.log.take(self.chunk.get(..read).unwrap_or_default()),
            Err(error) if is_later(&error) => {}
            Ok(_) | Err(_) => self.stderr = None, // it says no more there, and may go on all the same
        }
    }

    /// Whether it has ended; it is not reaped thereby, so its number is still its own.
    pub(super) fn has_ended(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.pid.is_none_or(|pid| !matches!(waitid(WaitId::Pid(pid), look), Ok(None)))
    }

    /// Waits until it has ended, or for so long.
    fn wait_for_end(&mut self, until_us: Micros) {
        while !self.has_ended() && self.clock.now_us() < until_us {
            self.read_log(); // who waits for room there never ends
            // Only the time matters here: there is no pipe to wait for any more.
            let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }));
        }
    }

    /// Ends one that has closed its pipes or its life; says how it ended and what it said last.
    pub(super) fn last_words(mut self) -> String {
        drop(self.stdin.take());
        self.wait_for_end(self.clock.now_us() + ENDING_US);
        let by_itself = self.has_ended();
        for _ in 0..16 {
            self.read_log(); // a traceback; what children go on saying is nobody's
        }
        self.log.flush();
        let how = match self.kill() {
            Some(status) if by_itself => ended(status),
            _ => "closed its pipes".to_owned(),
        };
        let said = self.log.last().map(|last| format!("; it said last: {last}")).unwrap_or_default();
        format!("{how} before it answered{said}")
    }

    /// Tells it that there are no more jobs.
    pub(super) fn closed(mut self) -> Self {
        drop(self.stdin.take());
        self
    }

    /// Gives one that was told so until then to end by itself.
    pub(super) fn end(mut self, until_us: Micros) {
        while !self.has_ended() && self.clock.now_us() < until_us && self.hear_out() {}
        self.wait_for_end(until_us);
        self.read_log();
        self.log.flush();
    }

    /// Throws away what it says when nobody asks any more; `false` = nothing comes.
    fn hear_out(&mut self) -> bool {
        self.unread.clear();
        self.look(false, 1_000).is_ok_and(|ready| {
            self.read_log();
            !ready.stdout || self.hear().is_ok()
        })
    }

    /// Kills the group, while its number is surely its own, and reaps the program.
    fn kill(&mut self) -> Option<ExitStatus> {
        if let Some(pid) = self.pid.take() {
            kill_group(pid);
        } else {
            let _ = self.child.kill(); // an error is a program that has ended
        }
        self.child.wait().ok()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills a program that is not reaped yet, and all that it started and that did not leave its group.
pub(super) fn kill_group(pid: Pid) {
    // An error is a group that has ended.
    let _ = kill_process_group(pid, Signal::KILL);
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
