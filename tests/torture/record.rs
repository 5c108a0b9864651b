//! What the program did to the files of a database, and what it took for durable, as strace saw it.

use std::path::Path;
use std::process::Command;

use crate::disk::Change;

/// The calls that change a file, or let something be known outside.
const CALLS: &str = "trace=pwrite64,write,writev,sendto,ftruncate,fdatasync,fsync,unlink";

/// Something that happened, in this order.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// To the file whose name ends so.
    Changed(String, Change),
    /// All of it is on the disk.
    Synced(String),
    /// So many jobs are done, the program says.
    Done(u64),
    /// The request of this job is sent: the program takes its claim for durable.
    Sent(String),
}

/// The program, under strace.
pub(crate) fn recorded(program: &Command, log: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-xx", "-s", "2000000", "--seccomp-bpf", "-e", CALLS, "-o"]);
    command.arg(log).arg(program.get_program()).args(program.get_args());
    command
}

/// Reads what strace wrote. Keys of jobs are four digits.
pub(crate) fn events(log: &Path, database: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(log).expect("a log of strace");
    let database = database.canonicalize().expect("a database").display().to_string();
    let mut begun: Vec<(&str, &str)> = Vec::new();
    let mut events = Vec::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(call) = call.strip_suffix(" <unfinished ...>") {
            // What is written may arrive from now on; what is made durable is so at the end.
            if call.starts_with("fdatasync") || call.starts_with("fsync") || call.starts_with("unlink") {
                begun.push((thread, call));
            } else {
                events.extend(event(call, &database));
            }
        } else if call.starts_with("<...") {
            if let Some(at) = begun.iter().position(|(of, _)| *of == thread) {
                let (_, first) = begun.swap_remove(at);
                assert!(call.ends_with(" = 0"), "a call that failed: {call}");
                events.extend(event(first, &database));
            }
        } else {
            events.extend(event(call, &database));
        }
    }
    events
}

fn event(call: &str, database: &str) -> Option<Event> {
    let (name, args) = call.split_once('(')?;
    if name == "unlink" {
        let path = bytes(args.split('"').nth(1)?);
        let file = String::from_utf8(path).ok()?.strip_prefix(database)?.to_owned();
        return is_kept(&file).then_some(Event::Changed(file, Change::Gone));
    }
    let (fd, rest) = args.split_once('<')?;
    let (path, rest) = rest.split_once('>')?;
    let path = String::from_utf8(bytes(path)).ok()?;
    let Some(file) = path.strip_prefix(database).map(str::to_owned) else {
        let said = || String::from_utf8_lossy(&bytes(rest.split('"').nth(1).unwrap_or_default())).into_owned();
        return match name {
            "write" if fd == "2" => done(&said()).map(Event::Done),
            "sendto" | "write" | "writev" if path.starts_with("socket:") || path.starts_with("TCP:") => {
                said().strip_prefix("GET /").map(|said| Event::Sent(said[..4].to_owned()))
            }
            _ => None,
        };
    };
    if !is_kept(&file) {
        return None;
    }
    let number = |text: &str| text.trim().trim_end_matches(')').parse().ok();
    match name {
        "pwrite64" => {
            let mut parts = rest.splitn(3, '"').skip(1);
            let (data, rest) = (bytes(parts.next()?), parts.next()?);
            // `, 32, 64) = 32`
            let at = number(rest.split([',', '=']).nth(2)?)?;
            Some(Event::Changed(file, Change::Write(at, data)))
        }
        "ftruncate" => {
            let length = number(rest.split([',', '=']).nth(1)?)?;
            Some(Event::Changed(file, Change::Length(length)))
        }
        "fdatasync" | "fsync" => Some(Event::Synced(file)),
        other => panic!("{other} of {path} is not simulated"),
    }
}

/// Shared memory does not outlive the machine, and the lock says nothing.
fn is_kept(file: &str) -> bool {
    matches!(file, "" | "-wal" | "-journal")
}

/// `.. durable so far succeeded=12 failed=0 ..`
fn done(said: &str) -> Option<u64> {
    said.contains("durable so far").then(|| {
        let text = said.split("succeeded=").nth(1).expect("how many");
        text.split(' ').next().expect("a number").parse().expect("a number")
    })
}

/// `\x2f\x74`
fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a digit") as u8;
    hex.as_bytes().chunks_exact(4).map(|one| digit(one[2]) * 16 + digit(one[3])).collect()
}
