//! Streams: what goes where, in which clothes, and what a closed one means.

use super::folder::Folder;
use crate::server::{Script, Server};

fn urls(server: &Server, n: usize) -> String {
    (0..n).map(|n| format!("{}/{n}\n", server.url())).collect()
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = Folder::new();
    let rows: String = (0..20_000).map(|n| format!("http://127.0.0.1:9/{n}\n")).collect();
    folder.write("urls.txt", &rows);
    folder.haul(&["import", "urls.txt"]).exits(0);
    for form in ["--json", "--nl", "--csv", "--tsv", "--table"] {
        // The exit code of the program itself, which the pipe would hide.
        let line = format!("{{ haul query {form} 'SELECT * FROM job_view'; echo $? >code; }} | head -1");
        let said = folder.shell(&line).exits(0);
        assert_eq!(said.out.lines().count(), 1, "{form}");
        // A table says how much of the answer it is, whoever listens.
        assert!(said.err.is_empty() || form == "--table", "{form}: {}", said.err);
        assert_eq!(std::fs::read_to_string(folder.path("code")).expect("a code"), "0\n", "{form}");
    }
    for verb in ["status", "run --help", "status --json"] {
        folder.shell(&format!("{{ haul {verb}; echo $? >code; }} | true")).exits(0).err_is("");
        assert_eq!(std::fs::read_to_string(folder.path("code")).expect("a code"), "0\n", "{verb}");
    }
}

#[test]
fn nothing_is_coloured_off_a_terminal_or_for_a_dumb_one() {
    let server = Server::start(Script::ok());
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "xterm-256color")] {
        let folder = Folder::with("urls.txt", &urls(&server, 3));
        for call in
            [&["-vv", "run", "urls.txt"][..], &["status"], &["run", "--help"], &["run", "--rate", "x"], &["nosuch"]]
        {
            let said = folder.haul(call).env(name, value);
            let code = if call.len() == 3 && call[0] == "run" || call == ["nosuch"] { 2 } else { 0 };
            let said = said.exits(code);
            assert!(!format!("{}{}", said.out, said.err).contains('\x1b'), "{name}={value} {call:?}: {said:?}");
        }
    }
}

// Every log line would stand behind the bar if it were written to stderr as it comes.
#[test]
fn log_lines_stand_above_the_bar_and_nothing_is_left_of_it() {
    let server = Server::start(Script::ok().latency(std::time::Duration::from_millis(50)));
    let folder = Folder::with("urls.txt", &urls(&server, 30));
    let said = folder
        .haul(&["run", "urls.txt", "--progress", "bar", "-r", "30/s", "-c", "1"])
        .env("HAUL_LOG", "debug")
        .exits(0)
        .err_has("[==");
    let lines: Vec<_> = said.err.split('\n').collect();
    assert!(lines.len() > 10, "there is much to log: {}", said.err);
    for line in &lines {
        // What the terminal shows of a line: what follows the last clearing of it.
        let shown = line.rsplit("\x1b[J").next().unwrap_or_default();
        assert!(!shown.contains("/30 (") || !shown.contains("DEBUG"), "{line:?}");
    }
    let last = lines.last().expect("a line");
    assert!(last.ends_with("\x1b[J"), "the bar is cleared at the end: {last:?}");
}

#[test]
fn quiet_is_quiet_and_progress_goes_to_stderr_alone() {
    let server = Server::start(Script::ok());
    let folder = Folder::with("urls.txt", &urls(&server, 40));
    folder.haul(&["-q", "run", "urls.txt", "--limit", "2"]).exits(75).err_is("");
    let said = folder.haul(&["run", "--progress", "json", "-r", "20/s"]).exits(0);
    let progress: Vec<serde_json::Value> =
        said.err.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!((&progress[0]["total"], &progress[0]["failed"]), (&40.into(), &0.into()));
    assert!(!said.out.contains("total"), "{}", said.out);
}
