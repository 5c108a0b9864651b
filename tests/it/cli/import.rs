//! Rows become jobs, or say why not.

use super::folder::Folder;

const CITIES: &str = "id,city\n1,Berlin\n2,\n3,Rome\n";
const URL: &str = "http://127.0.0.1:9/{{ id }}/{{ city }}";

#[test]
fn good_lines_become_jobs_and_bad_ones_say_why_not() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a\n\n# a comment\nftp://h/\nhttp://h/a b\n");
    folder
        .haul(&["import", "urls.txt"])
        .exits(65)
        .err_is(
            "urls.txt: 3 rows, 1 new jobs, 2 rejected\n\
             \x20 line 4: [..]http[..]\n\
             \x20 line 5: the URL \"http://h/a b\" holds ' '; in a URL it is percent-encoded\n\
             \x20 all of them: haul query 'SELECT line, reason, text FROM rejected'\n",
        )
        .out_is("haul.db: 1 jobs\nnext: haul run\n");
}

#[test]
fn good_rows_of_csv_become_jobs_and_bad_ones_say_why_not() {
    let folder = Folder::with("cities.csv", CITIES);
    folder
        .haul(&["import", "cities.csv", "--url", URL, "--key", "{{ id }}"])
        .exits(65)
        .err_is(
            "cities.csv: 3 rows, 2 new jobs, 1 rejected\n\
             \x20 line 3: the path of --url needs a value and \"city\" is empty; `| default(..)` gives it one\n\
             \x20 all of them: haul query 'SELECT line, reason, text FROM rejected'\n",
        )
        .out_is("haul.db: 2 jobs\nnext: haul run\n");
    folder.haul(&["query", "--tsv", "SELECT line, text FROM rejected"]).exits(0).out_is("line\ttext\n3\t2,\n");
    folder.haul(&["query", "--tsv", "SELECT key, line FROM jobs"]).exits(0).out_is("key\tline\n1\t2\n3\t4\n");
}

#[test]
fn the_command_that_shows_the_rejected_rows_names_the_database_and_works() {
    let folder = Folder::with("urls.txt", "http://h/a b\n");
    let said = folder.haul(&["--db", "it's mine.db", "import", "urls.txt"]).exits(65);
    let command = said.err.split("all of them: ").nth(1).expect("a command").trim();
    assert_eq!(command, r"haul --db 'it'\''s mine.db' query 'SELECT line, reason, text FROM rejected'");
    folder.shell(command).exits(0).out_has(r#""text":"http://h/a b""#);
}

#[test]
fn an_unknown_column_is_named_with_the_columns_and_the_near_one() {
    let folder = Folder::with("cities.csv", "id,city\n1,Berlin\n");
    folder
        .haul(&["import", "cities.csv", "--url", "http://h/{{ cty }}"])
        .exits(65)
        .err_has("names the column \"cty\", which is none (did you mean \"city\"?); the columns are: city, id");
}

#[test]
fn an_input_that_cannot_be_read_is_said_before_a_database_is_made() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("sub")).expect("a folder");
    std::fs::write(folder.path("utf32.csv"), b"\xff\xfe\0\0i\0\0\0").expect("a file");
    for (input, why) in [
        ("none.csv", "error: failed to open the input none.csv\n  because: No such file or directory"),
        ("sub", "error: failed to open the input sub\n  because: is a directory"),
        ("utf32.csv", "it is UTF-32; convert it to UTF-8"),
    ] {
        for verb in ["import", "run"] {
            folder.haul(&[verb, input, "--url", URL]).exits(2).err_has(why);
        }
    }
    assert_eq!(folder.names(), ["sub", "utf32.csv"]);
}

#[test]
fn an_input_without_a_row_says_so() {
    let folder = Folder::with("empty.csv", "");
    folder.write("header.csv", "id,city\n");
    folder.write("empty.txt", "\n\n");
    for input in ["empty.csv", "header.csv", "empty.txt"] {
        folder
            .haul(&["import", input, "--url", URL])
            .exits(0)
            .err_is(&format!(
                "{input}: 0 rows, 0 new jobs\n  it is empty, or has a header and nothing below it; [..]\n"
            ))
            .out_is("haul.db: 0 jobs\nnext: haul import INPUT\n");
    }
}

#[test]
fn the_same_input_again_adds_nothing_and_what_is_new_in_it_is_added() {
    let folder = Folder::with("cities.csv", "id,city\n1,Berlin\n2,Rome\n");
    let import = ["import", "cities.csv", "--url", URL];
    folder.haul(&import).exits(0).err_is("cities.csv: 2 rows, 2 new jobs\n");
    folder.haul(&import).exits(0).err_is("cities.csv: 2 rows, 0 new jobs, 2 known already\n");
    folder.write("cities.csv", "id,city\n2,Rome\n1,Berlin\n3,Oslo\n");
    folder
        .haul(&import)
        .exits(0)
        .err_is("cities.csv: 3 rows, 1 new jobs, 2 known already\n")
        .out_is("haul.db: 3 jobs\nnext: haul run\n");
}

#[test]
fn standard_input_is_read_in_both_formats() {
    let folder = Folder::new();
    folder.haul(&["import", "-"]).stdin("http://127.0.0.1:9/a\n").exits(0).err_is("-: 1 rows, 1 new jobs\n");
    let csv = ["import", "-", "--url", URL, "--on-change", "add"];
    folder.haul(&csv).stdin("id,city\n1,Oslo\n").exits(0).err_is("-: 1 rows, 1 new jobs\n");
}

// Seen to fail when the whole URL had to be good: the line then was taken for the header of a CSV without rows.
#[test]
fn lines_are_known_by_how_the_first_begins_even_when_it_is_bad() {
    let folder = Folder::with("urls", "http://h/a b\nhttp://127.0.0.1:9/a\n");
    folder.haul(&["import", "urls"]).exits(65).err_has("urls: 2 rows, 1 new jobs, 1 rejected\n  line 1: the URL");
    folder.haul(&["import", "-"]).stdin("  HTTPS://h/a b\n").exits(65).err_has("-: 1 rows, 0 new jobs, 1 rejected");
}

#[test]
fn equal_requests_that_may_do_harm_are_the_users_decision() {
    let folder = Folder::with("rows.csv", "id\n1\n1\n");
    let import = ["import", "rows.csv", "--url", "http://127.0.0.1:9/", "-d", "{{ id }}"];
    folder.haul(&import).exits(2).err_has("say --merge-duplicates (one job), --keep-duplicates (a job each)");
}
