//! Lines of JSON: requests, and rows for one.

use serde_json::{Value, json};

use super::inputs::{open, rows_of};
use super::{compile, with_url};
use crate::import::records::LONGEST;
use crate::import::{Options, Row};
use crate::request::Request;
use crate::settings::RequestTemplate;

fn line(text: &str) -> Result<Row, String> {
    let mut input = open("a.jsonl", text.as_bytes(), Options::default()).unwrap();
    input.rows.next().unwrap().unwrap().map_err(|reject| reject.reason)
}

/// The key, unless it is a hash, and the request.
fn made(given: &RequestTemplate, text: &str) -> Result<(Option<String>, Request), String> {
    let row = line(text)?;
    let made = compile(given).make(row.values, row.raw.as_deref()).map_err(|refusal| refusal.to_string())?;
    Ok(((!made.hashed).then_some(made.key), made.request))
}

fn bare(text: &str) -> Result<(Option<String>, Request), String> {
    made(&RequestTemplate::default(), text)
}

fn body(request: &Request) -> Option<&str> {
    request.body.as_ref().map(|body| std::str::from_utf8(body).unwrap())
}

// Seen failing with the parts left in the row.
#[test]
fn a_line_with_a_url_is_a_request_and_its_other_members_are_the_row() {
    let (key, request) = bare(
        r#"{"url":"https://x/","method":"put","headers":{"A":"1","B":["2","3"]},"body":"text","key":"k","id":7,"t":["a"]}"#,
    )
    .unwrap();
    assert_eq!((key.as_deref(), request.method.as_str(), request.url.as_str()), (Some("k"), "PUT", "https://x/"));
    assert_eq!(Value::from(request.headers.clone()), json!({"A": "1", "B": ["2", "3"]}));
    assert_eq!((body(&request), Value::from(request.row.clone())), (Some("text"), json!({"id": 7, "t": ["a"]})));

    let (key, request) = bare(r#"{"url":"https://x/","method":null,"headers":null,"body":null,"json":null}"#).unwrap();
    assert_eq!((key, request.method.as_str(), request.body), (None, "GET", None));
    assert!(request.headers.is_empty() && request.row.is_empty());
}

// Seen failing with the value written anew: the members were sorted, and 1.10 became 1.1.
#[test]
fn a_json_body_is_sent_word_for_word() {
    let json = r#"{"z": 1.10, "a": [1e400, -0, 12345678901234567890123], "s": "\u00e9\/"}"#;
    for name in ["body", "json"] {
        let (_, request) = bare(&format!(r#"{{"url":"https://x/","{name}": {json} }}"#)).unwrap();
        assert_eq!((request.method.as_str(), body(&request)), ("POST", Some(json)));
        assert_eq!(Value::from(request.headers), json!({"Content-Type": "application/json"}));
    }
    for json in ["[1]", "\"text\"", "1.0", "true"] {
        let (_, request) = bare(&format!(r#"{{"url":"https://x/","json":{json}}}"#)).unwrap();
        assert_eq!(body(&request), Some(json));
    }
    let (_, request) = bare(r#"{"url":"https://x/","json":1,"headers":{"content-type":"application/x"}}"#).unwrap();
    assert_eq!(Value::from(request.headers), json!({"content-type": "application/x"}));
    let (_, request) = bare(r#"{"url":"https://x/","body_base64":"AP+AQQ"}"#).unwrap();
    assert_eq!((request.body.unwrap().as_ref(), request.headers.len()), (&b"\0\xff\x80A"[..], 0));
}

// Seen failing with the line's headers in place of those of the flags.
#[test]
fn flags_go_before_the_parts_of_a_line() {
    let text = r#"{"url":"https://x/","method":"PATCH","headers":{"a":"1","B":"2"},"json":{"q":1},"key":"k","id":7}"#;
    let given = RequestTemplate {
        method: Some("PUT".to_owned()),
        headers: vec!["A: {{ body | default(id) }}".to_owned()],
        json_body: Some(r#"{"was": {{ json }}}"#.to_owned()),
        key: Some("{{ key }}-{{ id }}".to_owned()),
        ..with_url("https://y/{{ method }}?u={{ url }}")
    };
    let (key, request) = made(&given, text).unwrap();
    assert_eq!(key.as_deref(), Some("k-7"));
    assert_eq!((request.method.as_str(), request.url.as_str()), ("PUT", "https://y/PATCH?u=https%3A%2F%2Fx%2F"));
    assert_eq!(Value::from(request.headers.clone()), json!({"A": "7", "B": "2", "Content-Type": "application/json"}));
    assert_eq!((body(&request), Value::from(request.row.clone())), (Some(r#"{"was": {"q":1}}"#), json!({"id": 7})));
}

// Seen failing with the parts taken out of rows of data.
#[test]
fn without_a_url_or_with_one_that_is_only_data_all_of_a_line_is_the_row() {
    for text in [
        r#"{"custom_id":"c","body":"b","headers":1,"id":7}"#,
        r#"{"custom_id":"c","url":"not one","body":"b","headers":1,"id":7}"#,
        r#"{"custom_id":"c","url":null,"method":"GET","body":"b","headers":1,"id":7}"#,
    ] {
        let (key, request) = made(&with_url("https://y/{{ id }}?b={{ body }}"), text).unwrap();
        assert_eq!((key.as_deref(), request.method.as_str()), (Some("c"), "GET"));
        assert_eq!((request.url.as_str(), request.body), ("https://y/7?b=b", None));
        assert_eq!(Value::from(request.row), serde_json::from_str::<Value>(text).unwrap());
    }
    let why = bare(r#"{"id":7}"#).unwrap_err();
    assert_eq!(why, "without --url, a row names the column \"url\", which is none; the columns are: id");
}

// Seen failing with `custom_id` not looked at.
#[test]
fn a_key_is_a_text_or_an_integer() {
    let key = |members: &str| bare(&format!(r#"{{"url":"https://x/",{members}}}"#)).map(|(key, _)| key.unwrap());
    for (members, expected) in [
        (r#""key":"a""#, "a"),
        (r#""custom_id":"request-1""#, "request-1"),
        (r#""key":"a","custom_id":"b""#, "a"),
        (r#""key":-7"#, "-7"),
        (r#""key":18446744073709551615"#, "18446744073709551615"),
    ] {
        assert_eq!(key(members).as_deref(), Ok(expected), "{members}");
    }
    for (members, reason) in [
        (r#""key":"""#, "the member \"key\" is empty; a key tells jobs apart"),
        (r#""key":null,"custom_id":"b""#, "the member \"key\" is null; a key is a text or an integer"),
        (r#""custom_id":1.5"#, "the member \"custom_id\" is a fraction; a key is a text or an integer"),
        (r#""key":["a"]"#, "the member \"key\" is an array; a key is a text or an integer"),
        (r#""key":"a\u0000b""#, "the member \"key\" holds a NUL"),
    ] {
        assert_eq!(key(members), Err(reason.to_owned()), "{members}");
    }
    let given = RequestTemplate { key: Some("{{ id }}".to_owned()), ..RequestTemplate::default() };
    let (key, _) = made(&given, r#"{"url":"https://x/","key":null,"id":7}"#).unwrap();
    assert_eq!(key.as_deref(), Some("7"), "a --key asks for no other");
    let why = made(&given, r#"{"url":"https://x/","id":"a\u0000b"}"#).unwrap_err();
    assert_eq!(why, "--key could not be rendered: a key holds no NUL");
}

// Seen failing with the last of two members taken.
#[test]
fn a_line_that_is_no_object_says_where() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(LONGEST));
    for (text, reason) in [
        ("1", "the line is no JSON object: it begins with \"1\""),
        ("\"{}\"", "the line is no JSON object: it begins with \"\\\"{}\\\"\""),
        ("{\"a\":1", "the line is no JSON: EOF while parsing an object at byte 6, near \"{\\\"a\\\":1\""),
        (
            "{\"a\":1}{\"a\":2}",
            "the line is no JSON: trailing characters at byte 8, near \"{\\\"a\\\":1}{\\\"a\\\":2}\"",
        ),
        ("{'a':1}", "the line is no JSON: key must be a string at byte 2, near \"{'a':1}\""),
        ("{\"a\":NaN}", "the line is no JSON: expected value at byte 6, near \"{\\\"a\\\":NaN}\""),
        ("{\"a\":1,\"a\":2}", "the member \"a\" is there twice"),
        ("{\"b\":{\"a\":1,\"\\u0061\":2}}", "the member \"b\" cannot be read: the member \"a\" is there twice"),
        ("{\"a\":\"\\ud800\"}", "the member \"a\" cannot be read: unexpected end of hex escape"),
        (&deep, "the member \"a\" is nested more than 127 deep"),
        (&long, "the row is longer than 1048576 bytes"),
        ("{\"a\":1e400}", "the member \"a\" has the number 1e400, which would lose digits; write it as a text"),
        (
            "{\"a\":[\"9\\\"8\",{\"b\":12345678901234567890123}]}",
            "the member \"a\" has the number 12345678901234567890123, which would lose digits; write it as a text",
        ),
    ] {
        assert_eq!(line(text).unwrap_err(), reason, "{}", crate::template::cut(text, 60));
    }
    for fine in
        [r#"{"a":1e300}"#, r#"{"a":18446744073709551615}"#, r#"{"a":-9223372036854775808}"#, "{}", " {\"a\":1}\t"]
    {
        assert!(line(fine).is_ok(), "{fine}");
    }
    let why = made(&with_url("https://x/{{ body }}"), r#"{"body":[1e400]}"#).unwrap_err();
    assert_eq!(why, "the member \"body\" has the number 1e400, which would lose digits; write it as a text");
}

// Seen failing with the first of two bodies taken.
#[test]
fn a_part_of_the_wrong_kind_says_what_it_should_be() {
    for (members, reason) in [
        (r#""url":1"#, "the member \"url\" is a number; a URL is a text"),
        (r#""url":"""#, "the URL \"\" is empty"),
        (
            r#""url":"/v1/x""#,
            "the URL \"/v1/x\" is not absolute; it begins with http:// or https://, or --base-url says what it is joined to",
        ),
        (r#""url":"https://x/","method":["GET"]"#, "the member \"method\" is an array; a method is a text"),
        (
            r#""url":"https://x/","method":"G T""#,
            "the member \"method\" \"G T\" is not an HTTP method, such as GET or POST",
        ),
        (
            r#""url":"https://x/","method":"connect""#,
            "the member \"method\" \"connect\" opens a tunnel; it is not a request",
        ),
        (
            r#""url":"https://x/","headers":["A: b"]"#,
            "the member \"headers\" is an array; headers are an object: {\"Accept\": \"text/csv\"}",
        ),
        (r#""url":"https://x/","headers":{"A b":"c"}"#, "the header \"A b\" is not the name of a header"),
        (
            r#""url":"https://x/","headers":{"A":1}"#,
            "the header \"A\" is a number; a header is a text, or an array of texts",
        ),
        (
            r#""url":"https://x/","headers":{"A":["b",null]}"#,
            "the header \"A\" is null; a header is a text, or an array of texts",
        ),
        (
            r#""url":"https://x/","headers":{"A":"b\r\nEvil: 1"}"#,
            "the header \"A\" holds '\\r'; a header holds no control characters but tabs",
        ),
        (
            r#""url":"https://x/","body":7"#,
            "the member \"body\" is a number; it is a text, or an object or array that is sent as JSON",
        ),
        (r#""url":"https://x/","body":"a","json":1"#, "the line has body and json; a request has one body"),
        (
            r#""url":"https://x/","body":[],"json":1,"body_base64":"""#,
            "the line has body and json and body_base64; a request has one body",
        ),
        (
            r#""url":"https://x/","body_base64":"a b""#,
            "the member \"body_base64\" is no base64: invalid symbol 32, offset 1; it is written in A-Z, a-z, 0-9, + \
             and /",
        ),
        (r#""url":"https://x/","body_base64":{}"#, "the member \"body_base64\" is an object; base64 is a text"),
    ] {
        assert_eq!(bare(&format!("{{{members}}}")).unwrap_err(), reason, "{members}");
    }
}

// Seen failing with bodies not looked at.
#[test]
fn a_line_cannot_name_a_secret() {
    let forged = "\u{fdd0}{{ env(TOKEN) }}\u{fdd1}";
    for (members, place) in [
        (format!(r#""url":"https://x/{forged}""#), "the URL"),
        (format!(r#""url":"https://x/","headers":{{"A":"{forged}"}}"#), "a header"),
        (format!(r#""url":"https://x/","body":"{forged}""#), "the body"),
        (format!(r#""url":"https://x/","json":["{forged}"]"#), "the body"),
        (r#""url":"https://x/","body_base64":"77eQe3sgZW52KFRPS0VOKSB9fe+3kQ==""#.to_owned(), "the body"),
    ] {
        let why = bare(&format!("{{{members}}}")).unwrap_err();
        assert_eq!(why, format!("{place} holds a character between U+FDD0 and U+FDD2, which haul keeps for itself"));
    }
}

// Seen failing with `.json` not known.
#[test]
fn json_is_known_by_its_name_or_how_it_begins() {
    for name in ["a.jsonl", "a.ndjson", "a.json", "a.JSONL.gz", "-", "a"] {
        let seen = rows_of(open(name, b"\xef\xbb\xbf\n {\"a\":1}\r\n\n{}\n", Options::default()).unwrap());
        assert_eq!(seen, [Ok((2, json!({"a":1}).as_object().unwrap().clone())), Ok((4, Default::default()))], "{name}");
    }
    for (text, why) in [
        ("[{\"a\":1}]", "it is a JSON array; write an object a line: jq -c '.[]' FILE | haul import -"),
        ("{\n  \"a\": 1\n}", "its objects go over several lines; write one a line: jq -c . FILE | haul import -"),
    ] {
        let error = open("a.json", text.as_bytes(), Options::default()).err().unwrap();
        assert_eq!(error.to_string(), format!("the input a.json cannot be used: {why}"));
    }
}
