//! Every statement of the store: that it can be prepared, and how SQLite would go about it.
//!
//! The list is the folder, so a new file is covered by being there.

use std::fs;
use std::path::Path;

use haul::settings::Durability;
use haul::store::sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection};
use tempfile::TempDir;

mod large;

/// Tables with a row a job. `SCAN` of one is a statement that grows slow with the table.
const LARGE: [&str; 5] = ["jobs", "requests", "responses", "results", "attempts"];

/// An index as small as the concurrency: to walk it is to look at the jobs in flight.
const SMALL_INDEX: &str = "INDEX jobs_leased";

/// Steps that are slow only where there is much to do, and where there never is: file, step, reason.
const EXCEPTIONS: [(&str, &str, &str); 19] = [
    ("answers/template.sql", "ORDER BY", "sorts a handful of imports, once an export"),
    ("carry_spends.sql", "ORDER BY", "sorts a handful of limits, once a run"),
    ("limits.sql", "ORDER BY", "sorts a handful of limits, where another process has written"),
    ("overview/limits.sql", "ORDER BY", "sorts a handful of limits, for people"),
    ("overview/counts.sql", "GROUP BY", "groups the kept counts: a row a type of failure"),
    ("overview/failures.sql", "GROUP BY", "groups the kept counts: a row a type of failure"),
    ("overview/failures.sql", "ORDER BY", "sorts the types of failures"),
    ("overview/latency.sql", "GROUP BY", "groups the buckets of this run, for people"),
    ("overview/latency.sql", "ORDER BY", "sorts the buckets of this run, for people"),
    ("overview/rate.sql", "GROUP BY", "two groups of buckets, for people"),
    ("history/failed.sql", "GROUP BY", "groups what failed by minute, for a report"),
    ("history/slots.sql", "GROUP BY", "groups the buckets of a span of time, for a report"),
    ("history/spans.sql", "ORDER BY", "sorts the runs, for a report"),
    ("history/runs.sql", "ORDER BY", "sorts the last runs, for a report"),
    ("templates.sql", "DISTINCT", "the request flags that were ever given: a handful"),
    ("columns.sql", "DISTINCT", "the names of the schema, for a better error message"),
    ("columns.sql", "ORDER BY", "the names of the schema, for a better error message"),
    ("functions.sql", "DISTINCT", "the names of SQLite's functions, for a better error message"),
    ("relations.sql", "ORDER BY", "the names of the schema, for a better error message"),
];

/// How jobs are found, where it matters which way.
const WAYS: [(&str, &[&str]); 30] = [
    (
        "claim.sql",
        &[
            "SEARCH jobs USING INDEX jobs_ready (state=? AND due_at_us<?)",
            "SEARCH jobs USING INDEX jobs_ready (state=? AND due_at_us>? AND due_at_us<?)",
            "SEARCH jobs USING INDEX jobs_ready (state=? AND due_at_us=?)",
            "SEARCH j USING INTEGER PRIMARY KEY (rowid=?)",
        ],
    ),
    ("stored/ready.sql", &["SEARCH jobs USING INDEX jobs_ready (state=? AND due_at_us<?)"]),
    ("stored/lease.sql", &["SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("stored/claimed.sql", &["SEARCH j USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("stored/take_up.sql", &["SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("stored/finish_jobs.sql", &["SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("next_due.sql", &["SEARCH jobs USING INDEX jobs_ready (state=?)", "SEARCH jobs USING INDEX jobs_ready (state=?)"]),
    ("next_to_process.sql", &["SEARCH jobs USING INDEX jobs_ready (state=?)"]),
    ("move_due.sql", &["SEARCH jobs USING INDEX jobs_ready (state=? AND due_at_us>?)"]),
    ("leased.sql", &["SEARCH j USING INDEX jobs_leased (run_id>?)"]),
    ("note_interrupted.sql", &["SEARCH jobs USING INDEX jobs_leased (run_id>?)"]),
    ("overview/in_flight.sql", &["SEARCH jobs USING INDEX jobs_leased (run_id>?)"]),
    ("fence.sql", &["SEARCH j USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN"]),
    ("write_jobs.sql", &["SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("lease.sql", &["SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("release.sql", &["SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("accuse.sql", &["SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("standings.sql", &["SEARCH j USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("prune.sql", &["SEARCH j USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("import_requests.sql", &["SEARCH j USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("unsent.sql", &["SEARCH j USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("count_unsent.sql", &["SEARCH jobs USING INDEX jobs_ready (state=?)"]),
    (
        "waits_for_template.sql",
        &["SEARCH j USING INDEX jobs_leased (run_id>?)", "SEARCH j USING INDEX jobs_ready (state=?)"],
    ),
    ("rerender_jobs.sql", &["SEARCH j USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]),
    ("rekey.sql", &["SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("key_holders.sql", &["SEARCH j USING COVERING INDEX sqlite_autoindex_jobs_1 (key=?)"]),
    ("keys_between.sql", &["SEARCH jobs USING COVERING INDEX sqlite_autoindex_jobs_1 (key>? AND key<?)"]),
    ("plan/known.sql", &["SEARCH j USING INDEX sqlite_autoindex_jobs_1 (key=?)"]),
    ("plan/first.sql", &["SEARCH j USING INDEX jobs_ready (state=?)"]),
    ("import_conflicts.sql", &["SEARCH j USING COVERING INDEX sqlite_autoindex_jobs_1 (key=?)"]),
];

/// An empty database with the newest schema, and a connection to it.
struct Schema {
    _dir: TempDir,
    conn: SqliteConnection,
}

impl Schema {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("haul.db");
        SqliteStore::open(&path, Durability::Crash, true).await.expect("a database").close().await.expect("closed");
        let options = SqliteConnectOptions::new().filename(&path).disable_statement_logging();
        Self { conn: options.connect().await.expect("a connection"), _dir: dir }
    }

    /// The steps of SQLite's plan. Parameters are left unbound, as they are when a statement is prepared.
    async fn plan(&mut self, sql: &str) -> Vec<String> {
        plan(&mut self.conn, sql).await
    }
}

async fn plan(conn: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let steps = sqlx::query(explain).fetch_all(conn).await.unwrap_or_else(|e| panic!("{sql}\n{e}"));
    steps.iter().map(|step| step.get("detail")).collect()
}

/// Every statement by its path below the folder of the store.
fn statements() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sqlite");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder of the store") {
            let path = entry.expect("an entry of it").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sql") {
                let name = path.strip_prefix(&root).expect("it is below the root").to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).expect("a readable file")));
            }
        }
    }
    assert!(found.iter().any(|(name, _)| name == "claim.sql"), "found nothing to read");
    found
}

/// What a table is called in a statement: a plan shows that name alone.
fn names_of(table: &str, sql: &str) -> Vec<String> {
    let words: Vec<_> =
        sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect();
    let aliases = words.windows(3).filter(|three| three[0] == table && three[1].eq_ignore_ascii_case("as"));
    aliases.map(|three| three[2].to_owned()).chain([table.to_owned()]).collect()
}

/// The steps that are slow at ten million jobs, or sort.
fn slow<'s>(sql: &str, steps: &'s [String]) -> Vec<&'s String> {
    let large: Vec<_> = LARGE.iter().flat_map(|table| names_of(table, sql)).collect();
    let is_slow = |step: &&String| {
        let scanned = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
        let scans = scanned.is_some_and(|name| large.iter().any(|table| table == name)) && !step.contains(SMALL_INDEX);
        scans || step.contains("TEMP B-TREE") || step.contains("AUTOMATIC")
    };
    steps.iter().filter(is_slow).collect()
}

/// The steps that find jobs.
fn ways<'s>(sql: &str, steps: &'s [String]) -> Vec<&'s str> {
    let jobs = names_of("jobs", sql);
    let finds = |step: &&str| step.split(' ').nth(1).is_some_and(|name| jobs.iter().any(|table| table == name));
    steps.iter().map(String::as_str).filter(finds).collect()
}

#[tokio::test]
async fn no_statement_scans_a_large_table_or_sorts_but_for_a_reason() {
    let mut schema = Schema::new().await;
    let mut needed = Vec::new();
    let mut broken = Vec::new();
    for (name, sql) in statements() {
        let steps = schema.plan(&sql).await;
        for step in slow(&sql, &steps) {
            match EXCEPTIONS.iter().find(|(file, what, _)| *file == name && step.contains(what)) {
                Some(exception) => needed.push(*exception),
                None => broken.push(format!("{name}: {step}")),
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let idle: Vec<_> = EXCEPTIONS.iter().filter(|exception| !needed.contains(exception)).collect();
    assert!(idle.is_empty(), "nobody needs these exceptions: {idle:?}");
}

#[tokio::test]
async fn jobs_are_found_by_the_index_that_was_made_for_it() {
    let mut schema = Schema::new().await;
    let statements = statements();
    for (name, expected) in WAYS {
        let (_, sql) = statements.iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("no {name}"));
        let steps = schema.plan(sql).await;
        assert_eq!(ways(sql, &steps), expected, "{name}");
    }
}

/// The last result of ten million is found as fast as of ten, and a page is read where it begins.
#[tokio::test]
async fn results_are_read_by_the_index_of_their_order() {
    let mut schema = Schema::new().await;
    for (file, expected) in [
        ("result_time.sql", "SEARCH results USING COVERING INDEX results_in_order"),
        ("results.sql", "SEARCH r USING INDEX results_in_order (finished_at_us>?)"),
    ] {
        let statements = statements();
        let (_, sql) = statements.iter().find(|(name, _)| name == file).unwrap_or_else(|| panic!("no {file}"));
        assert_eq!(schema.plan(sql).await[0], expected, "{file}");
    }
}

#[tokio::test]
async fn a_bad_plan_is_seen() {
    let mut schema = Schema::new().await;
    for sql in [
        "SELECT id FROM jobs ORDER BY attempts",
        "SELECT id FROM jobs WHERE run_id IS NOT NULL ORDER BY id",
        "SELECT j.id FROM requests AS r JOIN jobs AS j ON j.id = r.job_id",
        "SELECT id FROM jobs WHERE run_id IS NULL AND state = ?1 AND due_at_us <= ?2 LIMIT 1",
        "SELECT id FROM jobs WHERE run_id IS NULL AND state IN ('pending', 'fetched') ORDER BY state = 'fetched' DESC",
        "SELECT j.id FROM json_each(?1) AS b CROSS JOIN jobs AS j ON j.line = b.value",
        "SELECT DISTINCT output FROM results",
    ] {
        let steps = schema.plan(sql).await;
        assert!(!slow(sql, &steps).is_empty(), "not seen: {sql}: {steps:?}");
    }
    let fence = "SELECT j.state FROM json_each(?1) AS b JOIN jobs AS j \
                 ON j.id = b.value ->> 0 AND j.attempts = b.value ->> 1 AND j.run_id = ?2";
    let steps = schema.plan(fence).await;
    assert!(ways(fence, &steps)[0].contains("jobs_leased"), "SQLite has learnt better: {steps:?}");
}
