//! What a person sees and a script relies on: the real program, its words, its streams and its exit codes.

mod bad;
mod changes;
mod completions;
mod docs;
mod examples;
mod export;
mod folder;
mod formats;
mod held;
mod help;
mod import;
mod keep;
mod metrics;
mod network;
mod numbers;
mod plan;
mod prune;
mod query;
mod readme;
mod rejected;
mod repeat;
mod report;
mod reprocess;
mod retry;
mod rules;
mod runs;
mod secrets;
mod settings;
mod show;
mod sla;
mod status;
mod steering;
mod terminal;
mod tools;
mod usage;
mod zones;

/// The kept counts are the true ones.
#[track_caller]
fn counts_are_true(folder: &folder::Folder) {
    let kept = "SELECT state, error_type, n FROM counts WHERE n > 0 ORDER BY 1, 2";
    let counted =
        "SELECT state, coalesce(error_type, '') AS error_type, count(*) AS n FROM jobs GROUP BY 1, 2 ORDER BY 1, 2";
    let kept = folder.haul(&["query", "--csv", kept]).exits(0).out;
    folder.haul(&["query", "--csv", counted]).exits(0).out_is(&kept);
}

/// Makes a database look as if a later haul had written it.
fn newer(db: &std::path::Path) {
    use sqlx::{ConnectOptions, Connection};

    let raise = async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(db);
        let mut conn = options.connect().await?;
        sqlx::query("PRAGMA user_version = 999").execute(&mut conn).await?;
        conn.close().await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(raise).expect("a version");
}
