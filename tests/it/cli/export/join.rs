//! The rows of an input with their answers.

use super::{URL_END, done, server};
use crate::cli::folder::Folder;
use crate::server::{Answer, Asked, Script, Server};

// Seen failing with the reasons left out.
#[test]
fn each_row_stands_once_in_its_order_with_its_answer() {
    let folder = done(&server(), &[1, -1]);
    folder.write(
        "again.csv",
        "note,id\nthe last,-1\nnew,5\nempty,\ntwo fields too,many,here\nfirst,1\n\"first, again\",1\n",
    );
    folder.haul(&["export", "--join", "again.csv", "-o", "out.csv", "--where", "true"]).exits(2);
    folder.haul(&["export", "--join", "again.csv", "-o", "out.csv"]).exits(65).err_is(
        "out.csv: 6 rows\n\
         again.csv: 3 rows with a job, 1 without, 2 rejected\n\
         \x20 line 4: [..]\n\
         \x20 line 5: the row has 3 fields, and there are 2 columns[..]\n",
    );
    let out = std::fs::read_to_string(folder.path("out.csv")).expect("a file");
    let latency =
        out.lines().find(|line| line.starts_with("first,")).and_then(|line| line.split(',').nth(5)).expect("a latency");
    assert_eq!(
        out,
        format!(
            "note,id,haul_state,haul_status_code,haul_error_type,haul_latency_ms,haul_result,result.n,result.deep,result.none\n\
             the last,-1,failed,404,404,,,,,\n\
             new,5,,,,,,,,\n\
             empty,,rejected,,rejected,,,,,\n\
             ,,rejected,,rejected,,,,,\n\
             first,1,succeeded,200,,{latency},,1,\"{{\"\"a\"\":[1,2]}}\",\n\
             \"first, again\",1,succeeded,200,,{latency},,1,\"{{\"\"a\"\":[1,2]}}\",\n"
        )
    );
    let lines = folder.haul(&["export", "--join", "-"]).stdin("id\n1\n9\n").exits(0).out;
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&lines[0]["state"], &lines[0]["row"]), (&"succeeded".into(), &serde_json::json!({"id": "1"})));
    assert_eq!(
        (&lines[1]["state"], &lines[1]["id"], &lines[1]["key"]),
        (&serde_json::Value::Null, &serde_json::Value::Null, &"9".into())
    );
}

// Seen failing with the look-up by key alone: the answer to another question was given.
#[test]
fn a_known_key_with_another_request_has_no_answer() {
    let folder = done(&server(), &[1]);
    let said = folder.haul(&["export", "--join", "n.csv", "--url", "http://127.0.0.1:9/other/{{ id }}"]).exits(65);
    said.err_has("line 2: the key \"1\" is that of job 1, whose request is another").out_has(r#""state":"rejected""#);
}

// Seen failing with `stays` always false, and always true.
#[test]
fn flags_that_changed_leave_an_answer_to_its_row_where_jobs_were_made_anew_and_not_where_rows_were_added() {
    let server = server();
    for (how, code, state) in [("rerender", 0, "succeeded"), ("add", 65, "rejected")] {
        let folder = done(&server, &[1]);
        let url = format!("{}/v2{URL_END}", server.url());
        folder.haul(&["run", "n.csv", "--url", &url, "--on-change", how]).exits(code);
        folder.haul(&["export", "--join", "n.csv"]).exits(code).out_has(&format!(r#""state":"{state}""#));
        folder.write("n.csv", "id,note\n1,another row\n");
        folder.haul(&["export", "--join", "n.csv"]).exits(65).out_has(r#""state":"rejected""#);
    }
}

// Seen failing with equal rows merged whatever the flags say.
#[test]
fn equal_requests_share_an_answer_or_have_one_each() {
    let server = Server::start(Script::new(|asked: &Asked| Answer::json(format!("{{\"nth\":{}}}", asked.nth))));
    for (flag, expected) in [("--merge-duplicates", "1 1"), ("--keep-duplicates", "1 2")] {
        let folder = Folder::with("n.csv", "id\nx\nx\n");
        let url = format!("{}/{{{{ id }}}}?k={flag}", server.url());
        folder.haul(&["run", "n.csv", flag, "--url", &url, "-d", "{{ id }}", "-c", "1"]).exits(0);
        let out = folder.haul(&["export", "--join", "n.csv", flag]).exits(0).out;
        let nth: Vec<_> = out
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                line["result"]["nth"].to_string()
            })
            .collect();
        assert_eq!(nth.join(" "), expected, "{flag}");
    }
}

// Seen failing with the rest of a batch forgotten.
#[test]
fn thousands_of_rows_are_looked_up_in_batches() {
    let folder = Folder::new();
    let rows: String = (0..2_500).map(|n| format!("http://127.0.0.1:9/{n}\n")).collect();
    folder.write("urls.txt", &rows);
    folder.haul(&["import", "urls.txt"]).exits(0);
    let said = folder.haul(&["export", "--join", "urls.txt", "--format", "csv"]).exits(0);
    let mut lines = said.out.lines();
    assert_eq!(lines.next(), Some("url,haul_state,haul_status_code,haul_error_type,haul_latency_ms,haul_result"));
    for (n, line) in lines.enumerate() {
        assert_eq!(line, format!("http://127.0.0.1:9/{n},pending,,,,"));
    }
    assert_eq!(said.err, "urls.txt: 2500 rows with a job, 0 without, 0 rejected\n");
}
