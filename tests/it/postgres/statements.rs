//! Every statement of the store on PostgreSQL, against its schema.

use std::path::Path;

use haul::store::postgres::PostgresStore;
use sqlx::AssertSqlSafe;

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

// Seen failing with a column of look.sql misspelt.
#[tokio::test]
async fn every_statement_fits_the_schema() {
    let Some(database) = Database::create().await else { return };
    PostgresStore::open(database.url().parse().expect("an address"), true).await.expect("a schema");
    let mut conn = database.connect().await;
    let mut broken = Vec::new();
    for (name, sql) in statements() {
        let prepared = sqlx::raw_sql(AssertSqlSafe(format!("PREPARE one AS {sql}"))).execute(&mut conn).await;
        match prepared {
            Ok(_) => drop(sqlx::raw_sql("DEALLOCATE one").execute(&mut conn).await),
            Err(error) => broken.push(format!("{name}: {error}")),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
