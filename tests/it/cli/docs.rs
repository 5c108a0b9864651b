//! What `docs/` says is run as it stands there, but for the address of the API.

use super::folder::Folder;
use crate::processing::has;
use crate::server::{Answer, Asked, Script, Server};

const RECIPES: &str = include_str!("../../../docs/recipes.md");
const QUESTIONS: &str = include_str!("../../../docs/sql.md");

/// Blocks of code in this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block)).collect()
}

fn api() -> Server {
    Server::start(Script::new(|asked: &Asked| match (asked.target.rsplit('=').next().unwrap_or_default(), asked.nth) {
        ("Nowhere", _) => Answer::status(404),
        ("Lima", 1) => Answer::status(503),
        (city, _) => Answer::json(format!(r#"{{"results":[{{"city":"{city}"}}],"choices":[]}}"#)),
    }))
}

fn folder() -> Folder {
    let folder = Folder::with("cities.csv", "id,city\n1,Berlin\n2,Lima\n3,Nowhere\n4,Berlin\n");
    let line = |id: u32| {
        format!(
            "{{\"custom_id\":\"r{id}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{{\"n\":{id}}}}}\n"
        )
    };
    folder.write("batch.jsonl", &(1..=3).map(line).collect::<String>());
    folder
}

// Seen failing with a flag that does not exist in a recipe.
#[test]
fn every_command_of_the_recipes_works_in_its_order() {
    let server = api();
    let folder = folder();
    let mut run = 0;
    for command in blocks(RECIPES, "sh").into_iter().flat_map(str::lines) {
        if command.starts_with("sqlite3") && !has("sqlite3") {
            std::fs::copy(folder.path("haul.db"), folder.path("backup.db")).expect("a copy in its place");
            continue;
        }
        let line = command.replace("https://api.example.com/", "$API/").replace("'$API", "\"$API\"'");
        let (code, said) = folder.shell(&line).env("API", &server.url()).env("API_KEY", "k").ends();
        assert!(matches!(code, Some(0 | 3)), "{command}: {code:?} {said:?}");
        run += 1;
    }
    assert!(run >= 14, "the commands are found: {run}");
    let answers = std::fs::read_to_string(folder.path("answers.csv")).expect("the answers");
    assert_eq!(answers.lines().count(), 5, "{answers}");
    assert!(folder.path("report.html").exists() && folder.path("haul.prom").exists());
    assert_eq!(std::fs::read_to_string(folder.path("llm-answers.jsonl")).expect("the batch").lines().count(), 3);
}

/// Those that have nothing to say of a run in which all went well enough.
const SILENT: [usize; 2] = [14, 20];

// Seen failing with a column that does not exist in a question.
#[test]
fn each_of_twenty_questions_has_an_answer() {
    let server = api();
    let folder = folder();
    let url = format!("{}/v1?k={{{{ city }}}}", server.url()); // `k` is what the server tells first tries by
    let flags = [
        "--key",
        "{{ id }}",
        "--sla",
        "1us",
        "--backoff",
        "1ms..2ms",
        "--rate",
        "500/s",
        "--process",
        "jq:.results[0]",
    ];
    folder.haul(&[&["run", "cities.csv", "--url", &url], &flags[..]].concat()).exits(3);
    let questions = blocks(QUESTIONS, "sql");
    assert_eq!(questions.len(), 20);
    for (question, number) in questions.into_iter().zip(1..) {
        folder.write("q.sql", question);
        let rows = folder.haul(&["query", "@q.sql", "--json"]).exits(0).rows();
        let n = rows.as_array().expect("rows").len();
        assert_eq!(n == 0, SILENT.contains(&number), "question {number}: {rows}");
    }
}
