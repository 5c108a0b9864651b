//! Every statement of the store on PostgreSQL, against its schema.

use std::path::Path;

use haul::store::postgres::PostgresStore;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::Database;

/// Every statement by its path below the folder of the store.
fn statements() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/postgres");
    let mut found = Vec::new();
    let below = ["", "overview", "plan", "history", "console/answers", "console/detail"];
    for folder in below.map(|folder| root.join(folder)) {
        for entry in std::fs::read_dir(&folder).expect("the folder of the store") {
            let path = entry.expect("an entry of it").path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                let name = path.strip_prefix(&root).expect("it is below the root").to_string_lossy().into_owned();
                found.push((name, std::fs::read_to_string(&path).expect("a readable file")));
            }
        }
    }
    assert!(found.iter().any(|(name, _)| name == "claim.sql"), "found nothing to read");
    found
}

// Seen failing with waits_for_template.sql left out of the list below.
#[tokio::test]
async fn every_statement_fits_the_schema_and_walks_no_large_table() {
    let Some(database) = Database::create().await else { return };
    PostgresStore::open(database.url().parse().expect("an address"), true).await.expect("a schema");
    let mut conn = database.connect().await;
    for sql in
        [include_str!("filled.sql"), "ANALYZE", "SET plan_cache_mode = force_generic_plan; SET random_page_cost = 1.1"]
    {
        sqlx::raw_sql(sql).execute(&mut conn).await.expect("a table of some size");
    }
    let mut wrong = Vec::new();
    for (name, sql) in statements() {
        match plan(&mut conn, &sql).await {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(plan) => {
                let walks = walks(&plan, false);
                let may = WALKS.iter().any(|(known, _)| *known == name);
                match walks {
                    Some(how) if !may => wrong.push(format!("{name}: {how}")),
                    None if may => wrong.push(format!("{name}: walks nothing, and need not be listed")),
                    _ => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Walk a large table, and why.
const WALKS: [(&str, &str); 2] = [
    ("history/runs.sql", "a report counts the attempts of each run"),
    ("waits_for_template.sql", "asked only where a secret is missing"),
];

/// How a statement would be carried out, whatever it is given; `None`: there is nothing to plan.
async fn plan(conn: &mut PgConnection, sql: &str) -> Result<Value, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(format!("PREPARE one AS {sql}"))).execute(&mut *conn).await?;
    let count = "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'one'";
    let parameters: i32 = sqlx::query_scalar(count).fetch_one(&mut *conn).await?;
    let nulls = vec!["NULL"; usize::try_from(parameters).expect("few")].join(", ");
    let given = if nulls.is_empty() { nulls } else { format!("({nulls})") };
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE one{given}"));
    let plan = sqlx::raw_sql(explain).fetch_one(&mut *conn).await.and_then(|row| row.try_get_unchecked::<String, _>(0));
    sqlx::raw_sql("DEALLOCATE one").execute(conn).await?;
    Ok(serde_json::from_str(&plan?).expect("JSON"))
}

/// The first node that reads a large table from one end to the other. A walk in the order of an index that ends soon is none.
fn walks(plan: &Value, ends_soon: bool) -> Option<String> {
    const LARGE: [&str; 5] = ["jobs", "requests", "attempts", "responses", "results"];
    let ends_soon = ends_soon || plan["Node Type"] == "Limit";
    let whole = match plan["Node Type"].as_str() {
        Some("Seq Scan") => true,
        // Those of a part of the table are small.
        Some("Index Scan" | "Index Only Scan") => {
            let of_all =
                plan["Index Name"].as_str().is_some_and(|name| name.ends_with("_pkey") || name.ends_with("_key"));
            of_all && plan.get("Index Cond").is_none()
        }
        _ => false,
    };
    let large = plan["Relation Name"].as_str().filter(|name| LARGE.contains(name));
    if let Some(table) = large.filter(|_| whole && !ends_soon) {
        return Some(format!("{} of {table}", plan["Node Type"].as_str().unwrap_or_default()));
    }
    let below = plan.as_array().into_iter().flatten().chain(plan["Plans"].as_array().into_iter().flatten());
    below.chain(plan.get("Plan")).find_map(|below| walks(below, ends_soon))
}
