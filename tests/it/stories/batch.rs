//! A batch of questions to a model, with a credential; interrupted half-way, some refused for good, and some not wanted any more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{read, write};
use crate::checker::leases_at_kill;
use crate::resume::bench::{Bench, done, until};
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

const QUESTIONS: usize = 200;
const KEY: &str = "sk-hunter2";
const HEADER: &str = "Authorization: Bearer sk-hunter2";
/// From this one on, first answers wait for the gate.
const HELD: usize = 100;
const REFUSED: usize = 11;
const WRONG: usize = 22;

fn id(n: usize) -> String {
    format!("frage-{n:03}")
}

fn question(n: usize) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": format!("Wie heißt {n}? \u{1f9ed} \"so\"\n")}], "user": id(n)})
}

/// What was asked: the idempotency key of each arrival of each question, with the status it was answered with.
type Seen = Arc<Mutex<BTreeMap<String, Vec<(String, u16)>>>>;

fn server(gate: &Gate, seen: &Seen) -> Server {
    let (gate, seen) = (gate.clone(), seen.clone());
    let known: HashMap<String, usize> = (0..QUESTIONS).map(|n| (id(n), n)).collect();
    Server::start(Script::new(move |asked: &Asked| {
        if asked.header("authorization") != Some("Bearer sk-hunter2") || asked.target != "/v1/chat/completions" {
            return Reply::from(Answer::status(401));
        }
        let body: Value = serde_json::from_slice(&asked.body).expect("a body of JSON");
        let n = known[body["user"].as_str().expect("a name")];
        assert_eq!(body, question(n), "the question as it stands in the file");
        let mut seen = seen.lock().expect("no panic");
        let times = seen.entry(id(n)).or_default();
        let answer = match (n, times.len()) {
            (REFUSED, _) => Answer { status: 400, ..Answer::json(r#"{"error":{"message":"too long"}}"#) },
            (WRONG, 0) => Answer::json(r#"{"error":{"message":"overloaded"}}"#),
            (n, 0) if n < HELD && n % 10 == 5 => Answer::status(500),
            _ => Answer::json(json!({"choices": [{"message": {"content": format!("ä{n}")}}]}).to_string()),
        };
        let once = asked.header("idempotency-key").expect("an idempotency key").to_owned();
        times.push((once, answer.status));
        let first = times.len() == 1;
        if n >= HELD && first { Reply::Held(gate.clone(), Box::new(answer.into())) } else { answer.into() }
    }))
}

// Seen failing with a generation that an answer does not raise, and with the attempt in place of the generation.
#[test]
fn a_batch_is_answered_with_a_credential_that_no_file_holds() {
    let (gate, seen) = (Gate::closed(), Seen::default());
    let server = server(&gate, &seen);
    let bench = Bench::empty();
    let line = |n| json!({"custom_id": id(n), "method": "POST", "url": "/v1/chat/completions", "body": question(n)});
    write(&bench, "batch.jsonl", &(0..QUESTIONS).map(|n| format!("{}\n", line(n))).collect::<String>());

    // Interrupted half-way, and again, by somebody who has no time to let what flies land.
    let base = format!("{}/v1", server.url());
    let how = ["--rate", "2000/s", "-c", "8", "--backoff", "1ms..5ms", "--fail-if", "jq:.error != null"];
    let run: Vec<_> = ["run", "batch.jsonl", "--base-url", &base, "-H", HEADER].iter().chain(&how).copied().collect();
    let run = bench.start(&run);
    until("requests are held", || server.unanswered() == 8);
    run.signal("INT");
    run.says("stopping: 8 in flight may land");
    run.signal("INT");
    run.wait().exits(130);
    let flew: HashSet<_> = done(leases_at_kill(&bench.db())).into_iter().map(|(key, _)| key).collect();
    assert_eq!(flew.len(), 8);
    gate.open();
    let sent = server.total();

    // Ten are not wanted any more; and the credential is not remembered.
    bench.run(&["cancel", "--where", "key >= 'frage-190'", "-y"]).exits(0);
    let asked = bench.run(&["resume"]).exits(2).stderr;
    assert!(asked.contains("give it again: -H 'authorization: ..'"), "{asked}");
    assert_eq!(server.total(), sent);
    bench.run(&["resume", "-H", HEADER]).exits(3);
    assert_eq!(server.total(), 190 + 10 + 8, "each once; once more what met a 500 and what flew");

    // What was wrong inside is asked again, as a new question; so is one whose answer was fine.
    let again = format!("key IN ('{}', '{}')", id(WRONG), id(0));
    bench.run(&["retry", "--refetch", "--where", &again, "-y"]).exits(0);
    bench.run(&["resume", "-H", HEADER]).exits(3);
    assert_eq!(server.total(), 190 + 10 + 8 + 2);

    let seen = seen.lock().expect("no panic").clone();
    assert_eq!(seen.len(), 190);
    // The same over the interruption, which left no answer; another one after an answer, were it a 500.
    for (name, times) in &seen {
        match &times[..] {
            [(first, _), (second, _)] => assert_eq!(first == second, flew.contains(name), "{name}: {times:?}"),
            _ => assert!(times.len() == 1 && !flew.contains(name), "{name}: {times:?}"),
        }
    }
    bench.run(&["export", "--format", "openai-batch", "-o", "out.jsonl"]).exits(0);
    assert_answered(&read(&bench, "out.jsonl"));
    for entry in std::fs::read_dir(bench.db().parent().expect("a folder")).expect("the folder") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file");
        assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "{}", path.display());
    }
}

/// A line for each question that is finished, in their order; failed and cancelled ones are errors.
fn assert_answered(out: &str) {
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let names: Vec<_> = lines.iter().map(|line| line["custom_id"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(names, (0..lines.len()).map(id).collect::<Vec<_>>());
    for (n, line) in lines.iter().enumerate() {
        let content = &line["response"]["body"]["choices"][0]["message"]["content"];
        match n {
            REFUSED => {
                assert_eq!((&line["response"]["status_code"], &line["error"]["code"]), (&400.into(), &"400".into()))
            }
            190.. => assert!(!line["error"].is_null(), "{line}"),
            _ => assert_eq!((content, &line["error"]), (&format!("ä{n}").into(), &Value::Null)),
        }
    }
}
