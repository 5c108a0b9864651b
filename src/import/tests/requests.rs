//! Templates and rows become requests.

use serde_json::json;

use super::{compile, row, with_url};
use crate::settings::RequestTemplate;
use crate::template::Template;

fn url(template: &str, cells: &[(&str, &str)]) -> Result<String, String> {
    let made = compile(&with_url(template)).render(row(cells));
    made.map(|(_, request)| request.url).map_err(|refusal| refusal.to_string())
}

fn body(json_body: &str, cells: &[(&str, &str)]) -> Result<String, String> {
    let given = RequestTemplate { json_body: Some(json_body.to_owned()), ..with_url("https://x/") };
    let made = compile(&given).render(row(cells)).map_err(|refusal| refusal.to_string());
    made.map(|(_, request)| String::from_utf8(request.body.unwrap().to_vec()).unwrap())
}

fn config_error(given: &RequestTemplate) -> String {
    Template::compile(given).unwrap_err().to_string()
}

#[test]
fn values_are_percent_encoded_in_a_url() {
    for (template, cells, expected) in [
        ("https://x/{{ id }}", [("id", "7")], "https://x/7"),
        ("https://x/{{ id }}", [("id", "a/b?c#d%")], "https://x/a%2Fb%3Fc%23d%25"),
        ("https://x/?q={{ q }}", [("q", "tea & milk+ü")], "https://x/?q=tea%20%26%20milk%2B%C3%BC"),
        ("https://x/{{ p | safe }}", [("p", "a/b?c=d")], "https://x/a/b?c=d"),
        ("https://x/?q={{ q | urlencode }}", [("q", "a b/c")], "https://x/?q=a%20b/c"),
        ("https://x/?q={{ q }}", [("q", "")], "https://x/?q="),
        ("https://x/?q={{ q }}", [("q", "..")], "https://x/?q=.."),
        ("https://x/{{ row['First Name'] }}", [("First Name", "Ada")], "https://x/Ada"),
        ("https://x/{{ row.id }}/{{ id | upper }}", [("id", "a")], "https://x/a/A"),
        ("https://x/{{ id | default('none') }}", [("id", "")], "https://x/none"),
        ("https://x/{{ id | default('') }}", [("id", "")], "https://x/"),
        ("https://x/{{ other | default('none') }}", [("id", "")], "https://x/none"),
        ("https://x/{% if id == '7' %}seven{% endif %}", [("id", "7")], "https://x/seven"),
        ("https://x/a|b", [("id", "7")], "https://x/a|b"),
        ("https://bücher.example/ä", [("id", "7")], "https://xn--bcher-kva.example/%C3%A4"),
    ] {
        let expected = expected.replace('|', "%7C").replace("a%7Cb", "a|b");
        assert_eq!(url(template, &cells), Ok(expected), "{template}");
    }
}

#[test]
fn values_are_json_in_a_json_body() {
    let cells = [("name", "O\"Brien\n\\ü</p>"), ("n", "5")];
    assert_eq!(
        body(r#"{"q": {{ name }}}"#, &cells),
        Ok(json!({"q": "O\"Brien\n\\ü</p>"}).to_string().replace(":", ": "))
    );
    assert_eq!(body(r#"{"n": {{ n | int }}}"#, &cells), Ok(r#"{"n": 5}"#.to_owned()));
    assert_eq!(body(r#"{"n": {{ n | tojson }}}"#, &cells), Ok(r#"{"n": "5"}"#.to_owned()));
    assert_eq!(body("{{ row }}", &[("a", "1"), ("b", "2")]), Ok(r#"{"a":"1","b":"2"}"#.to_owned()));
    assert_eq!(body(r#"{"n": {{ m | default(none) }}}"#, &cells), Ok(r#"{"n": null}"#.to_owned()));
}

#[test]
fn a_row_that_makes_no_request_says_why() {
    let long = "a".repeat(40_000);
    for (template, cells, reason) in [
        (
            "https://x/{{ nmae }}",
            vec![("id", "7"), ("name", "Ada")],
            "--url names the column \"nmae\", which is none (did you mean \"name\"?); the columns are: id, name",
        ),
        (
            "https://x/{{ row['zip'] }}",
            vec![("id", "7")],
            "--url names the column \"zip\", which is none; the columns are: id",
        ),
        (
            "https://x/{{ id }}/y",
            vec![("id", "")],
            "the path of --url needs a value and \"id\" is empty; `| default(..)` gives it one",
        ),
        (
            "https://x/{{ id | safe }}",
            vec![("id", "")],
            "the path of --url needs a value and \"id\" is empty; `| default(..)` gives it one",
        ),
        (
            "https://x/{{ id }}/y?q={{ id }}",
            vec![("id", "..")],
            "a value in the path of --url is `.` or `..`, which leads to another path; `| safe` lets it",
        ),
        (
            "{{ u | safe }}",
            vec![("u", "x/y")],
            "the URL \"x/y\" is not absolute; it begins with http:// or https://, or --base-url says what it is joined to",
        ),
        (
            "{{ u | safe }}",
            vec![("u", "ftp://x/y")],
            "the URL \"ftp://x/y\" begins with \"ftp\"; only http:// and https:// are known",
        ),
        ("{{ u | safe }}", vec![("u", "https:///y")], "the URL \"https:///y\" has no host"),
        ("{{ u | safe }}", vec![("u", "https://:80/")], "the URL \"https://:80/\" has no host"),
        // Found by fuzzing: it was imported, and failed when it was to be sent.
        (
            "{{ u | safe }}",
            vec![("u", "https://{)))/")],
            "the URL \"https://{)))/\" cannot be sent: invalid uri character",
        ),
        ("{{ u | safe }}", vec![("u", "http://x:99999/")], "the URL \"http://x:99999/\" has an invalid port number"),
        (
            "{{ u | safe }}",
            vec![("u", "http://me:secret@x/")],
            "the URL \"http://***@x/\" holds a user name or password; give them as -H \"Authorization: Basic {{ env('NAME') }}\"",
        ),
        (
            "{{ u | safe }}",
            vec![("u", "http://x/a b")],
            "the URL \"http://x/a b\" holds ' '; in a URL it is percent-encoded",
        ),
        (
            "{{ u | safe }}",
            vec![("u", "http://x/a\u{1}b")],
            "the URL \"http://x/a\\u{1}b\" holds '\\u{1}'; in a URL it is percent-encoded",
        ),
    ] {
        assert_eq!(url(template, &cells), Err(reason.to_owned()), "{template} {cells:?}");
    }
    let too_long = url("https://x/{{ u }}", &[("u", &long)]).unwrap_err();
    assert!(too_long.ends_with("aaa\" is 40010 bytes long; 32768 are the most"), "{too_long}");
    assert_eq!(
        compile(&RequestTemplate::default()).render(row(&[("URL", "https://x/")])).unwrap_err().to_string(),
        "without --url, a row names the column \"url\", which is none (did you mean \"URL\"?); the columns are: URL"
    );
}

#[test]
fn a_body_that_is_no_json_says_where() {
    let reason = body(r#"{"q": "{{ q }}"}"#, &[("q", "tea")]).unwrap_err();
    let expected = "--json-body made no JSON: expected `,` or `}` at line 1 column 9, near \"{\\\"q\\\": \\\"\\\"tea\\\"\\\"}\"; each \
                    {{ value }} is written as JSON, with its own quotes";
    assert_eq!(reason, expected);
}

#[test]
fn a_header_from_a_row_holds_no_line_break() {
    let given = RequestTemplate { headers: vec!["X-Name: {{ name }}".to_owned()], ..with_url("https://x/") };
    let template = compile(&given);
    for (value, shown) in [("a\r\nEvil: 1", "'\\r'"), ("a\nb", "'\\n'"), ("a\0b", "'\\0'"), ("\u{7f}", "'\\u{7f}'")] {
        let reason = template.render(row(&[("name", value)])).unwrap_err().to_string();
        let expected = format!("the header X-Name holds {shown}; a header holds no control characters but tabs");
        assert_eq!(reason, expected);
    }
    let (_, request) = template.render(row(&[("name", "a\tü")])).unwrap();
    assert_eq!(request.headers["X-Name"], "a\tü");
}

#[test]
fn flags_that_cannot_be_right_are_refused_before_the_first_row() {
    let base = || with_url("https://x/");
    for (given, message) in [
        (
            with_url("https://x/{{ id"),
            "--url \"https://x/{{ id\" cannot be used: syntax error: unexpected end of input, expected end of variable \
             block, in line 1",
        ),
        (
            with_url("https://x/{{ id | uper }}"),
            "--url \"https://x/{{ id | uper }}\" cannot be used: unknown filter: filter uper is unknown, in line 1",
        ),
        (
            with_url("https://x/{{ now() }}"),
            "--url \"https://x/{{ now() }}\" cannot be used: unknown function: it calls a function that is none",
        ),
        (
            with_url("x.example/y"),
            "--url \"x.example/y\" cannot be used: it is not absolute; it begins with http:// or https://, or --base-url says what it is joined to",
        ),
        (
            RequestTemplate { method: Some("GE T".to_owned()), ..base() },
            "-X \"GE T\" cannot be used: it is not an HTTP method, such as GET or POST",
        ),
        (
            RequestTemplate { headers: vec!["Accept".to_owned()], ..base() },
            "-H \"Accept\" cannot be used: it has no colon; a header is written 'Name: value'",
        ),
        (
            RequestTemplate { headers: vec!["Authorization: hunter2\n".repeat(2)], ..base() },
            "-H \"Authorization:\" cannot be used: its value holds '\\n'; a header holds no control characters but tabs",
        ),
        (
            RequestTemplate { headers: vec!["A B: c".to_owned()], ..base() },
            "-H \"A B: c\" cannot be used: \"A B\" is not the name of a header",
        ),
        (
            RequestTemplate { headers: vec!["A: b\r\nc".to_owned()], ..base() },
            "-H \"A: b\\r\\nc\" cannot be used: its value holds '\\r'; a header holds no control \
             characters but tabs",
        ),
        (
            RequestTemplate { body: Some("a".to_owned()), json_body: Some("1".to_owned()), ..base() },
            "-d \"a\" cannot be used: --json-body is given too; a request has one body",
        ),
        (
            RequestTemplate { json_body: Some("{a: 1}".to_owned()), ..base() },
            "--json-body \"{a: 1}\" cannot be used: it is no JSON: key must be a string at line 1 column 2, near \
             \"{a: 1}\"",
        ),
    ] {
        assert_eq!(config_error(&given), message);
    }
}

#[test]
fn a_body_means_post_and_json_says_so() {
    let plain = RequestTemplate { body: Some("a={{ a }}\n".to_owned()), ..with_url("https://x/") };
    let (_, request) = compile(&plain).render(row(&[("a", "1")])).unwrap();
    assert_eq!((request.method.as_str(), request.body.unwrap().as_ref()), ("POST", b"a=1\n".as_slice()));
    assert!(request.headers.is_empty());

    let json =
        RequestTemplate { json_body: Some("1".to_owned()), method: Some("put".to_owned()), ..with_url("https://x/") };
    let (_, request) = compile(&json).render(row(&[])).unwrap();
    assert_eq!((request.method.as_str(), &request.headers["Content-Type"]), ("PUT", &json!("application/json")));

    let headers = vec!["content-type: application/x".to_owned(), "Via: a".to_owned(), "via: b".to_owned()];
    let (_, request) = compile(&RequestTemplate { headers, ..json }).render(row(&[])).unwrap();
    assert_eq!(serde_json::Value::from(request.headers), json!({"content-type": "application/x", "Via": ["a", "b"]}));
}

#[test]
fn the_key_is_given_or_the_hash_of_all_that_is_sent() {
    let keyed = RequestTemplate { key: Some("{{ id }}-k".to_owned()), ..with_url("https://x/{{ id }}") };
    assert_eq!(compile(&keyed).render(row(&[("id", "7")])).unwrap().0, "7-k");
    let empty = RequestTemplate { key: Some("{{ k }}".to_owned()), ..with_url("https://x/") };
    let refusal = compile(&empty).render(row(&[("k", "")])).unwrap_err();
    assert_eq!(refusal.to_string(), "--key made an empty key; a key tells jobs apart");

    let base = || with_url("https://x/");
    let header = |line: &str| RequestTemplate { headers: vec![line.to_owned()], ..base() };
    let body = |text: &str| RequestTemplate { body: Some(text.to_owned()), method: Some("GET".to_owned()), ..base() };
    let all = [
        base(),
        with_url("https://x/a"),
        RequestTemplate { method: Some("HEAD".to_owned()), ..base() },
        header("a: b"),
        header("ab: "),
        header("a: bc"),
        body(""),
        body("a"),
    ];
    let mut keys: Vec<String> = all.iter().map(|given| compile(given).render(row(&[("z", "1")])).unwrap().0).collect();
    assert!(keys.iter().all(|key| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit())));
    assert_eq!(keys[0], compile(&base()).render(row(&[("z", "2")])).unwrap().0, "the row is not sent");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all.len());
}
