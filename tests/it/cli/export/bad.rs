//! What cannot be meant is refused, and nothing is made.

use crate::cli::folder::Folder;

#[test]
fn bad_input_is_refused_with_what_to_write() {
    let folder = Folder::with("n.csv", "id\n1\n2\n");
    let url = ["--url", "http://127.0.0.1:9/{{ id }}"];
    folder.haul(&["import", "n.csv", url[0], url[1]]).exits(0);
    let before = folder.names();
    for (flags, message) in [
        (
            &["--format", "xml"][..],
            "error: invalid value 'xml' for '--format <FORM>': write csv, jsonl or openai-batch\n\nFor more information[..]\n",
        ),
        (
            &["--where", "stat = 1"],
            "error: --where cannot be used\n  because: no such column: stat: did you mean `state`?\n",
        ),
        (
            &["--where", ""],
            "error: --where cannot be used\n  because: the condition is empty; `true` takes every job\n",
        ),
        (
            &["--where", "true) OR (1"],
            "error: --where cannot be used\n  because: the condition closes a parenthesis that it does not open\n",
        ),
        (
            &["--since", "yesterday"],
            "error: invalid value 'yesterday' for '--since <RUN>': write the number of a run; [..]\n\nFor more information[..]\n",
        ),
        (&["--since", "3"], "error: there is no run 3; nothing has run yet ([..])\n"),
        (&["-o", "none/x.csv"], "error: failed to write to none/x.csv: there is no such folder; make it first\n"),
        (&["-o", "."], "error: failed to write to .: it is a folder; name a file\n"),
        (&["-o", "haul.db"], "error: failed to write to haul.db: it is the database; name another file\n"),
        (
            &["--join", "none.csv"],
            "error: failed to open the input none.csv\n  because: No such file or directory (os error 2)\n",
        ),
        (
            &["--join", "n.csv", "--format", "openai-batch"],
            "error: --format openai-batch has no rows to join; write jsonl or csv\n",
        ),
        (
            &["--join", "-", "--format", "csv"],
            "error: --join - cannot be written as CSV, [..] name a file, or write --format jsonl\n",
        ),
        (&["--spreadsheet-safe"], "error: --spreadsheet-safe is about --format csv\n"),
        (&["--bodies", "n.csv"], "error: failed to make the folder n.csv for bodies: File exists (os error 17)\n"),
        (
            &["--join", "n.csv", "--url", "http://h/{{ id"],
            "error: --url \"http://h/{{ id\" cannot be used: syntax error: [..]\n",
        ),
    ] {
        let call: Vec<_> = ["export"].iter().chain(flags).copied().collect();
        let said = folder.haul(&call).exits(2).err_is(message);
        assert_eq!(said.out, "");
    }
    folder.haul(&["export", "--join", "n.csv", "--where", "true"]).exits(2).err_has("cannot be used with");
    assert_eq!(
        before,
        folder
            .names()
            .into_iter()
            .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
            .collect::<Vec<_>>()
    );
    Folder::new().haul(&["export"]).exits(4).err_has("no database at haul.db");
}

// An unknown column is a fault of each row, as it is when they are imported.
#[test]
fn a_template_that_names_an_unknown_column_rejects_each_row_and_says_why() {
    let folder = Folder::with("n.csv", "id\n1\n");
    folder.haul(&["import", "n.csv", "--url", "http://127.0.0.1:9/{{ id }}"]).exits(0);
    let said = folder.haul(&["export", "--join", "n.csv", "--url", "http://h/{{ ide }}", "--format", "csv"]).exits(65);
    said.err_is(
        "n.csv: 0 rows with a job, 0 without, 1 rejected\n\
         \x20 line 2: --url names the column \"ide\", which is none (did you mean \"id\"?); the columns are: id\n",
    )
    .out_is("id,haul_state,haul_status_code,haul_error_type,haul_latency_ms,haul_result\n1,rejected,,rejected,,\n");
}
