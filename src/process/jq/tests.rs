use bytes::Bytes;

use super::*;
use crate::attempt::{ErrorType, Verdict};
use crate::process::tests::{job, response};

fn run(expression: &str, body: impl Into<Bytes>) -> Result<String, Failure> {
    let jq = Jq::compile(expression).expect("a filter");
    jq.run(&response(body), &job())
}

/// Every pair: a filter over this body, and its output.
fn all(body: &str, table: &[(&str, &str)]) {
    for (expression, output) in table {
        assert_eq!(run(expression, body.to_owned()).as_deref(), Ok(*output), "{expression}");
    }
}

fn failure(expression: &str, body: impl Into<Bytes>) -> String {
    let failure = run(expression, body).expect_err("a failure");
    assert_eq!((failure.error_type, failure.verdict), (ErrorType::PROCESS_ERROR, Verdict::Permanent));
    failure.message
}

fn wrong(expression: &str) -> String {
    Jq::compile(expression).expect_err("no filter").to_string()
}

#[test]
fn one_output_is_the_result_several_are_an_array_none_is_null() {
    all(
        r#"{"a": [1, 2]}"#,
        &[(".a", "[1,2]"), (".a[]", "[1,2]"), (".a[0]", "1"), ("empty", "null"), (".a[:1]", "[1]")],
    );
}

#[test]
fn a_filter_knows_its_job() {
    let known = &[
        ("$key", r#""a1""#),
        ("$row.city", r#""Bern""#),
        ("$row | keys", r#"["city","n"]"#),
        ("$status", "200"),
        (r#"$headers["content-type"]"#, r#""application/json""#),
        ("[$headers, $status, $row, $key] | map(type)", r#"["object","number","object","string"]"#),
        (". as {$key} | $key", "9"),
    ];
    all(r#"{"key": 9}"#, known);
}

#[test]
fn numbers_come_out_as_they_went_in() {
    for number in ["1", "1.10", "-0.5e-7", "123456789012345678901234567890", "1e400"] {
        assert_eq!(run(".", number).as_deref(), Ok(number));
        assert_eq!(run(".[0]", format!("[{number}]")).as_deref(), Ok(number));
    }
}

#[test]
fn what_json_has_no_words_for_is_null_or_refused() {
    all("0", &[("nan", "null"), ("[infinite, -infinite]", "[null,null]"), (r#""a" | tobytes"#, r#""a""#)]);
    assert_eq!(failure("{(1, 2): 3}", "0"), "the filter puts out an object with a key that is no string: 1");
    assert!(failure("[255] | tobytes", "0").starts_with("the filter puts out bytes that are no text"));
}

#[test]
fn nan_within_an_object_is_read_as_python_writes_it() {
    all(r#"{"a": NaN, "b": [Infinity, 007.5, +1.5]}"#, &[(".b", "[null,7.5,1.5]"), (".a", "null"), (".b[1]", "7.5")]);
}

#[test]
fn what_is_no_json_is_a_string() {
    for body in ["hello", "", "007", "NaN", "[link](#anchor)", "{a: 1}", "1 2", "# 1"] {
        assert_eq!(run(".", body), Ok(format!("{body:?}")), "{body}");
    }
    assert_eq!(run("@base64", Bytes::from_static(b"\x00\xff")).as_deref(), Ok(r#""AP8=""#));
    assert_eq!(run(".[0]", "\u{feff}[1]").as_deref(), Ok("1"));
}

#[test]
fn an_error_in_the_filter_fails_its_job_in_jqs_words() {
    assert_eq!(failure(".a", "[1]"), r#"cannot index [1] with "a""#);
    assert_eq!(failure(r#"error("no \(.)")"#, "7"), "no 7");
    assert_eq!(failure("error({a: .})", "7"), r#"{"a":7}"#);
    assert_eq!(failure("1, 2, error", "7"), "7");
    assert_eq!(run("try error(1) catch .", "7").as_deref(), Ok("1"));
}

#[test]
fn a_message_is_cut_however_large_its_value() {
    let message = failure(".a", format!("[{}0]", "0,".repeat(1_000_000)));
    assert_eq!(message.chars().count(), 503);
    let message = failure("error", format!("{:?}", "é".repeat(1_000_000)));
    assert_eq!(message, "é".repeat(500) + " ..");
}

#[test]
fn deep_nesting_fails_its_job_wherever_it_comes_from() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert_eq!(run(".", deep(100)), Ok(deep(100)));
    assert_eq!(failure(".", deep(100_000)), "the response nests deeper than 100 levels");
    assert_eq!(run("length", "[".repeat(100_000)).as_deref(), Ok("100000"), "text, not JSON");
    assert_eq!(failure("[.]", deep(100)), "the filter's output nests deeper than 100 levels");
    assert!(failure("reduce range(100000) as $i (.; [.])", "0").contains("deeper than 100 levels"));
    assert!(failure("reduce range(100000) as $i (.; {a: .})", "0").contains("deeper than 100 levels"));
    let inner = format!("{:?}", deep(100_000));
    assert_eq!(failure("fromjson", inner), "cannot parse as JSON: the text nests deeper than 100 levels");
}

#[test]
fn a_number_of_a_million_digits_is_refused_at_once() {
    assert!(failure(".", "9".repeat(1_000_000)).contains("more than 10,000 digits"));
    assert!(failure("tonumber", format!("\"{}\"", "9".repeat(1_000_000))).contains("more than 10,000 digits"));
}

#[test]
fn fromjson_reads_json_and_says_what_it_cannot() {
    all("0", &[(r#""[1] 2" | fromjson"#, "[[1],2]"), (r#""" | [fromjson]"#, "[]"), (r#""3" | tonumber"#, "3")]);
    assert!(failure(r#""[1] x [2]" | fromjson"#, "0").starts_with("cannot parse as JSON"));
    assert_eq!(failure("fromjson", "[1]"), "cannot use [1] as string");
}

#[test]
fn a_large_output_passes_an_endless_one_does_not() {
    let text = "x".repeat(10 << 20);
    assert_eq!(run(".", format!("{text:?}")).map(|json| json.len()), Ok(text.len() + 2));
    assert_eq!(run("range(100000)", "0").map(|json| json.len()), Ok(588_891));
    assert_eq!(failure("repeat(.)", format!("{text:?}")), "the filter puts out more than 64 MiB");
}

#[test]
fn what_reaches_outside_of_the_job_does_not_compile() {
    let outside = [
        "env",
        "$ENV",
        "halt",
        "halt_error",
        "halt_error(1)",
        "halt(1)",
        "input",
        "inputs",
        "input_line_number",
        "input_filename",
        "$__prog_args",
        "$ENV.PATH",
        "env.PATH",
        "[inputs]",
    ];
    for expression in outside {
        assert!(wrong(expression).contains("is not offered: a filter "), "{}", wrong(expression));
    }
    assert!(wrong(r#"import "a" as a; ."#).contains("module loading not supported"));
    assert!(wrong(r#"import "a" as $a; $a"#).contains("data cannot be imported"));
    assert_eq!(run("def env: 1; env", "0").as_deref(), Ok("1"), "a name of one's own is fine");
}

#[test]
fn an_error_of_compiling_points_to_its_place() {
    assert_eq!(
        wrong("{a: .a,\n b: .b | foo(1)}"),
        "the jq filter is wrong in line 2: there is no filter `foo` with 1 argument\n     b: .b | foo(1)}\n             ^^^"
    );
    assert_eq!(
        wrong("map($rwo)"),
        "the jq filter is wrong in line 1: there is no variable `$rwo`; there are $key, $row, $status, $headers\n    \
         map($rwo)\n        ^^^^"
    );
    assert_eq!(
        wrong(".a | if . then 1"),
        "the jq filter is wrong in line 1: expected else or end, found the end\n    .a | if . then 1\n                    ^"
    );
    assert_eq!(
        wrong("[.a, (.b]"),
        "the jq filter is wrong in line 1: expected closing parenthesis for this `(`\n    [.a, (.b]\n         ^"
    );
    assert_eq!(wrong(".a & .b"), "the jq filter is wrong in line 1: `&` has no meaning here\n    .a & .b\n       ^");
    assert!(wrong("").contains("expected term, found the end"));
}

#[test]
fn a_wrong_filter_never_panics_and_shows_only_the_line_around_its_place() {
    let long = format!("{} | nope | {}", ".aé".replace('é', "").repeat(200), ".b".repeat(200));
    let shown = wrong(&long);
    assert!(shown.lines().all(|line| line.chars().count() < 140), "{shown}");
    for expression in [
        "\"",
        "\"\\q\"",
        "\"\\ud800\"",
        "1e",
        "@",
        "$",
        "💣",
        "é",
        ".[",
        "{(",
        "try",
        "reduce",
        "label",
        "0 as",
        "x::y",
        "break $x",
        "\u{0}",
        "if",
        ". as [$a;]",
    ] {
        assert!(wrong(expression).contains("the jq filter is wrong"), "{expression}");
    }
}

#[test]
fn a_filter_is_shared_by_threads_and_named_by_its_hash() {
    fn shared<T: Send + Sync>(_: &T) {}
    let jq = Jq::compile(" . ").expect("a filter");
    shared(&jq);
    assert_eq!(jq.version(), "jq:cdb4ee2aea69");
}
