//! The program under strace, which kills it at a call.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::row::Figures;

/// Whether strace is there and may trace. If not, the row is skipped.
pub(crate) fn is_there(figures: &mut Figures) -> bool {
    let tried = Command::new("strace").args(["-f", "-qq", "-e", "trace=none", "true"]).output();
    let works = tried.is_ok_and(|output| output.status.success());
    if !works {
        figures.skip("strace is not installed, or may not trace here");
    }
    works
}

/// The same program under strace, which tells of these calls on these files in `log`.
pub(crate) fn traced<P: AsRef<OsStr>>(program: &Command, calls: &str, files: &[P], log: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-e"]).arg(format!("trace={calls}"));
    for file in files {
        command.arg("-P").arg(file);
    }
    command.arg("-o").arg(log).arg(program.get_program()).args(program.get_args());
    command
}

/// The same, with a fault: `pwrite64:error=EIO:when=3`. (strace's `--seccomp-bpf` would be quicker, but then nothing is injected.)
pub(crate) fn injected<P: AsRef<OsStr>>(
    program: &Command,
    calls: &str,
    files: &[P],
    log: &Path,
    fault: &str,
) -> Command {
    let mut command = Command::new("strace");
    command.arg("-e").arg(format!("inject={fault}"));
    command.args(traced(program, calls, files, log).get_args());
    command
}
