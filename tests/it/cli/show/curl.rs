//! A job as a curl command, run by a real shell: the server sees what it saw of the run.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use haul::request::Request;
use haul::settings::Durability;
use haul::store::sqlite::SqliteStore;
use haul::store::{Chunk, NewJob, OnConflict, Store};
use serde_json::{Value, json};

use crate::cli::folder::Folder;
use crate::server::{Answer, Asked, Script, Server};

/// Method, target, headers, body.
type Seen = (String, String, Vec<(String, String)>, Vec<u8>);

/// A server, and what it saw.
fn server() -> (Server, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::<Mutex<Vec<Seen>>>::default();
    let noted = seen.clone();
    let script = Script::new(move |asked: &Asked| {
        // Which encodings are understood is curl's own affair, and the idempotency key is that of the attempt.
        let own = ["accept-encoding", "idempotency-key", "connection"];
        let mut headers: Vec<_> =
            asked.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())).cloned().collect();
        // A run announces no body that is empty, curl does.
        headers.retain(|header| *header != ("content-length".to_owned(), "0".to_owned()));
        headers.sort();
        let (method, target, body) = (asked.method.clone(), asked.target.clone(), asked.body.clone());
        noted.lock().expect("no panic").push((method, target, headers, body));
        Answer::json("1")
    });
    (Server::start(script), seen)
}

/// The last two that the server saw are the same.
#[track_caller]
fn same(seen: &Mutex<Vec<Seen>>, what: &str) {
    let seen = seen.lock().expect("no panic");
    let [.., run, curl] = &seen[..] else { panic!("two requests: {seen:?}") };
    assert_eq!(curl, run, "{what}");
}

const SECRET: &str = "a b/ü\"\\&'$x%s\tz";

// Seen failing with curl's own Content-Type, and with a body whose last line break a `$(..)` cut off.
#[test]
fn curl_sends_what_the_run_sent() {
    for flags in [
        &["-H", "X-Odd: it's \"{{ name }}\" $HOME `x` \\n é"][..],
        &["-d", "a='{{ name }}'\n\"b\" $HOME `x` \\\\ % é\n"],
        &["--json-body", "{\"n\": {{ name }}, \"t\": {{ env('JOB_SECRET') }}}", "-X", "PUT"],
        &["-H", "Authorization: Bearer {{ env('ASCII_SECRET') }}", "-H", "X-Empty: {{ name | replace(name, '') }}"],
        &["-H", "X-Token: {{ file('dir/my token') }}", "-H", "X-Two: 1", "-H", "X-Two: 2", "-X", "DELETE"],
        &["-d", "secret={{ env('JOB_SECRET') }}", "-H", "Content-Type: text/x", "-H", "User-Agent: me"],
        &["-d", "\u{202e}turned\u{1b}[2J"],
        &["-X", "HEAD"],
        &["-d", ""],
        &["-X", "PATCH", "-d", "@/dev/null"],
    ] {
        let (server, seen) = server();
        let folder = Folder::with("n.csv", "id,name\n1,\"x'y\"\"z [1-3]{a,b}\nü\"\n");
        std::fs::create_dir(folder.path("dir")).expect("a folder");
        folder.write("dir/my token", "token from a file\n");
        let name = if flags[0] == "-H" { "plain" } else { "x'y\"z [1-3]{a,b} ü" };
        folder.write("n.csv", &format!("id,name\n1,\"{}\"\n", name.replace('"', "\"\"")));
        let url = format!("{}/{{{{ id }}}}/{{{{ name }}}}?s={{{{ env('JOB_SECRET') }}}}&b=[1]", server.url());
        let url = url.replace("[1]", "%5B1%5D");
        let call: Vec<_> = ["run", "n.csv", "--key", "k", "--url", &url].iter().chain(flags).copied().collect();
        folder.haul(&call).env("JOB_SECRET", SECRET).env("ASCII_SECRET", "as$cii'").exits(0);
        let command = folder.haul(&["show", "k", "--curl"]).exits(0).err_is("").out;
        assert!(!command.contains("ü\"\\") && !command.contains("as$cii"), "no secret: {command}");
        assert!(!command.contains(['\u{1b}', '\u{202e}']), "nothing that steers a terminal: {command}");
        folder
            .shell("haul show k --curl | sh -s")
            .env("JOB_SECRET", SECRET)
            .env("ASCII_SECRET", "as$cii'")
            .env("http_proxy", "http://127.0.0.1:9")
            .exits(0);
        same(&seen, &command);
    }
}

// Seen failing with all that holds no NUL as an argument.
#[test]
fn bytes_and_large_texts_go_through_a_pipe() {
    let bytes: Vec<u8> = (0..=255).chain(*b"%s \\n '").collect();
    let large = format!("it's {}\nend", "large % \\ ".repeat(20_000));
    for body in [bytes, large.into_bytes(), b"a\0b".to_vec(), b"@file".to_vec(), b"\r\n".to_vec()] {
        let (server, seen) = server();
        let folder = Folder::new();
        let headers = json!({"X-Many": ["1", "2"], "Accept": "text/plain"});
        let Value::Object(headers) = headers else { unreachable!("it is an object") };
        let request = Request {
            method: "POST".to_owned(),
            url: format!("{}/k?a=b#c", server.url()),
            headers,
            body: Some(Bytes::from(body)),
            ..Request::default()
        };
        import(&folder, request);
        folder.haul(&["run"]).exits(0);
        let command = folder.haul(&["show", "k", "--curl"]).exits(0).out;
        assert!(command.starts_with("# a run also sends Idempotency-Key"), "{command}");
        folder.shell("haul show k --curl | sh").exits(0);
        same(&seen, &command[..command.len().min(500)]);
    }
}

fn import(folder: &Folder, request: Request) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = SqliteStore::open(&folder.path("haul.db"), Durability::Crash, true).await.expect("a database");
        let import = store.begin_import("test", None, 1).await.expect("an import");
        let job = NewJob { key: "k".to_owned(), line: 1, request, on_conflict: OnConflict::Reject };
        store.import(import, &Chunk { jobs: vec![job], rejects: Vec::new() }, 1).await.expect("the job");
        store.close().await.expect("closed");
    });
}
