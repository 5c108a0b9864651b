//! What the schema says, and what it forbids.

use sqlx::{AssertSqlSafe, Row};

use super::{folder, open, plain};

/// Rows that every forbidden statement may lean on: an import, a run, a job in each state.
const GROUND: &str = "
    INSERT INTO imports (id, source, started_at_us) VALUES (1, 'a.csv', 0);
    INSERT INTO runs (id, started_at_us, heartbeat_at_us, host, pid, version, settings) VALUES (1, 0, 0, '', 1, '', '{}');
    INSERT INTO jobs (id, key, import_id, line, created_at_us) VALUES (1, 'pending', 1, 1, 0);
    INSERT INTO jobs (id, key, import_id, line, created_at_us, state) VALUES (2, 'fetched', 1, 1, 0, 'fetched');
    INSERT INTO jobs (id, key, import_id, line, created_at_us, state, finished_at_us)
        VALUES (3, 'succeeded', 1, 1, 0, 'succeeded', 1), (4, 'cancelled', 1, 1, 0, 'cancelled', 1);
    INSERT INTO jobs (id, key, import_id, line, created_at_us, state, finished_at_us, error_type, error_message)
        VALUES (5, 'failed', 1, 1, 0, 'failed', 1, 'timeout', 'no answer');
    INSERT INTO attempts (job_id, attempt, run_id) VALUES (1, 1, 1);
    INSERT INTO results (job_id, attempt, output, processor, finished_at_us) VALUES (3, 1, '1', 'none', 1);
    INSERT INTO limits (name, permits, window_us, jitter_us) VALUES ('20/s', 20, 1000000, 0);
    INSERT INTO spends (limit_name, until_us, permits) VALUES ('20/s', 1, 1);
    INSERT INTO minutes (minute_at_us, stage, up_to_us, n, late, failed) VALUES (0, 'fetch', 1, 1, 0, 0);
    INSERT INTO counts (state, n) VALUES ('pending', 1);";

/// What must not be: a sentence, and a statement that would make it true.
const FORBIDDEN: [(&str, &str); 45] = [
    ("a state of another name", "UPDATE jobs SET state = 'running' WHERE id = 1"),
    ("a job without a key", "UPDATE jobs SET key = '' WHERE id = 1"),
    ("two jobs of one key", "UPDATE jobs SET key = 'fetched' WHERE id = 1"),
    ("a line before the first", "UPDATE jobs SET line = 0 WHERE id = 1"),
    ("fewer than no attempts", "UPDATE jobs SET attempts = -1 WHERE id = 1"),
    ("fewer than no failures", "UPDATE jobs SET failures = -1 WHERE id = 1"),
    ("fewer than no answers", "UPDATE jobs SET generation = -1 WHERE id = 1"),
    ("fewer than no crashes", "UPDATE jobs SET crashes = -1 WHERE id = 1"),
    ("text for a number", "UPDATE jobs SET due_at_us = 'soon' WHERE id = 1"),
    ("a lease on what succeeded", "UPDATE jobs SET run_id = 1 WHERE id = 3"),
    ("a lease on what was cancelled", "UPDATE jobs SET run_id = 1 WHERE id = 4"),
    ("a lease on what failed", "UPDATE jobs SET run_id = 1 WHERE id = 5"),
    ("a pending job that finished", "UPDATE jobs SET finished_at_us = 1 WHERE id = 1"),
    ("a fetched job that finished", "UPDATE jobs SET finished_at_us = 1 WHERE id = 2"),
    ("a success that never finished", "UPDATE jobs SET finished_at_us = NULL WHERE id = 3"),
    ("a failure that never finished", "UPDATE jobs SET finished_at_us = NULL WHERE id = 5"),
    ("an error without a message", "UPDATE jobs SET error_type = 'timeout' WHERE id = 1"),
    ("a message without an error", "UPDATE jobs SET error_message = 'no answer' WHERE id = 1"),
    ("a failure without an error", "UPDATE jobs SET error_type = NULL, error_message = NULL WHERE id = 5"),
    ("a success with an error", "UPDATE jobs SET error_type = 'timeout', error_message = '' WHERE id = 3"),
    ("a job done again that is not to be done", "UPDATE jobs SET was = 'succeeded' WHERE id = 1"),
    ("a job done again that was never done", "UPDATE jobs SET was = 'pending' WHERE id = 2"),
    ("headers that are no JSON", "INSERT INTO requests (job_id, method, url, headers) VALUES (1, 'GET', '', 'a: b')"),
    ("a row that is no JSON", "INSERT INTO requests (job_id, method, url, row) VALUES (1, 'GET', '', 'a,b')"),
    ("attempt number none", "INSERT INTO attempts (job_id, attempt, run_id) VALUES (1, 0, 1)"),
    ("an attempt twice", "INSERT INTO attempts (job_id, attempt, run_id) VALUES (1, 1, 1)"),
    ("a failed attempt without a message", "UPDATE attempts SET error_type = 'timeout'"),
    ("an attempt that ended before it began", "UPDATE attempts SET fetch_us = -1"),
    ("an SLA that was kept a little", "UPDATE attempts SET within_sla = 2"),
    ("a second result of a job", "INSERT INTO results VALUES (3, 2, '2', 'none', 2)"),
    (
        "a body in an unknown packing",
        "INSERT INTO responses (job_id, attempt, status_code, headers, body, body_encoding, fetched_at_us) \
         VALUES (2, 1, 200, '{}', '', 'rot13', 1)",
    ),
    ("more rows counted than read", "UPDATE imports SET added = 1"),
    ("a rejected row before the first", "INSERT INTO rejected (import_id, line, reason, text) VALUES (1, 0, '', '')"),
    ("a template that is no JSON", "UPDATE imports SET template = 'url'"),
    ("settings that are no JSON", "UPDATE runs SET settings = 'rate=20'"),
    ("a minute that is no JSON", "UPDATE runs SET minute_before = 'all'"),
    ("an order that nobody knows", "UPDATE runs SET control = 'dance'"),
    ("an outcome that nobody knows", "UPDATE runs SET ended_at_us = 1, outcome = 'fine'"),
    ("an end without an outcome", "UPDATE runs SET ended_at_us = 1"),
    ("an outcome without an end", "UPDATE runs SET outcome = 'drained'"),
    ("a limit of nothing", "UPDATE limits SET permits = 0"),
    ("a limit over no time", "UPDATE limits SET window_us = 0"),
    ("permits given back that were not taken", "UPDATE spends SET permits = -1"),
    ("more late than there were", "UPDATE minutes SET late = 2"),
    ("a state with fewer than no jobs", "UPDATE counts SET n = -1"),
];

#[tokio::test]
async fn what_must_not_be_cannot_be_written() {
    let (_dir, path) = folder();
    open(&path, true).await.expect("a database").close().await.expect("closed");
    let mut conn = plain(&path).await;
    sqlx::raw_sql(GROUND).execute(&mut conn).await.expect("what may be");
    for (sentence, sql) in FORBIDDEN {
        let done = sqlx::raw_sql(sql).execute(&mut conn).await;
        let error = done.expect_err(sentence).to_string();
        let by_rule = ["CHECK", "UNIQUE", "cannot store TEXT"].iter().any(|rule| error.contains(rule));
        assert!(by_rule, "{sentence}: refused, but for another reason: {error}");
    }
}

#[tokio::test]
async fn every_check_is_tried() {
    let (_dir, path) = folder();
    open(&path, true).await.expect("a database").close().await.expect("closed");
    let mut conn = plain(&path).await;
    sqlx::raw_sql(GROUND).execute(&mut conn).await.expect("what may be");
    let mut seen = Vec::new();
    for (_, sql) in FORBIDDEN {
        seen.extend(sqlx::raw_sql(sql).execute(&mut conn).await.err().map(|error| error.to_string()));
    }
    let tables = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%CHECK%'";
    for table in sqlx::query(AssertSqlSafe(tables)).fetch_all(&mut conn).await.expect("the schema") {
        let (name, sql): (String, String) = (table.get(0), table.get(1));
        for check in checks(&sql) {
            // What `attempts` measures is all of one kind: none is negative. One of them is tried.
            let measured = name == "attempts" && check.ends_with(">= 0");
            // The same for the three counts of an import, which cannot be passed before their sum is.
            let counted = name == "imports" && check.ends_with(">= 0");
            let same =
                measured || counted || matches!(check.as_str(), "jitter_us >= 0" | "n > 0" | "failed BETWEEN 0 AND n");
            let same = same || check.starts_with("stage IN") || check == "json_valid(headers)";
            assert!(same || seen.iter().any(|error| error.contains(&check)), "{name}: CHECK ({check}) is not tried");
        }
    }
}

/// What stands in the brackets of each CHECK.
fn checks(sql: &str) -> Vec<String> {
    let within = |(at, word): (usize, &str)| {
        let inside = &sql[at + word.len()..];
        let mut depth = 1;
        let end = inside.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        inside[..end.expect("brackets that close")].to_owned()
    };
    sql.match_indices("CHECK (").map(within).collect()
}

/// The columns of a migration on whose line, or on the one below it that still belongs to them, no comment stands.
fn unexplained(sql: &str) -> Vec<String> {
    let mut silent = Vec::new();
    let mut in_table = false;
    let mut open: Option<&str> = None;
    for line in sql.lines() {
        if line.starts_with("CREATE TABLE") {
            in_table = true;
        } else if line.starts_with(')') {
            silent.extend(open.take().map(str::to_owned));
            in_table = false;
        } else if in_table {
            let first = line.split_whitespace().next().unwrap_or("");
            let is_column =
                line.starts_with("    ") && !line.starts_with("     ") && first.starts_with(char::is_lowercase);
            if is_column || first == "PRIMARY" || (first == "CHECK" && line.starts_with("    C")) {
                silent.extend(open.take().map(str::to_owned));
            }
            if is_column {
                open = Some(first);
            }
            if line.contains("--") {
                open = None;
            }
        }
    }
    silent
}

#[test]
fn every_column_is_explained() {
    let migrations = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    for entry in std::fs::read_dir(migrations).expect("the migrations") {
        let path = entry.expect("an entry").path();
        let sql = std::fs::read_to_string(&path).expect("a readable file");
        assert_eq!(unexplained(&sql), [""; 0], "{}", path.display());
    }
}

#[test]
fn a_column_without_a_comment_is_seen() {
    let sql = "CREATE TABLE a (\n    b INTEGER, -- why\n    c TEXT,\n    d TEXT\n      CHECK (d <> ''), -- why\n    e ANY,\n    PRIMARY KEY (b)\n) STRICT;";
    assert_eq!(unexplained(sql), ["c", "e"]);
}
