//! What a person sees and a script relies on: the real program, its words, its streams and its exit codes.

mod bad;
mod changes;
mod export;
mod folder;
mod formats;
mod held;
mod help;
mod import;
mod network;
mod numbers;
mod prune;
mod query;
mod readme;
mod rejected;
mod repeat;
mod retry;
mod rules;
mod runs;
mod secrets;
mod settings;
mod show;
mod steering;
mod terminal;
mod usage;

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
