//! Inputs, templates and rows that make little sense: nothing panics, nothing lasts, and what does become a request is one.
//! `PROPTEST_CASES=1000000 cargo test --lib -- fuzz` tries more of them.

use proptest::prelude::*;
use reqwest::Url;
use serde_json::{Map, Value};

use super::inputs::open;
use super::{compile, row};
use crate::import::{Format, Options};
use crate::request::Request;
use crate::settings::RequestTemplate;
use crate::template::Template;

/// What inputs are made of.
const OF_INPUTS: [&[u8]; 48] = [
    b"{\"url\":\"http://x/\",\"headers\":{\"a\":\"b\\r\\nc: d\"}}\n",
    b"{\"url\":\"http://x/\",\"method\":\"G T\"}\n",
    b"{\"url\":\"http:///\"}\n",
    b"http://x/1\n",
    b",",
    b";",
    b"\t",
    b"\"",
    b"\"\"",
    b"\n",
    b"\r\n",
    b"\r",
    b"\n\n",
    b" ",
    b"\\",
    b"\0",
    b"\xff",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"{\"url\":\"http://x/\"}\n",
    b"{\"url\":",
    b"\"http://x/1\"",
    b"\"method\":\"POST\",",
    b"\"headers\":{\"a\":\"b\"},",
    b"\"headers\":[[\"a\",1]],",
    b"\"body\":",
    b"\"json\":",
    b"\"body_base64\":\"/w==\",",
    b"\"key\":\"k\",",
    b"\"custom_id\":1,",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"-0",
    b"null",
    b"url\n",
    b"url,id\n",
    b"http://x/a b\n",
    b"https://[::1]:99999/\n",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"\x28\xb5\x2f\xfd\x04\x00",
];

/// What templates are made of.
const OF_TEMPLATES: [&str; 40] = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{{ id }}",
    "{{ row['a b'] }}",
    "{{ id | safe }}",
    "{{ id | urlencode }}",
    "{{ id | default('') }}",
    "{{ missing }}",
    "{{ missing | d(1) }}",
    "{{ env('A') }}",
    "{{ env(id) }}",
    "{{ file('/x') }}",
    "{{ 'a' ~ env('B') }}",
    "{% if id %}",
    "{% endif %}",
    "{% for c in id %}",
    "{% endfor %}",
    "{% for i in range(9) %}",
    "{% set x = id %}",
    "{{ x }}",
    "{{ id[999] }}",
    "{{ id | tojson }}",
    "{{ id | int / 0 }}",
    "{{ -9223372036854775808 | abs }}",
    "{{ id * 3 }}",
    "{{ self }}",
    "{% include 'x' %}",
    "{% raw %}",
    "{% endraw %}",
    "http://x/",
    "https://",
    "?a=",
    "#",
    "..",
    "\u{fdd0}",
    "\u{fdd1}",
];

/// What cells are made of.
const OF_CELLS: [&str; 20] = [
    "",
    "7",
    "a b",
    "../..",
    "%2e",
    "http://x/",
    "//other/",
    "\r\nX: y",
    "\0",
    "\u{fdd0}{{ env(A) }}\u{fdd1}",
    "{{ env('A') }}",
    "ü",
    "\u{202e}",
    "@",
    ":",
    "?",
    "#",
    "\\",
    "\u{1f600}",
    "\t",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(&OF_INPUTS[..]).prop_map(<[u8]>::to_vec),
        2 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn text(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![9 => prop::sample::select(of).prop_map(str::to_owned), 1 => "\\PC{0,4}"].boxed();
    // Few of them are often enough to make sense.
    prop_oneof![prop::collection::vec(piece.clone(), 0..3), prop::collection::vec(piece, 0..7)]
        .prop_map(|pieces| pieces.concat())
}

fn cells() -> impl Strategy<Value = Map<String, Value>> {
    [text(&OF_CELLS), text(&OF_CELLS), text(&OF_CELLS)]
        .prop_map(|[id, url, other]| row(&[("id", &id), ("url", &url), ("a b", &other)]))
}

/// What was made can be sent: a URL of the web, headers of one line each.
fn sound(request: &Request) -> Result<(), TestCaseError> {
    let plain = crate::template::resolve(&request.url, &|_: &_| Ok::<_, ()>("value".to_owned()));
    let url = Url::parse(&plain.expect("every secret has a value"));
    prop_assert!(url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()), "{}", request.url);
    for (name, value) in &request.headers {
        prop_assert!(http::HeaderName::try_from(name.as_str()).is_ok(), "{name:?}");
        for value in value.as_array().unwrap_or(&vec![value.clone()]) {
            prop_assert!(!value.as_str().unwrap_or_default().contains(['\r', '\n', '\0']), "{name}: {value:?}");
        }
    }
    prop_assert!(request.method.parse::<http::Method>().is_ok(), "{:?}", request.method);
    Ok(())
}

proptest! {
    // Seen failing with header values not looked at.
    #[test]
    fn fuzz_of_inputs(bytes in bytes(), format in 0..4, no_header in any::<bool>(), delimiter in any::<Option<char>>()) {
        let format = [Format::Auto, Format::Lines, Format::Csv, Format::Jsonl][format as usize];
        let options = Options { format, no_header, delimiter, ..Options::default() };
        let template = compile(&RequestTemplate::default());
        for name in ["a", "a.csv", "a.jsonl", "a.gz"] {
            let Ok(mut input) = open(name, &bytes, options) else { continue };
            let mut last = 0;
            // An error here is an input that breaks off, such as one that is not as packed as it says.
            while let Ok(Some(read)) = input.rows.next() {
                let line = read.as_ref().map_or_else(|reject| reject.line, |row| row.line);
                prop_assert!(line > last, "line {line} after {last}");
                last = line;
                if let Ok(made) = read.map_err(drop).and_then(|row| template.make(row.values, row.raw.as_deref()).map_err(drop)) {
                    sound(&made.request)?;
                }
            }
        }
    }

    // Seen failing with header values not looked at.
    #[test]
    fn fuzz_of_templates(
        url in text(&OF_TEMPLATES),
        body in prop::option::of(text(&OF_TEMPLATES)),
        json_body in prop::option::of(text(&OF_TEMPLATES)),
        header in text(&OF_TEMPLATES),
        key in prop::option::of(text(&OF_TEMPLATES)),
        method in prop::option::of(text(&OF_TEMPLATES)),
        base_url in prop::option::of(text(&OF_TEMPLATES)),
        cells in cells(),
    ) {
        let simple = || RequestTemplate { url: Some("http://x/".to_owned()), ..RequestTemplate::default() };
        for given in [
            RequestTemplate { url: Some(format!("http://x/{url}")), ..simple() },
            RequestTemplate { url: Some(url), ..simple() },
            RequestTemplate { body, ..simple() },
            RequestTemplate { json_body, ..simple() },
            RequestTemplate { headers: vec![format!("X: {header}")], ..simple() },
            RequestTemplate { headers: vec![header], ..simple() },
            RequestTemplate { key, ..simple() },
            RequestTemplate { method, ..simple() },
            RequestTemplate { base_url, url: None, ..simple() },
        ] {
            let Ok(template) = Template::compile(&given) else { continue };
            if let Ok((_, request)) = template.render(cells.clone()) {
                sound(&request)?;
            }
        }
    }

    // Seen failing with header values not looked at.
    /// A cell names no secret, whatever stands in it.
    #[test]
    fn fuzz_of_cells(cells in cells()) {
        let given = RequestTemplate {
            headers: vec!["X: {{ id }}".to_owned(), "Y: {{ row['a b'] }}".to_owned()],
            json_body: Some("{\"a\": {{ id }}, \"b\": {{ url }}}".to_owned()),
            key: Some("{{ id }}-{{ url }}".to_owned()),
            url: Some("http://x/{{ id }}?q={{ url }}&r={{ row['a b'] | safe }}".to_owned()),
            ..RequestTemplate::default()
        };
        if let Ok((_, request)) = compile(&given).render(cells) {
            sound(&request)?;
            let body = String::from_utf8(request.body.clone().unwrap_or_default().to_vec());
            let all = format!("{} {:?} {}", request.url, request.headers, body.expect("text"));
            prop_assert!(crate::template::secrets_in(&all).is_empty(), "{all}");
        }
    }
}
