//! The database in the tools that people use, where they are there: the real programs read it, with names and types that say
//! what they are. `python3 -m venv tools && tools/bin/pip install -r tests/tools.txt`, and `tools/bin` first in PATH.

use super::folder::{Folder, Said};
use crate::processing::has;
use crate::server::{Answer, Asked, Script, Server};

fn folder() -> Folder {
    let server = Server::start(Script::new(|asked: &Asked| match asked.target.as_str() {
        "/2" => Answer::status(404),
        _ => Answer::json(r#"{"city":"São Paulo"}"#),
    }));
    let folder = Folder::with("urls.txt", &(0..3).map(|n| format!("{}/{n}\n", server.url())).collect::<String>());
    folder.haul(&["run", "urls.txt", "--sla", "60s"]).exits(3);
    folder
}

/// Says what a tool says of the database, which it cannot change.
#[track_caller]
fn ask(folder: &Folder, line: &str) -> Said {
    let before = std::fs::read(folder.path("haul.db")).expect("the database");
    let said = folder.shell(line).env("HOME", &folder.path("").display().to_string()).exits(0);
    assert!(before == std::fs::read(folder.path("haul.db")).expect("the database"), "it is what it was");
    said
}

#[test]
fn the_shell_of_sqlite_reads_it() {
    if has("sqlite3") {
        let folder = folder();
        let sql =
            "SELECT count(*), min(typeof(latency_ms)), min(status_code), substr(min(started_at), 1, 2) FROM job_view";
        ask(&folder, &format!("sqlite3 -readonly haul.db \"{sql}\"")).out_is("3|null|200|20\n");
        ask(&folder, "sqlite3 -readonly haul.db 'SELECT result FROM job_view WHERE id = 1'")
            .out_is("{\"city\":\"São Paulo\"}\n");
        ask(&folder, "sqlite3 -readonly haul.db .schema")
            .out_has("-- identity: importing the same key again adds nothing");
    }
}

#[test]
fn datasette_shows_tables_and_views() {
    if has("datasette") {
        let folder = folder();
        let rows = ask(&folder, "datasette haul.db --get '/haul/failures.json?_shape=array'").rows();
        assert_eq!(rows[0]["error_type"], "404");
        let rows = ask(&folder, "datasette haul.db --get '/haul/job_view.json?_shape=array&state=succeeded'").rows();
        assert_eq!((rows.as_array().map(Vec::len), &rows[0]["status_code"]), (Some(2), &200.into()));
        ask(&folder, "datasette haul.db --get /haul/jobs").out_has("finished_at_us");
    }
}

#[test]
fn sqlite_utils_reads_rows_and_schema() {
    if has("sqlite-utils") {
        let folder = folder();
        let rows = ask(&folder, "sqlite-utils rows haul.db job_view -c key -c state -c latency_ms").rows();
        assert!(rows[0]["latency_ms"].is_f64() && rows[0]["state"] == "succeeded", "{rows}");
        let tables = ask(&folder, "sqlite-utils tables haul.db --counts").rows();
        assert!(tables.as_array().is_some_and(|tables| tables.iter().any(|t| t["table"] == "jobs" && t["count"] == 3)));
    }
}

/// Whether Python has this module.
fn python_has(folder: &Folder, module: &str) -> bool {
    has("python3") && folder.shell(&format!("python3 -c 'import {module}'")).ends().0 == Some(0)
}

#[test]
fn pandas_has_columns_of_the_right_type() {
    let folder = folder();
    if python_has(&folder, "pandas") {
        folder.write(
            "t.py",
            "import sqlite3, pandas\n\
             c = sqlite3.connect('file:haul.db?mode=ro', uri=True)\n\
             d = pandas.read_sql('SELECT * FROM job_view', c, parse_dates=['started_at'])\n\
             print(len(d), d.latency_ms.dtype, d.status_code.dtype, d.started_at.dtype.kind)\n",
        );
        ask(&folder, "python3 t.py").out_is("3 float64 int64 M\n");
    }
}

#[test]
fn duckdb_attaches_it() {
    let folder = folder();
    if python_has(&folder, "duckdb") && python_has(&folder, "duckdb_extension_sqlite_scanner") {
        folder.write(
            "t.py",
            "import duckdb\n\
             from duckdb_extensions import import_extension\n\
             import_extension('sqlite_scanner')\n\
             c = duckdb.connect()\n\
             c.execute(\"LOAD sqlite_scanner; ATTACH 'haul.db' AS haul (TYPE sqlite, READ_ONLY)\")\n\
             print(c.execute('SELECT state, count(*) FROM haul.jobs GROUP BY 1 ORDER BY 1').fetchall())\n\
             print(c.execute('SELECT typeof(max(latency_us)), typeof(max(error_type)), count(job_id) FROM haul.attempts').fetchall())\n\
             print(c.execute('SELECT avg(latency_ms::DOUBLE) > 0 FROM haul.job_view').fetchall())\n",
        );
        ask(&folder, "python3 t.py")
            .out_is("[('failed', 1), ('succeeded', 2)]\n[('BIGINT', 'VARCHAR', 3)]\n[(True,)]\n");
    }
}
