//! What the views and the overview say.

use std::time::Duration;

use haul::report::{Jobs, Phase};
use haul::store::sqlite::console::{Console, Value};
use haul::store::sqlite::{open_read_only, overview};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::{Fixture, ask};

async fn one(console: &mut Console, sql: &str) -> Vec<Value> {
    ask(console, sql, &[], Duration::from_secs(5)).await.expect(sql).1
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[tokio::test]
async fn a_job_is_one_row_with_people_s_units() {
    let fixture = Fixture::new().await;
    let mut console = Console::open(&fixture.db()).await.expect("our database");
    let sql = "SELECT running, created_at, due_at, status_code, rate_wait_ms, latency_ms, body, result FROM job_view WHERE id = 1";
    let expected = [
        Value::Integer(0),
        text("2025-11-24T16:00:00.123456Z"),
        Value::Null,
        Value::Integer(200),
        Value::Real(3.1),
        Value::Real(87.25),
        text("{\"total\": 7}"),
        text("7"),
    ];
    assert_eq!(one(&mut console, sql).await, expected);
    let late = "SELECT due_at, started_at, error_type, attempts FROM job_view WHERE key = 'late'";
    let due = text("2025-11-24T16:01:39.000001Z");
    let sent = text("2025-11-24T16:00:00.700000Z");
    assert_eq!(one(&mut console, late).await, [due, sent, text("timeout"), Value::Integer(1)]);
    assert_eq!(one(&mut console, "SELECT key FROM job_view WHERE running").await, [text("busy")]);
}

#[tokio::test]
async fn percentiles_come_out_of_the_histograms() {
    let fixture = Fixture::new().await;
    let mut console = Console::open(&fixture.db()).await.expect("our database");
    let latency = "SELECT n, p50_ms, p90_ms, p99_ms, max_ms FROM latency WHERE stage = 'latency'";
    let [p50, p90, p99] = [5.0, 9.0, 10.0].map(Value::Real);
    assert_eq!(one(&mut console, latency).await, [Value::Integer(100), p50, p90, p99.clone(), p99]);
    let sla = [Value::Real(500.0), Value::Integer(90), Value::Integer(10), Value::Real(90.0)];
    assert_eq!(one(&mut console, "SELECT * FROM sla").await, sla);
    let minute = one(&mut console, "SELECT * FROM throughput ORDER BY minute DESC").await;
    let counts = [60, 50, 3, 5].map(Value::Integer);
    assert_eq!(minute[0], text("2025-11-24T16:00:00Z"));
    assert_eq!(minute[1..5], counts);
}

#[tokio::test]
async fn a_failure_is_shown_with_an_example() {
    let fixture = Fixture::new().await;
    let mut console = Console::open(&fixture.db()).await.expect("our database");
    let row = one(&mut console, "SELECT * FROM failures WHERE error_type = 'timeout'").await;
    let [jobs, failed, retrying] = [1, 0, 1].map(Value::Integer);
    let expected = [text("timeout"), jobs, failed, retrying, Value::Real(50.0), text("late"), text("no answer")];
    assert_eq!(row, expected);
}

#[tokio::test]
async fn no_question_about_few_jobs_walks_all_of_them() {
    let mut fixture = Fixture::new().await;
    for sql in [
        "SELECT * FROM job_view WHERE id = 1",
        "SELECT * FROM job_view WHERE key = 'done'",
        "SELECT id FROM job_view WHERE state = 'failed'",
        "SELECT * FROM job_view WHERE state = 'failed' AND error_type = '404'",
        "SELECT * FROM failures",
        "SELECT count(*) FROM jobs WHERE run_id IS NOT NULL",
    ] {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(&mut fixture.writer).await.expect(sql);
        for step in rows.iter().map(|row| row.get::<String, _>("detail")) {
            let partial = ["jobs_failed", "jobs_retrying", "jobs_leased"].iter().any(|index| step.contains(index));
            let walks = step.starts_with("SCAN j") || step.starts_with("SCAN a") || step.starts_with("SCAN r");
            assert!(!walks || partial, "{sql}: {step}");
        }
    }
}

#[tokio::test]
async fn the_overview_adds_up() {
    let fixture = Fixture::new().await;
    let mut conn = open_read_only(&fixture.db()).await.expect("our database");
    let now_us = 1_764_000_060_000_000 + 15_000_000; // a quarter into the minute after the last
    let o = overview(&mut conn, now_us).await.expect("numbers");
    let jobs = Jobs {
        total: 6,
        pending: 2,
        fetched: 1,
        succeeded: 1,
        failed: 1,
        cancelled: 1,
        in_flight: 1,
        retrying: 1,
        rejected: 1,
    };
    assert_eq!(o.jobs, jobs);
    assert_eq!(o.run.as_ref().map(|run| run.phase), Some(Phase::Running));
    assert_eq!((o.limits[0].paused_until, o.limits[1].paused_until), (None, Some(1_764_000_090_000_000)));
    assert_eq!((o.results.n, o.results.now_per_s), (50, Some(50.0 * 0.75 / 60.0)));
    assert_eq!(o.requests.mean_per_s, Some(60.0 / 75.0));
    assert_eq!(o.eta_s, Some(3.0 / (50.0 * 0.75 / 60.0)));
    assert_eq!(o.failures.iter().map(|kind| kind.error_type.as_str()).collect::<Vec<_>>(), ["404", "timeout"]);
    assert_eq!(
        o.latency.iter().map(|stage| stage.stage.as_str()).collect::<Vec<_>>(),
        ["rate_wait", "fetch", "latency"]
    );
    assert_eq!(o.sla.map(|sla| (sla.within, sla.late)), Some((90, 10)));
    assert_eq!(o.run_sla.map(|sla| sla.within + sla.late), Some(o.results.n));
    let gone = overview(&mut conn, now_us + 60_000_000).await.expect("numbers");
    assert_eq!(gone.run.map(|run| run.phase), Some(Phase::Gone));
    assert_eq!((gone.eta_s, gone.results.now_per_s), (None, None));
    conn.close().await.expect("closes");
}

#[tokio::test]
async fn an_empty_database_has_an_overview_too() {
    let mut fixture = Fixture::new().await;
    for table in
        ["results", "responses", "attempts", "requests", "jobs", "runs", "counts", "minutes", "imports", "limits"]
    {
        let sql = AssertSqlSafe(format!("DELETE FROM {table}"));
        sqlx::query(sql).execute(&mut fixture.writer).await.expect(table);
    }
    let mut conn = open_read_only(&fixture.db()).await.expect("our database");
    let o = overview(&mut conn, 1).await.expect("numbers");
    assert_eq!((o.jobs, o.run, o.sla, o.eta_s), (Jobs::default(), None, None, None));
}
