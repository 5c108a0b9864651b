//! Bad input: what was given, what is said about it and with which exit code, as transcripts to be read.
//!
//! In `bad/*.txt` a line `# ..` begins a case, in a folder of its own. `$ ..` is a line of shell in it, in which `haul` is
//! the program; below it is what it said on stderr, then what it said on stdout, each line behind `| `, then the exit code
//! where it is not 0. `[..]` stands for anything within a line, a line `...` for any lines.
//!
//! `HAUL_TEST_REWRITE=1 cargo test --test it -- cli::bad` writes what is said now over what no longer fits. Read the
//! difference: every message says what was being done, to what, why it failed and what to do next.
//!
//! Seen failing, each in its transcript, with the check of the number of fields left out of `import/csv.rs`, with exit code 2
//! for rejected rows, and with a transcript in which one word was another.

use std::fs;
use std::path::PathBuf;

use super::folder::{Folder, fits};

/// Whoever sets it wants the transcripts written anew.
const REWRITE: &str = "HAUL_TEST_REWRITE";

/// One line of shell and all that came of it.
struct Step {
    command: String,
    said: String,
}

/// What is given in one folder.
struct Case {
    title: String,
    steps: Vec<Step>,
}

fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            cases.push(Case { title: title.to_owned(), steps: Vec::new() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        match (line.strip_prefix("$ "), case.steps.last_mut()) {
            (Some(command), _) => case.steps.push(Step { command: command.to_owned(), said: String::new() }),
            (None, Some(step)) => step.said += &format!("{line}\n"),
            (None, None) => panic!("{}: {line:?} before a command", case.title),
        }
    }
    for case in &mut cases {
        // The blank line between two cases.
        case.steps.iter_mut().for_each(|step| step.said.truncate(step.said.trim_end().len()));
    }
    cases
}

fn written(cases: &[Case]) -> String {
    let step = |step: &Step| match step.said.trim_end() {
        "" => format!("$ {}\n", step.command),
        said => format!("$ {}\n{said}\n", step.command),
    };
    let case = |case: &Case| format!("# {}\n{}", case.title, case.steps.iter().map(step).collect::<String>());
    cases.iter().map(case).collect::<Vec<_>>().join("\n")
}

/// What the line says, as it stands in a transcript.
fn saying(folder: &Folder, command: &str) -> String {
    let (code, said) = folder.shell(command).ends();
    let out: String = said.out.lines().map(|line| format!("| {line}\n")).collect();
    let exit = match code {
        Some(0) => String::new(),
        Some(code) => format!("[exit {code}]\n"),
        None => "[killed]\n".to_owned(),
    };
    // The last newline of a message is not left out unseen.
    let err = if said.err.is_empty() || said.err.ends_with('\n') { said.err } else { said.err + "(no newline)\n" };
    format!("{err}{out}{exit}").trim_end().to_owned()
}

fn holds(topic: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/cli/bad/{topic}.txt"));
    let text = fs::read_to_string(&path).expect("a transcript");
    let mut cases = read(&text);
    let mut wrong = String::new();
    for case in &mut cases {
        let folder = Folder::new();
        for step in &mut case.steps {
            let said = saying(&folder, &step.command);
            if !fits(&step.said, &said) {
                wrong += &format!("# {}\n$ {}\nexpected:\n{}\nsaid:\n{said}\n\n", case.title, step.command, step.said);
                step.said = said;
            }
        }
    }
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, written(&cases)).expect("a transcript");
    } else {
        assert!(wrong.is_empty(), "{topic}.txt:\n\n{wrong}");
        assert_eq!(written(&cases), text, "{topic}.txt is written as it would be anew");
    }
}

#[test]
fn bad_rows_are_told() {
    holds("rows");
}

#[test]
fn bad_lines_of_json_are_told() {
    holds("json");
}

#[test]
fn bad_urls_and_headers_are_told() {
    holds("requests");
}

#[test]
fn bad_templates_are_told() {
    holds("templates");
}

#[test]
fn bad_flags_are_told() {
    holds("flags");
}

#[test]
fn bad_calls_of_reprocess_are_told() {
    holds("reprocess");
}

#[test]
fn bad_databases_are_told() {
    holds("databases");
}

#[cfg(feature = "postgres")]
#[test]
fn bad_servers_are_told() {
    holds("servers");
}

#[test]
fn bad_conditions_and_queries_are_told() {
    holds("sql");
}

#[test]
fn bad_steering_is_told() {
    holds("steering");
}

#[test]
fn bad_plans_completions_and_pages_are_told() {
    holds("plans");
}
