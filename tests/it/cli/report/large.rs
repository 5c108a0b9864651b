//! A million attempts: what is read is kept by the minute, so the page is as quick and as small as of a thousand.

use sqlx::{ConnectOptions, Connection};

use crate::cli::folder::Folder;

/// A database that looks as if a million requests had been made.
pub(super) fn large() -> Folder {
    let folder = Folder::with("u.txt", "http://127.0.0.1:9/x\n");
    folder.haul(&["import", "u.txt"]).exits(0);
    let fill = async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path("haul.db"));
        let mut conn = options.connect().await?;
        sqlx::raw_sql(include_str!("large.sql")).execute(&mut conn).await?;
        conn.close().await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(fill).expect("a large database");
    folder
}

/// `0m0.63s`.
fn seconds(time: &str) -> f64 {
    let (minutes, seconds) = time.trim_end_matches('s').split_once('m').expect("minutes and seconds");
    60.0 * minutes.parse::<f64>().expect("minutes") + seconds.parse::<f64>().expect("seconds")
}

// Seen failing with a slot a minute: 2.9 MB.
#[test]
fn a_million_attempts_are_a_small_page_in_a_short_time() {
    let folder = large();
    // What it costs, not how long it takes: other tests run beside it. The last line is of what the shell has called.
    let times = folder.shell("haul report && times").exits(0).out;
    let spent: f64 = times.lines().last().expect("a line").split_whitespace().map(seconds).sum();
    let page = std::fs::read_to_string(folder.path("haul-report.html")).expect("the page");
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(spent < 5.0, "{spent} s of a CPU");
    // 834 minutes of 1,200 requests, less the half minute that no run was there.
    assert!(page.contains("<b>1,000,800</b>"), "all requests are counted");
    for words in
        ["1 run ended without a word", "not listed is the default", "<td>timeout</td>", "never more than --concurrency"]
    {
        assert!(page.contains(words), "no `{words}`");
    }
}
