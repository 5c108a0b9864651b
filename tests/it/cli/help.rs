//! Help is the manual.

use super::folder::Folder;

pub(super) const VERBS: [(&str, &str); 20] = [
    ("run", "Import what is given, if anything, then drain until nothing is left to do"),
    ("resume", "Go on where the last run stopped, as it did"),
    ("import", "Only import: rows become jobs, none is sent"),
    ("plan", "Say what a run would send, how long it takes at best, and what it needs; sends nothing"),
    ("status", "Show where things stand: jobs, rate, time left, failures, latencies"),
    ("show", "Show one job: its request, attempts, timings, response and result"),
    ("query", "Ask the database anything, in SQL; nothing can be changed"),
    ("retry", "Send failed jobs back to the stage that failed; what failed in processing costs no request"),
    ("reprocess", "Run your code again over stored responses, on all cores; sends nothing"),
    ("cancel", "Take jobs out that should not be sent; neither done nor failed"),
    ("pause", "Have the run that is going send nothing until `haul unpause`, from another terminal"),
    ("unpause", "Have a paused run go on, from another terminal"),
    ("rate", "Change the rate limits of the run that is going, from another terminal, and of those to come"),
    ("stop", "Stop the run that is going, from another terminal: what is in flight lands, the rest waits"),
    ("prune", "Drop stored responses of finished jobs, and give the space back; results stay"),
    ("export", "Write results to a file or to standard output, in the order of the import"),
    ("report", "Write one self-contained HTML page: throughput, latency, SLA, failures, retries, crashes, runs"),
    ("demo", "See it work: a rate-limited API on loopback"),
    ("completions", "Write what a shell needs to complete commands, flags and their values"),
    ("man", "Write the manual page to standard output, or those of all commands into a folder"),
];

#[test]
fn every_verb_says_what_it_does_and_has_examples() {
    let folder = Folder::new();
    for (verb, first) in VERBS {
        for help in ["-h", "--help"] {
            let said = folder.haul(&[verb, help]).exits(0).out_has("Examples:\n  haul ");
            assert!(said.out.starts_with(first), "{verb}: {}", said.out);
            assert_eq!(said.err, "");
        }
    }
}

#[test]
fn the_verbs_are_those_that_are_tested_here() {
    let said = Folder::new().haul(&["--help"]).exits(0);
    let listed = said.out.split("Commands:\n").nth(1).expect("a list").split("\n\n").next().expect("its lines");
    // Lines that go on are indented further.
    let verbs: Vec<_> = listed
        .lines()
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut expected: Vec<_> = VERBS.iter().map(|(verb, _)| *verb).collect();
    expected.push("help");
    assert_eq!(verbs, expected);
}

#[test]
fn the_exit_codes_are_in_the_long_help() {
    Folder::new().haul(&["--help"]).exits(0).out_has("Exit codes: 0 all done, 1 the tool failed");
}

#[test]
fn every_verb_in_an_example_exists() {
    let folder = Folder::new();
    for (verb, _) in VERBS {
        let help = folder.haul(&[verb, "--help"]).exits(0).out;
        let examples = help.lines().filter_map(|line| line.strip_prefix("  haul "));
        for example in examples {
            let words = example.split_whitespace().skip_while(|word| word.starts_with("--db") || word.ends_with(".db"));
            let named = words.into_iter().next().expect("a verb");
            assert!(VERBS.iter().any(|(verb, _)| *verb == named), "{verb}: {example}");
        }
    }
}

#[test]
fn no_verb_and_a_wrong_one_are_wrong_usage() {
    let folder = Folder::new();
    folder.haul::<&str>(&[]).exits(2).err_has("Usage: haul [OPTIONS] <COMMAND>");
    folder.haul(&["statu"]).exits(2).err_has("a similar subcommand exists: 'status'");
    assert!(folder.names().is_empty());
}
