//! Every command of the README is run as it stands there, but for the address of the API and the size of the demo.

use std::time::Duration;

use super::folder::Folder;
use crate::server::{Answer, Asked, Reply, Script, Server};

const README: &str = include_str!("../../../README.md");

/// Not run, and why.
const LEFT: [(&str, &str); 16] = [
    ("cargo test", "runs this"),
    ("cargo test --features fail-points --test torture", "takes minutes, and another build of the program"),
    ("cargo test --test it simulation", "takes minutes, and is among the tests"),
    ("cargo bench --bench rate", "takes ten minutes of a machine of its own"),
    ("cargo bench --bench process", "takes minutes of a machine of its own"),
    ("cargo bench --bench latency", "takes minutes of a machine of its own"),
    ("cargo bench --bench speed", "takes ten minutes of a machine of its own"),
    ("cargo bench --bench speed -- scale", "takes minutes of a machine of its own, and 6 GB"),
    ("cargo install --path . --locked", "would install it"),
    ("haul pause", "needs a run that is going; see the tests of steering"),
    ("haul unpause", "the same"),
    ("haul stop", "the same"),
    ("haul plan INPUT", "stands for any input; see the tests of plans"),
    ("haul run --limit 20", "is run there"),
    ("haul --db postgres://reader@localhost/jobs status", "needs a server; see the tests of PostgreSQL"),
    ("haul COMMAND --help", "stands for each verb; see the tests of the help"),
];

/// What is changed in a command before it is run.
const CHANGES: [(&str, &str); 4] = [
    ("cargo run --release -- demo", "haul demo --jobs 30 --rate 100/s"),
    ("haul demo --jobs 100000 --rate 20/s", "haul demo --jobs 40 --rate 100/s"),
    ("https://api.example.com/", "$API/"),
    ("'$API", "\"$API\"'"),
];

/// The commands: indented lines and code in the text that begin with a program, without their comments.
fn commands() -> Vec<String> {
    let joined = README.replace(" \\\n", " ");
    let mut commands = Vec::new();
    for line in joined.lines() {
        match line.strip_prefix("    ") {
            Some(code) => commands.push(code.to_owned()),
            None => commands.extend(line.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    let bare = |command: String| {
        let command = command.split("  # ").next().unwrap_or_default();
        command.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let commands = commands.into_iter().map(bare);
    commands.filter(|command| command.starts_with("haul ") || command.starts_with("cargo ")).collect()
}

/// The CSV of the README.
fn cities() -> String {
    let lines = README.lines().skip_while(|line| !line.starts_with("Given a CSV"));
    let lines = lines.skip_while(|line| !line.starts_with("    id,"));
    lines.take_while(|line| line.starts_with("    ")).map(|line| format!("{}\n", line.trim())).collect()
}

/// The Python of the README.
fn process() -> String {
    let lines = README.lines().skip_while(|line| *line != "    import json, sys");
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
    let code = lines.take_while(|line| !line.starts_with("    haul "));
    code.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or_default())).collect()
}

#[test]
fn every_command_of_the_readme_works() {
    let server = Server::start(Script::new(|asked: &Asked| {
        let city = asked.target.rsplit('=').next().unwrap_or_default();
        Answer::json(format!(r#"{{"results":[{{"city":"{city}"}},2]}}"#))
    }));
    let folder = Folder::with("cities.csv", &cities());
    folder.write("process.py", &process());
    folder.write("batch.jsonl", "{\"custom_id\":\"1\",\"method\":\"POST\",\"url\":\"/v1/chat\",\"body\":{}}\n");
    folder.write("urls.txt", &format!("{0}/a\n{0}/b\n", server.url()));
    let mut said = String::new();
    let (mut run, mut python) = (0, 0);
    for command in commands() {
        let without_python = command.contains("python3") && !crate::processing::has("python3");
        if without_python || LEFT.iter().any(|(left, _)| *left == command) {
            continue;
        }
        python += u64::from(command.contains("python3"));
        let line = CHANGES.iter().fold(command.clone(), |line, (from, to)| line.replace(from, to));
        said += &folder.shell(&line).env("API", &server.url()).env("API_KEY", "k").exits(0).out;
        run += 1;
    }
    assert!(run >= 8, "the commands are found: {:?}", commands());
    assert!(said.contains("S%C3%A3o%20Paulo") && said.contains("succeeded"), "{said}");
    assert_eq!(server.total(), 7 + 2 * python, "two cities, twice, two lines, a batch, and the cities for Python");
    assert!(
        python == 0
            || folder.haul(&["--db", "py.db", "query", "SELECT output FROM results"]).exits(0).out.contains("cities")
    );
}

/// The lines of the transcript with which the README begins.
fn transcript() -> Vec<&'static str> {
    let lines = README.lines().skip_while(|line| !line.starts_with("    $ "));
    lines.map_while(|line| line.strip_prefix("    ")).collect()
}

/// Numbers are not those of another run.
fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        let c = if c.is_ascii_digit() || c == '.' { '#' } else { c };
        if c != '#' || !out.ends_with('#') {
            out.push(c);
        }
    }
    out
}

// Seen failing with what `export` says left out of it.
#[test]
fn the_transcript_of_the_readme_is_what_happens() {
    let server = Server::start(Script::new(|asked: &Asked| {
        assert!(asked.target.starts_with("/v1/geo?q="));
        // So late that whenever the run is killed some are in flight.
        Reply::After(Duration::from_millis(400), Box::new(Answer::json("52.52".to_owned()).into()))
    }));
    let cities: String = (3..=50).map(|n| format!("{n},City {n}\n")).collect();
    let folder = Folder::with("cities.csv", &format!("id,city\n1,Berlin\n2,São Paulo\n{cities}"));
    let mut said = Vec::new();
    for line in transcript() {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        said.push(line.to_owned());
        let command = command.replace("'https://api.example.com/", "\"$API\"'/");
        let command = command.replace("--rate 20/s", "--rate 10/s"); // long enough to be killed on a busy machine
        // Killed in its midst, when some have been answered.
        let command = match command.starts_with("haul run") {
            true => format!(
                "{command} >out.txt & until haul status --json | grep -q '\"succeeded\": [1-9]'; do :; done; kill -9 $!; \
                 wait $!; echo Killed"
            ),
            false => format!("{{ {command}; }} 2>&1"),
        };
        let told = folder.shell(&command).env("API", &server.url()).exits(0);
        let err = told.err.lines().filter(|line| line.starts_with("cities.csv:"));
        said.extend(err.chain(told.out.lines()).map(str::to_owned));
    }
    let [expected, said] =
        [transcript().join("\n"), said.join("\n")].map(|text| text.lines().map(without_numbers).collect::<Vec<_>>());
    assert_eq!(expected, said);
    assert!(server.total() <= 50 + 64, "{}", server.total());
}

#[test]
fn nothing_is_left_out_or_changed_that_is_not_there() {
    let commands = commands();
    for (left, _) in LEFT {
        assert!(commands.iter().any(|command| command == left), "{left} is not in {commands:?}");
    }
    for (from, _) in &CHANGES[..3] {
        assert!(commands.iter().any(|command| command.contains(from)), "{from} is not in {commands:?}");
    }
}
