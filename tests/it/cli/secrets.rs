//! A secret reaches the server, and nothing else.

use std::sync::{Arc, Mutex};

use super::folder::Folder;
use crate::resume::bench::until;
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

/// With characters that URLs and JSON write differently; `Zq7xK` survives in each of them.
const SECRET: &str = "Zq7xK/9\"é";

/// What the server saw of each request: its target, `authorization`, and body.
type Seen = Arc<Mutex<Vec<[String; 3]>>>;

/// Key 2 fails for good, 3 loses its connection, 4 waits for the gate.
fn server(seen: &Seen, gate: &Gate) -> Server {
    let (seen, gate) = (seen.clone(), gate.clone());
    Server::start(Script::new(move |asked: &Asked| -> Reply {
        let header = asked.header("authorization").unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        seen.lock().expect("no panic").push([asked.target.clone(), header, body]);
        match asked.key.as_str() {
            "2" => Answer::status(404).into(),
            "3" => Reply::Close,
            "4" => Reply::Held(gate.clone(), Box::new(Answer::json("4").into())),
            _ => Answer::json("1").into(),
        }
    }))
}

#[test]
fn a_secret_reaches_the_server_and_is_nowhere_else() {
    let (seen, gate) = (Seen::default(), Gate::closed());
    let server = server(&seen, &gate);
    let folder = Folder::with("n.csv", "id\n1\n2\n3\n4\n");
    let url = format!("{}/{{{{ id }}}}?token={{{{ env('API_SECRET') }}}}", server.url());
    let args = [
        "-vv",
        "run",
        "n.csv",
        "--url",
        &url,
        "--max-attempts",
        "1",
        "-H",
        "Authorization: Bearer {{ env('ASCII_SECRET') }}",
        "--json-body",
        r#"{"id": {{ id }}, "token": {{ env('API_SECRET') }}}"#,
    ];
    let call = folder.haul(&args).env("API_SECRET", SECRET).env("ASCII_SECRET", "Zq7xK").env("HAUL_LOG", "debug");
    let said = std::thread::scope(|scope| {
        let run = scope.spawn(|| call.exits(3));
        until("the last request is held", || server.unanswered() == 1 && server.total() >= 4);
        let names = folder.names();
        assert!(names.contains(&"haul.db-wal".to_owned()), "the run is going: {names:?}");
        assert_eq!(folder.files_with(b"Zq7xK"), [""; 0]);
        gate.open();
        run.join().expect("a run")
    });
    assert_eq!(folder.files_with(b"Zq7xK"), [""; 0]);
    assert!(!format!("{said:?}").contains("Zq7xK"), "{said:?}");
    for [target, header, body] in &*seen.lock().expect("no panic") {
        assert!(target.ends_with("?token=Zq7xK%2F9%22%C3%A9"), "{target}");
        assert_eq!(header, "Bearer Zq7xK");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["token"], SECRET);
    }
    let all = folder.haul(&["query", "SELECT * FROM job_view, attempts"]).exits(0);
    assert!(!all.out.contains("Zq7xK") && all.out.contains("API_SECRET"), "stored by name: {}", all.out);
}

#[test]
fn a_secret_from_the_env_file_and_one_from_a_file_of_its_own_work_too() {
    let (seen, gate) = (Seen::default(), Gate::closed());
    let server = server(&seen, &gate);
    let folder = Folder::with("n.csv", "id\n1\n");
    folder.write(".env", "API_SECRET=from-env-file\n");
    folder.write("token.txt", "from-token-file\n");
    let url = format!("{}/{{{{ id }}}}?a={{{{ env('API_SECRET') }}}}", server.url());
    let header = "Authorization: {{ file('token.txt') }}";
    folder.haul(&["run", "n.csv", "--url", &url, "-H", header]).exits(0);
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen[0][..2], ["/1?a=from-env-file".to_owned(), "from-token-file".to_owned()]);
    assert_eq!(
        (folder.files_with(b"from-env-file"), folder.files_with(b"from-token-file")),
        (vec![".env".to_owned()], vec!["token.txt".to_owned()])
    );
}
