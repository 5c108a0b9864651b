//! Questions and the forms of answers.

use super::folder::Folder;

fn folder() -> Folder {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a,b\nhttp://127.0.0.1:9/%22c%22\n");
    folder.haul(&["import", "urls.txt", "--key", "{{ url[-3:] }}"]).exits(0);
    folder
}

const SQL: &str = "SELECT id, key, NULL AS none FROM jobs ORDER BY id";

#[test]
fn an_answer_comes_in_the_form_that_is_asked_for() {
    let folder = folder();
    let json = "[\n{\"id\":1,\"key\":\"a,b\",\"none\":null},\n{\"id\":2,\"key\":\"%22\",\"none\":null}\n]\n";
    let table = "┌─────────────────┐\n│ id   key   none │\n[..]\n│  1   a,b        │\n│  2   %22        │\n[..]\n";
    for (form, expected) in [
        ("--json", json),
        ("--nl", "{\"id\":1,\"key\":\"a,b\",\"none\":null}\n{\"id\":2,\"key\":\"%22\",\"none\":null}\n"),
        ("--csv", "id,key,none\n1,\"a,b\",\n2,%22,\n"),
        ("--tsv", "id\tkey\tnone\n1\ta,b\t\n2\t%22\t\n"),
        ("--table", table),
    ] {
        folder.haul(&["query", form, SQL]).exits(0).err_is("").out_is(expected);
    }
    folder.haul(&["query", SQL]).exits(0).out_is(json);
}

#[test]
fn values_are_given_by_name() {
    let folder = folder();
    let sql = "SELECT id FROM jobs WHERE key = :key OR key = $other";
    folder.haul(&["query", "--tsv", sql, "-p", "key", "%22", "-p", "other", "-1"]).exits(0).out_is("id\n2\n");
}

#[test]
fn the_statement_comes_from_a_file_or_from_standard_input() {
    let folder = folder();
    folder.write("count.sql", "SELECT count(*) AS n FROM jobs;\n");
    folder.haul(&["query", "--csv", "@count.sql"]).exits(0).out_is("n\n2\n");
    folder.haul(&["query", "--csv", "-"]).stdin("SELECT count(*) AS n FROM jobs").exits(0).out_is("n\n2\n");
}

#[test]
fn a_statement_that_is_wrong_or_writes_is_wrong_usage() {
    let folder = folder();
    folder.haul(&["query", "SELEC 1"]).exits(2).err_has("near \"SELEC\": syntax error");
    folder.haul(&["query", "SELECT ky FROM jobs"]).exits(2).err_has("key");
    folder.haul(&["query", "DELETE FROM jobs"]).exits(2).err_has("only reading is allowed here");
}
