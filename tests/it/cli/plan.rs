//! `plan`: what a run would do, without doing it.

use std::time::Duration;

use super::folder::Folder;
use crate::server::{Answer, Asked, Script, Server};

// Seen failing with what is kept aside kept here, and not taken away; without a reason for a key that comes again.
#[test]
fn an_input_is_planned_and_nothing_is_made_or_sent() {
    let server = Server::start(Script::ok());
    let folder = Folder::with("rows.csv", "id,name\n1,a b\n2,b\n2,c\n3,\n");
    let url = format!("{}/{{{{ name }}}}?k={{{{ env('HAUL_TEST_KEY') }}}}", server.url());
    let plan = ["plan", "rows.csv", "--url", &url, "--key", "{{ id }}", "-r", "20/s", "-r", "2/h"];
    folder.haul(&plan).env("HAUL_TEST_KEY", "hunter2").exits(65).err_is("").out_is(&format!(
        "plan for haul.db: nothing is sent, and nothing is changed\n\
         input      rows.csv: 4 rows, 2 new jobs, 2 rejected\n\
         \x20          line 4: key `2` is known with another request; give this row another key, or say [..]\n\
         \x20          line 5: [..]name[..]\n\
         first      GET {0}/a%20b?k={{{{ env(HAUL_TEST_KEY) | urlencode }}}}\n\
         \x20          GET {0}/b?k={{{{ env(HAUL_TEST_KEY) | urlencode }}}}\n\
         to do      2 requests\n\
         limits     20/s + 2/h\n\
         at least   0.1 s\n\
         expected   not known before a trial: `run --limit 20`, then `plan` again\n\
         next: haul run rows.csv --url [..] --key '{{{{ id }}}}' -r 20/s -r 2/h --limit 20\n",
        server.url()
    ));
    folder.haul(&plan).exits(2).err_has("a secret of the request is missing");
    assert_eq!((server.total(), folder.names()), (0, vec!["rows.csv".to_owned()]));
}

#[test]
fn a_credential_of_a_flag_is_not_shown_again() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a\n");
    let said = folder.haul(&["plan", "urls.txt", "-H", "Authorization: Bearer hunter2"]).exits(0);
    assert!(!format!("{said:?}").contains("hunter"), "{said:?}");
    said.out_has("Authorization: {{ given by flag(authorization) }}")
        .out_has("next: the same call with `run` in place");
}

// Seen failing without the look at the keys that are there: two new jobs; without a reason for a key that is known.
#[test]
fn rows_that_are_jobs_already_are_known_and_the_database_stays_as_it_is() {
    let server = Server::start(Script::ok());
    let folder = Folder::with("rows.csv", "id,name\n1,a\n2,b\n");
    let flags = ["--url", &format!("{}/{{{{ name }}}}", server.url()), "--key", "{{ id }}"];
    folder.haul(&[&["import", "rows.csv"], &flags[..]].concat()).exits(0);
    let before = std::fs::read(folder.path("haul.db")).expect("the database");
    folder.write("more.csv", "id,name\n1,a\n2,other\n3,c\n");
    folder
        .haul(&["plan", "more.csv"])
        .exits(65)
        .out_has("more.csv: 3 rows, 1 new jobs, 1 known already, 1 rejected\n")
        .out_has(
            "           line 3: key `2` is known with another request; give this row another key, or say --on-conflict",
        )
        .out_has("first new  GET ");
    let updated = folder.haul(&["plan", "more.csv", "--on-conflict", "update", "--json"]).exits(0).rows();
    assert_eq!((&updated["inputs"][0]["updated"], &updated["to_send"]), (&1.into(), &3.into()));
    folder.haul(&["plan", "more.csv", "--url", "http://127.0.0.1:9/x"]).exits(2).err_has("--on-change rerender");
    folder.haul(&["plan"]).exits(0).out_has("to do      2 requests\n").out_has("next: haul run --limit 20\n");
    assert_eq!(before, std::fs::read(folder.path("haul.db")).expect("the database"), "byte by byte");
    folder.haul(&["run", "more.csv", "--on-conflict", "update"]).exits(0);
    assert_eq!(server.total(), 3, "as the plan had it");
}

#[test]
fn without_an_input_there_must_be_jobs() {
    let folder = Folder::new();
    folder
        .haul(&["plan"])
        .exits(4)
        .err_is("error: no database at haul.db: name an input, `haul plan INPUT`, or a database with --db\n");
    assert!(folder.names().is_empty());
    folder.write("posts.jsonl", &"{\"url\":\"http://127.0.0.1:9/\",\"method\":\"POST\",\"json\":1}\n".repeat(2));
    folder.haul(&["plan", "posts.jsonl"]).exits(2).err_has("--merge-duplicates").out_has("1 new jobs, 1 rejected");
}

/// So long a run takes that is never late.
fn planned(folder: &Folder, flags: &[&str]) -> f64 {
    let plan = folder.haul(&[&["plan", "--json"], flags].concat()).exits(0).rows();
    plan["expected"]["total_s"].as_f64().unwrap_or_else(|| panic!("{plan}"))
}

/// So long it took.
fn took(folder: &Folder, flags: &[&str]) -> f64 {
    let summary = folder.haul(&[&["run", "--json", "--progress", "none"], flags].concat()).exits(0).rows();
    summary["elapsed_s"].as_f64().expect("a time")
}

fn trial(jobs: usize, rate: &str, latency: Duration) -> (Server, Folder) {
    let server = Server::start(Script::ok().latency(latency));
    let urls: String = (0..jobs).map(|n| format!("{}/{n}\n", server.url())).collect();
    let folder = Folder::with("urls.txt", &urls);
    folder.haul(&["run", "urls.txt", "-r", rate, "--limit", "20", "--progress", "none"]).exits(75);
    (server, folder)
}

/// So much else is to be done on this machine that a run is late, whatever was planned.
fn is_busy() -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    load > 4.0 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64
}

// Seen failing on a machine with twenty times the work that it can do: see `is_busy`.
#[test]
fn the_time_that_a_trial_lets_expect_is_that_of_the_run_within_10_percent() {
    for (jobs, rate, latency_ms, flags) in [(60, "10/s", 50, &[][..]), (52, "none", 500, &["-c", "4"][..])] {
        let mut seen = Vec::new();
        let close = (0..4).any(|_| {
            let (_server, folder) = trial(jobs, rate, Duration::from_millis(latency_ms));
            let (expected, took) = (planned(&folder, flags), took(&folder, flags));
            seen.push(format!("{expected} s expected, {took} s taken"));
            assert!(took >= 0.9 * expected, "{rate}: {seen:?}");
            took <= 1.1 * expected || is_busy()
        });
        assert!(close, "{rate}: {seen:?}");
    }
}

// Seen failing with a limit that takes its time where there is none, or nothing to send.
#[test]
fn a_plan_after_a_trial_says_what_is_needed_and_whether_the_sla_can_hold() {
    let (_server, folder) = trial(30, "100/s", Duration::from_millis(100));
    let said = folder.haul(&["plan", "--sla", "2s", "-r", "20/s"]).exits(0);
    said.out_has("measured   fetch    mean 1")
        .out_has("expected   0.")
        .out_has("(the limits set the pace)")
        .out_has(" jobs in flight, ")
        .out_has("SLA        2s can hold: 100.0 % of those measured were in time\n")
        .out_has("next: haul run --sla 2s -r 20/s\n");
    folder.haul(&["plan", "--sla", "50ms"]).exits(0).out_has("SLA        50ms cannot hold: 0.0 %");
    let few = folder.haul(&["plan", "-c", "1", "--rate", "none"]).exits(0);
    few.out_has("(--concurrency sets the pace)").out_has("no limit (--rate sets one)");
    let free = folder.haul(&["plan", "--rate", "none", "--json"]).exits(0).rows();
    assert_eq!((&free["to_send"], &free["expected"]["bound"]), (&10.into(), &"concurrency".into()), "{free}");
    folder.haul(&["run", "--progress", "none"]).exits(0);
    for flags in [&[][..], &["--rate", "none"]] {
        let done = folder.haul(&[&["plan"], flags].concat()).exits(0);
        done.out_has("to do      0 requests; 30 are done\n").out_has("expected   0.0 s\n");
    }
}

// Seen failing with `next` made of the database alone, and with the first word that is like the verb renamed.
#[test]
fn what_to_type_next_is_what_was_planned() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a\n");
    let next = |flags: &[&str], next: &str| folder.haul(flags).exits(0).out_has(&format!("next: {next}\n"));
    let plan = ["--db", "plan", "--log-format", "text", "-q", "plan", "urls.txt"];
    next(&plan, "haul --db plan --log-format text -q run urls.txt --limit 20");
    folder.haul(&["import", "urls.txt"]).exits(0);
    next(&["plan"], "haul run --limit 20");
    let flags = ["--rate", "3/s", "--sla", "1ms", "--concurrency", "1"];
    next(&[&["plan"][..], &flags].concat(), "haul run --rate 3/s --sla 1ms --concurrency 1 --limit 20");
    let other = ["plan", "--url", "http://127.0.0.1:9/other", "--on-change", "rerender"];
    next(&other, "haul run --url http://127.0.0.1:9/other --on-change rerender --limit 20");
    let secret = folder.haul(&[&other[..], &["-H", "Authorization: Bearer hunter2"]].concat()).exits(0);
    assert!(!format!("{secret:?}").contains("hunter"), "{secret:?}");
    secret.out_has("next: the same call with `run` in place of `plan` --limit 20\n");
}

#[test]
fn what_processing_takes_is_in_the_plan() {
    let server = Server::start(Script::new(|_: &Asked| Answer::json("1".to_owned())));
    let urls: String = (0..30).map(|n| format!("{}/{n}\n", server.url())).collect();
    let folder = Folder::with("urls.txt", &urls);
    let slow = [
        "--process",
        "cmd:sh -c 'while read -r l; do sleep 0.1; id=${l#*:}; echo \"{\\\"id\\\":${id%%,*},\\\"output\\\":1}\"; done'",
    ];
    folder.haul(&[&["run", "urls.txt", "-r", "20/s", "--threads", "4", "--limit", "20"], &slow[..]].concat()).exits(75);
    let plan = folder.haul(&["plan", "--json", "--threads", "1"]).exits(0).rows();
    let expected = &plan["expected"];
    assert!(expected["cores"].as_f64().expect("cores") > 1.9, "{plan}");
    assert_eq!((&expected["bound"], &plan["cores"]), (&"cpu".into(), &1.into()), "{plan}");
}
