//! The programs in `examples/`, as they are.

use super::has;
use crate::resume::bench::Bench;
use crate::server::{Answer, Asked, Script, Server};

/// Runs an example over twenty responses, one of which it cannot work on.
fn run(interpreter: &str, example: &str) {
    if !has(interpreter) {
        return;
    }
    let server = Server::start(Script::new(|asked: &Asked| match asked.key.as_str() {
        "0007" => Answer::json(r#"{"id":7}"#),
        key => Answer::json(format!(r#"{{"id":"{key}","below":10000}}"#)),
    }));
    let bench = Bench::with_jobs(&server, 20);
    let process = format!("cmd:{interpreter} '{}/examples/{example}'", env!("CARGO_MANIFEST_DIR"));
    bench.run(&["run", "--process", &process]).exits(3);
    let results = "SELECT key, output, processor FROM results JOIN jobs ON id = job_id ORDER BY key";
    let results: Vec<(String, String, String)> = bench.rows(results);
    assert_eq!(results.len(), 19);
    for (key, output, processor) in results {
        let output: serde_json::Value = serde_json::from_str(&output).expect("JSON");
        assert_eq!(output["sum_of_squares"], 333_283_335_000_u64, "{key}");
        assert!(processor.starts_with("cmd:"), "{processor}");
    }
    let failed: Vec<(String, String)> = bench.rows("SELECT key, error_type FROM jobs WHERE state = 'failed'");
    assert_eq!(failed, [("0007".to_owned(), "process_error".to_owned())]);
    bench.check_clean(20, &server);
}

#[test]
fn the_example_in_python_works() {
    run("python3", "process.py");
}

#[test]
fn the_example_in_javascript_works() {
    run("node", "process.mjs");
}

#[test]
fn the_example_in_the_shell_works() {
    run("sh", "process.sh");
}

#[test]
fn a_function_in_python_moves_into_ten_lines() {
    let source = include_str!("../../../examples/process.py");
    let code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let around = source.lines().skip_while(|line| !line.starts_with("answers")).filter(code).count();
    assert!((5..=10).contains(&around), "{around} lines around it");
}
