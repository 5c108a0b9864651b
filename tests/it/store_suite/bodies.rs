//! What is stored comes back as it was.

use bytes::Bytes;
use haul::job::Event;
use haul::request::Request;
use haul::store::{Chunk, NewJob, OnConflict, WriteBack};
use serde_json::{Map, Value, json};

use super::Inspect;
use super::scene::{Scene, keys, new_job, request, response};

fn bodies() -> Vec<Bytes> {
    let big_text = "0123456789abcdef".repeat(1 << 16);
    let big_binary: Vec<u8> = (0..1u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        Bytes::new(),
        Bytes::from("text"),
        Bytes::from("12345"),
        Bytes::from(" 1.50 "),
        Bytes::from("x\0y"),
        Bytes::from("\0"),
        Bytes::from("grüße \u{1f980} \u{feff}\r\n"),
        Bytes::from(r#"{"quoted \" and \\ back": [1, null]}"#),
        Bytes::from_static(&[0xff, 0xfe, 0x00, 0x80]),
        Bytes::from(big_text),
        Bytes::from(big_binary),
    ]
}

pub(crate) async fn every_kind_of_body_comes_back_as_it_was<T: Inspect>(mut at: Scene<T>) {
    let bodies = bodies();
    let names: Vec<String> = (0..bodies.len()).map(|i| format!("{i:02}")).collect();
    at.import(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    at.start().await;
    let claimed = at.claim(99).await;
    let batch: Vec<_> = claimed
        .iter()
        .zip(&bodies)
        .map(|(lease, body)| WriteBack { response: Some(response(body)), ..at.parked(lease, "", 0) })
        .collect();
    at.commit(&batch).await;
    at.stored.die().await;
    let again = at.claim(99).await;
    assert_eq!(again.len(), bodies.len());
    for (lease, back) in again.iter().zip(&batch) {
        // Not `assert_eq!`: a megabyte in a message helps nobody.
        assert!(lease.response == back.response, "the body of job {} changed", lease.key);
    }
    let cut_off: Vec<_> = again.iter().map(|lease| at.back(lease, lease.standing, &Event::Interrupted)).collect();
    at.commit(&cut_off).await;
    let alone = at.claim_want(99, 0).await;
    assert_eq!(keys(&alone), keys(&again), "where nothing else is claimed they come by another way");
    for (lease, before) in alone.iter().zip(&again) {
        assert!(lease.response == before.response, "the body of job {} changed", lease.key);
        assert_eq!((lease.suspect, lease.attempt, lease.standing), (true, before.attempt + 1, before.standing));
    }
}

/// Beside others it is a part of their bytes; alone it is all the bytes of a statement, which SQLite takes for NULL.
pub(crate) async fn a_body_of_nothing_comes_back_as_nothing<T: Inspect>(mut at: Scene<T>) {
    let job = NewJob { request: Request { body: Some(Bytes::new()), ..request("a") }, ..new_job("a", 1) };
    at.import_chunk(Chunk { jobs: vec![job], rejects: Vec::new() }).await;
    at.start().await;
    let lease = at.claim_one().await;
    assert_eq!(lease.request.body, Some(Bytes::new()), "no body is something else");
    at.commit(&[WriteBack { response: Some(response(b"")), ..at.parked(&lease, "", 0) }]).await;
    let again = at.claim_one().await;
    assert_eq!(again.response.map(|response| response.body.clone()), Some(Bytes::new()));
}

pub(crate) async fn requests_come_back_as_they_were<T: Inspect>(mut at: Scene<T>) {
    let headers: Map<String, Value> =
        Map::from_iter([("X-One".to_owned(), json!("1")), ("Accept".to_owned(), json!("text/plain; q=\"0.5\""))]);
    let row = Map::from_iter([
        ("n".to_owned(), json!(1.5)),
        ("big".to_owned(), json!(9_007_199_254_740_993_i64)),
        ("s".to_owned(), json!("quote \" back \\ nul \u{0} crab \u{1f980}")),
        ("none".to_owned(), Value::Null),
        ("deep".to_owned(), json!({"a": [true, {}]})),
    ]);
    let url = "http://127.0.0.1/?q='%22;--".to_owned();
    let with = |body: Option<Bytes>| Request {
        method: "POST".to_owned(),
        url: url.clone(),
        headers: headers.clone(),
        body,
        row: row.clone(),
    };
    let requests: Vec<_> = std::iter::once(None).chain(bodies().into_iter().map(Some)).map(with).collect();
    let jobs = requests.iter().zip(1..).map(|(request, line)| NewJob {
        key: format!("{line:02}"),
        line,
        request: request.clone(),
        on_conflict: OnConflict::Update,
    });
    let chunk = Chunk { jobs: jobs.collect(), rejects: Vec::new() };
    assert_eq!(at.import_chunk(chunk.clone()).await.added, requests.len() as u64);
    assert_eq!(at.import_chunk(chunk).await.known, requests.len() as u64, "each equals itself");
    at.stored.die().await;
    at.start().await;
    let claimed = at.claim(99).await;
    assert_eq!(claimed.len(), requests.len());
    for (lease, request) in claimed.iter().zip(&requests) {
        assert!(lease.request == *request, "the request of job {} changed", lease.key);
    }
    let stored: Vec<_> = claimed.iter().map(|lease| at.parked(lease, "{}", 0)).collect();
    at.commit(&stored).await;
    let alone = at.claim_want(99, 0).await;
    assert_eq!(keys(&alone), keys(&claimed));
    for (lease, before) in alone.iter().zip(&claimed) {
        assert!(lease.request == before.request, "the request of job {} changed", lease.key);
        assert_eq!((lease.suspect, lease.permit_us, lease.attempt), (false, None, 2));
    }
}

pub(crate) async fn keys_may_be_any_text<T: Inspect>(mut at: Scene<T>) {
    let names = [
        "\u{1f980}",
        "'; DROP TABLE jobs; --",
        "%",
        "\"",
        "é",
        "e\u{301}",
        "A",
        "a",
        " a",
        "a ",
        "1",
        "01",
        "1.0",
        "x\0y",
        "x\0z",
    ];
    let jobs = names.iter().zip(1..).map(|(key, line)| NewJob { request: request("same"), ..new_job(key, line) });
    let chunk = Chunk { jobs: jobs.collect(), rejects: Vec::new() };
    assert_eq!(at.import_chunk(chunk.clone()).await.added, names.len() as u64, "no two of them are one");
    assert_eq!(at.import_chunk(chunk).await.known, names.len() as u64);
    at.start().await;
    let claimed = at.claim(99).await;
    assert_eq!(keys(&claimed), names);
    let stored: Vec<_> = claimed.iter().map(|lease| at.parked(lease, "{}", 0)).collect();
    at.commit(&stored).await;
    assert_eq!(keys(&at.claim_want(99, 0).await), names);
}
