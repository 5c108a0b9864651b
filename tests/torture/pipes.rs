//! P7: whoever reads the output has seen enough and goes. Nothing panics, and a run goes on to its end.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::resume::bench::Bench;
use crate::row::{Figures, Row};
use crate::server::{Script, Server};
use crate::trial::{Found, Trial};

/// Seen failing with a closed pipe taken for an error in the summary.
pub(crate) const ROW: Row = Row { name: "P7", what: "output into a pipe that closes", run };

const JOBS: usize = 400;

/// Lines of shell, in which `haul` is the program, and the exit code that it is to have. `:` reads nothing at all.
const LINES: [(&str, &str); 9] = [
    ("haul -vv run --limit 50 2>&1 | head -1", "75"),
    ("haul run --limit 50 --progress plain 2>&1 | :", "75"),
    ("haul run --limit 50 --json | :", "75"),
    ("haul run | :", "0"),
    ("haul query 'SELECT * FROM job_view' | head -1", "0"),
    ("haul query --csv 'SELECT * FROM job_view' | :", "0"),
    ("haul export | head -1", "0"),
    ("haul status | :", "0"),
    ("haul --help | :", "0"),
];

fn run(figures: &mut Figures) {
    let server = Server::start(Script::ok().latency(Duration::from_millis(2)));
    let bench = Bench::with_jobs(&server, JOBS);
    let trial = Trial::new(bench, server);
    figures.note("pipes", LINES.len());
    for (line, code) in LINES {
        assert_eq!(ends(&trial.bench, line), code, "{line}");
    }
    let found: Found = trial.found_without_limit(JOBS);
    found.note(figures);
    found.judge();
}

/// The exit code of the program, whatever became of its reader.
fn ends(bench: &Bench, line: &str) -> String {
    let (program, reader) = line.split_once(" | ").expect("a pipe");
    let folder = Path::new(env!("CARGO_BIN_EXE_haul")).parent().expect("a folder").display();
    let code = bench.db().with_file_name("code");
    let mut command = Command::new("sh");
    // What it says of a pipe that is closed, if anything, is no panic: that would be another code.
    let script = format!("PATH={folder}:$PATH; export HAUL_DB=jobs.db; ({program}; echo $? > code) | {reader}");
    command.arg("-c").arg(script);
    bench.spawn(command).wait();
    fs::read_to_string(code).expect("its code").trim().to_owned()
}
