use serde_json::json;

use super::*;
use crate::process::tests::{job, response};

/// A command with these settings that runs a script of the shell.
fn shell(script: &str, settings: &Settings) -> Command {
    Command::start(&format!("sh -c '{script}'"), settings).expect("a program")
}

fn quick() -> Settings {
    Settings { process_timeout: std::time::Duration::from_millis(300), ..Settings::default() }
}

fn long() -> Settings {
    Settings { process_timeout: std::time::Duration::from_secs(60), ..Settings::default() }
}

/// What a script comes to on one job, whose id is 0.
fn said(script: &str) -> Result<String, String> {
    shell(script, &long()).run(&response("{}"), &job()).map_err(|failure| failure.message)
}

// Seen failing with an `output` of null taken for none.
#[test]
fn an_output_is_taken_word_for_word() {
    for output in ["{\"b\": 1.10, \"a\":[]}", "null", "\"ü\"", "123456789012345678901234567890"] {
        assert_eq!(
            said(&format!("read -r job; echo \"{{\\\"id\\\":0,\\\"output\\\":{}}}\"", output.replace('"', "\\\"")))
                .as_deref(),
            Ok(output)
        );
    }
}

#[test]
fn a_program_is_asked_with_all_there_is_of_a_job() {
    let work = shell("while read -r job; do echo \"{\\\"id\\\":0,\\\"output\\\":$job}\"; done", &long());
    let job = job().header("x-a", "1").body("b\"ü");
    let asked: serde_json::Value =
        serde_json::from_str(&work.run(&response("{\"x\": 1}"), &job).expect("an output")).expect("JSON");
    let request = json!({"method": "GET", "url": "http://x/", "headers": {"x-a": "1"}, "body": "b\"ü"});
    let expected = json!({"id": 0, "key": "a1", "attempt": 0, "status_code": 200,
        "headers": {"content-type": "application/json"}, "body": "{\"x\": 1}", "row": {"city": "Bern", "n": 3}, "request": request});
    assert_eq!(asked, expected);
    let asked: serde_json::Value =
        serde_json::from_str(&work.run(&response(&b"\xff\0"[..]), &job).expect("an output")).expect("JSON");
    assert_eq!((&asked["body_base64"], asked.get("body")), (&json!("/wA="), None));
}

// Seen failing with any id taken for the right one.
#[test]
fn what_is_no_answer_fails_the_job_with_what_was_said() {
    let answering =
        |line: &str| said(&format!("read -r job; echo \"{}\"", line.replace('"', "\\\""))).expect_err("no answer");
    for (line, message) in [
        ("Loading ..", "the program put out a line that is no answer (expected value at line 1 column 1): Loading .."),
        (r#"{"id":1,"output":1}"#, "the program answered job 1 when it was asked about job 0"),
        (r#"{"output":1}"#, r#"the program put out a line without an id: {"output":1}"#),
        (r#"{"id":0}"#, r#"the program put out an answer without output or error: {"id":0}"#),
        (
            r#"{"id":0,"output":NaN}"#,
            r#"the program put out a line that is no answer (expected value at line 1 column 18): {"id":0,"output":NaN}"#,
        ),
        (
            r#"{"id":0,"error":"x","retry":"twice"}"#,
            "the program asked for a retry of `twice`; there are fetch and process",
        ),
    ] {
        assert_eq!(answering(line), message);
    }
    let deep = format!("{{\"id\":0,\"output\":{}{}}}", "[".repeat(101), "]".repeat(101));
    assert!(answering(&deep).starts_with("the program put out a line that nests deeper than 100 levels"));
    assert!(said(r#"read -r job; printf "\377\n""#).expect_err("no text").contains("no UTF-8"));
}

// Seen failing without the second copy: the next job had the blame.
#[test]
fn a_copy_that_ends_after_its_answer_is_not_the_next_jobs_doing() {
    let work = shell("read -r job; echo \"{\\\"id\\\":0,\\\"output\\\":1}\"", &long());
    for _ in 0..20 {
        assert_eq!(work.run(&response("{}"), &job()).map_err(|failure| failure.message).as_deref(), Ok("1"));
    }
}

#[test]
fn an_error_is_for_good_unless_it_asks_for_a_retry() {
    for (retry, verdict) in [
        ("", Verdict::Permanent),
        (",\"retry\":null", Verdict::Permanent),
        (",\"retry\":\"process\"", Verdict::Transient),
        (",\"retry\":\"fetch\"", Verdict::Refetch),
    ] {
        let line = format!("{{\"id\":0,\"error\":\"no city\"{retry}}}").replace('"', "\\\"");
        let work = shell(&format!("read -r job; echo \"{line}\""), &long());
        let failure = work.run(&response("{}"), &job()).expect_err("an error");
        assert_eq!(failure, Failure::new(ErrorType::PROCESS_ERROR, verdict, "no city"));
    }
}

// Seen failing with the last words put before how it ended.
#[test]
fn a_program_that_ends_is_quoted_and_the_next_job_gets_a_new_one() {
    assert_eq!(said("exit 3"), Err("the program ended with exit code 3 before it answered".to_owned()));
    let last = "the program ended with exit code 1 before it answered; it said last: ValueError: bad";
    assert_eq!(
        said("read -r job; echo; echo ValueError: bad >&2; echo >&2; exit 1").expect_err("no answer").split(';').next(),
        Some("the program put out a line that is no answer (EOF while parsing a value at line 1 column 0): ")
    );
    assert_eq!(said("read -r job; echo ValueError: bad >&2; echo >&2; exit 1"), Err(last.to_owned()));
    assert_eq!(said("kill -9 $$"), Err("the program was killed by signal 9 before it answered".to_owned()));
    assert_eq!(said("exec >&- <&- 2>&-; sleep 60"), Err("the program closed its pipes before it answered".to_owned()));
    // It answers one job, and ends when it is asked about another: which a new copy is asked about.
    let work = shell("read -r job; echo \"{\\\"id\\\":0,\\\"output\\\":1}\"; read -r job; exit 7", &long());
    let outcomes: Vec<_> = (0..4).map(|_| work.run(&response("{}"), &job()).is_ok()).collect();
    assert_eq!(outcomes, [true; 4]);
}

// Seen failing with the program alone killed: its child went on.
#[test]
fn what_takes_too_long_is_killed_with_all_it_started() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let script =
        format!("trap \"\" TERM INT HUP; sleep 61 & echo $! > {}; while :; do wait; done", file.path().display());
    let work = shell(&script, &quick());
    let failure = work.run(&response("{}"), &job()).expect_err("no answer");
    assert_eq!((failure.error_type, failure.verdict), (ErrorType::PROCESS_TIMEOUT, Verdict::Permanent));
    assert_eq!(
        failure.message,
        "no answer of the program within 300ms (--process-timeout); it was killed, and is started anew"
    );
    let child: u32 = std::fs::read_to_string(file.path()).expect("written").trim().parse().expect("a number");
    let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    let gone = || state().rsplit(')').next().is_some_and(|rest| rest.is_empty() || rest.starts_with(" Z"));
    let clock = Clock::start();
    let ends_us = clock.now_us() + 10 * SECOND_US;
    while !gone() {
        assert!(clock.now_us() < ends_us, "it goes on: {}", state());
    }
}

// Seen failing with stderr left unread while the answer was waited for.
#[test]
fn a_body_of_many_megabytes_goes_in_and_out_while_stderr_is_flooded() {
    let body = "x".repeat(9 << 20);
    let script =
        "yes noise | head -c 3000000 >&2; printf \"{\\\"id\\\":0,\\\"output\\\":\"; head -n 1 | tr \"\\n\" \"}\"; echo";
    let output = shell(script, &long()).run(&response(body.clone()), &job()).expect("an output");
    let output: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(output["body"], json!(body));
}

#[test]
fn a_line_without_an_end_is_too_long() {
    assert_eq!(said("yes | tr -d \"\\n\""), Err("the program put out a line of more than 16 MiB".to_owned()));
    // It never reads, and says much: neither pipe holds the other up.
    let early = said("while :; do echo y; done").expect_err("out of turn");
    assert!(early.ends_with(": y"), "{early}");
    let work = shell("sleep 62", &quick());
    let failure = work.run(&response("x".repeat(9 << 20)), &job()).expect_err("it does not read");
    assert_eq!(failure.error_type, ErrorType::PROCESS_TIMEOUT);
}

// Seen failing with the program alone looked for on the pipes: its child held them for a minute.
#[test]
fn a_program_that_leaves_its_pipes_to_a_child_has_ended() {
    assert_eq!(said("sleep 63 & exit 4"), Err("the program ended with exit code 4 before it answered".to_owned()));
}

// Seen failing with the whole environment given on.
#[test]
fn a_program_sees_the_variables_it_is_given_and_no_others() {
    let settings = Settings { pass_env: vec!["CARGO_PKG_NAME".to_owned()], ..long() };
    let names = "read -r job; n=$(env | sed \"s/=.*//\" | sort | tr \"\\n\" \" \"); echo \"{\\\"id\\\":0,\\\"output\\\":\\\"$n\\\"}\"";
    let seen = shell(names, &settings).run(&response("{}"), &job()).expect("an output");
    let known = ["CARGO_PKG_NAME", "HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "VIRTUAL_ENV", "_"]; // three of the shell's own
    let seen: Vec<_> = seen.trim_matches('"').split_whitespace().map(str::to_owned).collect();
    assert!(seen.iter().all(|name| known.contains(&name.as_str())) && seen.contains(&known[0].to_owned()), "{seen:?}");
    let missing = Settings { pass_env: vec!["HAUL_NO_SUCH".to_owned()], ..long() };
    let error = Command::start("sh", &missing).err().expect("refused").to_string();
    assert_eq!(
        error,
        "--pass-env HAUL_NO_SUCH: it is not set; set it, or give other names (`--pass-env none` gives none)"
    );
}

// Seen failing without `hide`.
#[test]
fn a_value_that_a_program_is_given_stands_in_no_message() {
    let settings = Settings { pass_env: vec!["CARGO_MANIFEST_DIR".to_owned()], ..long() };
    let message = |script| shell(script, &settings).run(&response("{}"), &job()).expect_err("an error").message;
    let error = "read -r job; echo \"{\\\"id\\\":0,\\\"error\\\":\\\"no $CARGO_MANIFEST_DIR\\\"}\"";
    assert_eq!(message(error), "no env(CARGO_MANIFEST_DIR)");
    assert!(message("echo $CARGO_MANIFEST_DIR >&2; exit 1").ends_with("it said last: env(CARGO_MANIFEST_DIR)"));
}

// Seen failing with the version made of the words alone.
#[test]
fn another_script_is_another_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("a.sh");
    let version = |text: &str| {
        std::fs::write(&script, text).expect("written");
        Command::start(&format!("sh {}", script.display()), &long()).expect("a program").version().to_owned()
    };
    let (one, other) = (version("exit 1"), version("exit 2"));
    assert!(one != other && one == version("exit 1") && one.len() == 16, "{one} {other}");
    assert_ne!(
        Command::start("sh -u", &long()).expect("a program").version(),
        Command::start("sh", &long()).expect("a program").version()
    );
}

#[test]
fn what_cannot_be_run_is_refused_with_what_may_be_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("work.py"), "pass").expect("written");
    let script = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(at(name), text).expect("written");
        std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o755)).expect("changed");
    };
    script("lost.py", "#!/no/such/python\n");
    script("bare", "\u{1}");
    let refused = |line: &str| Command::start(line, &long()).err().expect("refused").to_string();
    assert_eq!(refused(" "), "it names no program; write cmd:PROG ARGS, as in cmd:python3 process.py");
    assert_eq!(refused("shh x"), "there is no program `shh` in PATH: did you mean `sh`?");
    assert_eq!(refused("qqxxyyzzqq"), "there is no program `qqxxyyzzqq` in PATH");
    let (work, wokr) = (at("work.py"), at("wokr.py"));
    assert_eq!(refused(&wokr), format!("there is no program {wokr}: did you mean `work.py`?"));
    assert_eq!(
        refused(&work),
        format!("{work} may not be executed; `chmod +x {work}`, or name what runs it, as in cmd:python3 {work}")
    );
    assert!(refused(&at("lost.py")).ends_with("what its first line (#!) names is not there"));
    assert!(refused(&at("bare")).ends_with("does its first line (#!) say what runs it?"), "{}", refused(&at("bare")));
}

// Seen failing with programs that are asked left out of `end`.
#[test]
fn the_end_is_the_end_of_all_programs() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let patient = format!("read -r job; echo begun > {}; sleep 64", file.path().display());
    let work = std::sync::Arc::new(shell(&patient, &long()));
    let asked = work.clone();
    let asking = std::thread::spawn(move || asked.run(&response("{}"), &job()));
    while std::fs::read_to_string(file.path()).expect("a file").is_empty() {
        std::thread::yield_now();
    }
    work.end();
    let failure = asking.join().expect("it came back").expect_err("killed");
    assert_eq!(failure.message, "the program was killed by signal 9 before it answered");
    assert_eq!(work.run(&response("{}"), &job()).expect_err("over").verdict, Verdict::Transient);
    // An idle one hears of it, and may still say something.
    let polite = format!("while read -r job; do :; done; echo over > {}", file.path().display());
    drop(shell(&polite, &long()));
    assert_eq!(std::fs::read_to_string(file.path()).expect("a file"), "over\n");
    // One that does not listen is not waited for long.
    let clock = Clock::start();
    let began_us = clock.now_us();
    drop(shell("trap \"\" TERM; while :; do sleep 65; done", &long()));
    assert!(clock.now_us() - began_us < 10 * SECOND_US);
}
