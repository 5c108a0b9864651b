//! Every example of every help is run as it stands there, but for the address of the API.

use std::fs;

use super::folder::{Folder, installed};
use super::help::VERBS;
use crate::server::{Answer, Asked, Script, Server};

/// Not run, and why.
const LEFT: [(&str, &str); 6] = [
    ("haul demo --jobs 100000", "takes 85 minutes"),
    ("haul demo --serve-only", "serves until it is stopped"),
    ("haul demo --api", "needs the API of the other terminal"),
    ("haul completions bash", "is for bash, not for sh; see the tests of completions"),
    ("haul resume -H", "needs a run that was given this by flag; see the tests of secrets"),
    ("haul man > haul.1 && man", "opens a pager where there is one; see the tests of the manual"),
];

/// These begin with an input: in a folder without a database.
const BEGINS: [&str; 4] = ["haul run ", "haul import ", "haul plan ", "jq "];

/// These add to what is there.
const ADDS: [&str; 2] = ["more.csv", "mended.csv"];

/// A folder with all that the examples name, and a database with jobs that were done and jobs that failed.
fn folder(api: &str) -> Folder {
    let folder = Folder::new();
    let cities: String = (1..=20).map(|n| format!("{n},city{n}\n")).collect();
    folder.write("cities.csv", &format!("id,city\n0,berlin\n{cities}"));
    folder.write("more.csv", "id,city\n99,Lima\n");
    folder.write("mended.csv", "id,city\n99,Lima\n");
    folder.write("excel.csv", "nr;city\n1;Lima\n");
    folder.write("page.json", r#"{"items":[{"id":1},{"id":2}]}"#);
    folder.write("urls.txt", &format!("{api}/a\n{api}/b\n"));
    folder.write("report.sql", "SELECT key, state FROM job_view");
    let batch = r#"{"custom_id":"r1","method":"POST","url":"/v1/chat","body":{"n":1}}"#;
    folder.write("batch.jsonl", &format!("{batch}\n"));
    folder.write("batch.jsonl.gz", &format!("{batch}\n"));
    folder.write(
        "process.py",
        "import json,sys\nfor l in sys.stdin:\n    print(json.dumps({'id':json.loads(l)['id'],'output':1}),flush=True)\n",
    );
    fs::create_dir(folder.path("man1")).expect("a folder");
    let (url, key) = (format!("{api}/v1/geo?q={{{{ city }}}}"), "{{ city }}");
    folder.haul(&["run", "cities.csv", "--url", &url, "--key", key]).exits(3);
    fs::copy(folder.path("haul.db"), folder.path("other.db")).expect("a copy");
    folder
}

/// The commands of a help, without what explains them.
fn examples(help: &str) -> Vec<String> {
    let after = help.split("Examples:\n").nth(1).expect("examples");
    let whole = after.replace("\\\n      ", "");
    let lines = whole.lines().map_while(|line| line.strip_prefix("  "));
    let bare = |line: &str| line.split("  ").next().unwrap_or_default().to_owned();
    let lines: Vec<_> = lines.map(bare).collect();
    for line in &lines {
        assert!(
            line.starts_with("haul ") || line.contains("| haul "),
            "too long for a terminal of 100 columns: {line}"
        );
    }
    lines
}

/// As it is run here.
fn made_ready(example: &str, api: &str) -> String {
    let mut line = example.replace("https://api.example.com", api);
    let asks = line.starts_with("haul retry") || line.starts_with("haul cancel");
    if asks && !line.contains("--dry-run") && !line.contains("--yes") {
        line += " --yes";
    }
    line
}

// Seen failing with an example that a terminal of 100 columns broke, and with a flag that its verb does not know.
#[test]
fn every_example_of_every_help_works() {
    let server = Server::start(Script::new(|asked: &Asked| match asked.target.ends_with("city3") {
        true => Answer::status(404),
        false => Answer::json(r#"{"results":[1],"items":[1,2],"m":3}"#.to_owned()),
    }));
    let api = server.url();
    let prepared = folder(&api);
    let mut run = 0;
    for (verb, _) in VERBS {
        let help = prepared.haul(&[verb, "--help"]).exits(0).out;
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{verb}: {help}");
        for example in examples {
            let needs = [("jq", "jq "), ("python3", "python3"), ("curl", "--curl | sh")];
            let missing = needs.iter().any(|(program, word)| example.contains(word) && !installed(program));
            if missing || LEFT.iter().any(|(left, _)| example.starts_with(left)) {
                continue;
            }
            works(&prepared, &example, &made_ready(&example, &api));
            run += 1;
        }
    }
    assert!(run > 50, "{run} were run");
}

fn works(prepared: &Folder, example: &str, line: &str) {
    let folder = Folder::new();
    let names_input = [".csv", ".txt", ".jsonl", "import - ", "--repeat"].iter().any(|word| example.contains(word));
    let begins = BEGINS.iter().any(|word| example.starts_with(word)) && names_input;
    for name in prepared.names() {
        let database = name.starts_with("haul.db") && begins && !ADDS.iter().any(|word| example.contains(word));
        if prepared.path(&name).is_dir() {
            fs::create_dir(folder.path(&name)).expect("a folder");
        } else if !database {
            fs::copy(prepared.path(&name), folder.path(&name)).expect("a copy");
        }
    }
    let (code, said) = folder.shell(line).env("MODEL", "m").ends();
    // Nothing to pause, to stop or to go on with is a fine answer; a call that cannot be meant is none.
    assert!(matches!(code, Some(0 | 3 | 4 | 75)), "{line}: {code:?} {said:?}");
    assert!(code == Some(4) || !said.err.contains("error: "), "{line}: {said:?}");
}

#[test]
fn what_explains_an_example_is_no_part_of_it() {
    let help =
        "x\nExamples:\n  haul run a.txt \\\n      -r 1/s      so it goes\n  jq . | haul import -\n\nmore\n  haul no\n";
    assert_eq!(examples(help), ["haul run a.txt -r 1/s", "jq . | haul import -"]);
}
