//! Inputs in the shape in which other tools write them.

use serde_json::{Value, json};

use super::compile;
use super::inputs::open;
use super::with_url;
use crate::import::Options;
use crate::settings::RequestTemplate;

/// Method, URL, body, key (`hash` where none was given) and row of each request.
fn requests(given: &RequestTemplate, name: &str, bytes: &[u8], options: Options) -> Vec<Value> {
    let mut input = open(name, bytes, options).unwrap();
    let template = compile(given);
    let mut seen = Vec::new();
    while let Some(row) = input.rows.next().unwrap() {
        let row = row.unwrap();
        let made = template.make(row.values, row.raw.as_deref()).unwrap();
        let request = made.request;
        let body = request.body.map(|body| String::from_utf8(body.to_vec()).unwrap());
        let key = if made.hashed { "hash".to_owned() } else { made.key };
        seen.push(json!([request.method, request.url, body, key, request.row]));
    }
    seen
}

fn rows(name: &str, text: &str) -> Vec<Value> {
    let seen = requests(&with_url("https://x/"), name, text.as_bytes(), Options::default());
    seen.into_iter().map(|request| request[4].clone()).collect()
}

// Seen failing with bodies written anew.
#[test]
fn openai_batch_files_are_read_as_they_are() {
    let file = concat!(
        r#"{"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m-1", "messages": [{"role": "user", "content": "Hello \u2603"}], "temperature": 1.0}}"#,
        "\n",
        r#"{"custom_id": "request-2", "method": "POST", "url": "/v1/embeddings", "body": {"model": "e-1", "input": ["a", "b"]}}"#,
        "\n"
    );
    let given = RequestTemplate { base_url: Some("https://h/v1".to_owned()), ..RequestTemplate::default() };
    let one = r#"{"model": "m-1", "messages": [{"role": "user", "content": "Hello \u2603"}], "temperature": 1.0}"#;
    let two = r#"{"model": "e-1", "input": ["a", "b"]}"#;
    assert_eq!(
        requests(&given, "batch.jsonl", file.as_bytes(), Options::default()),
        [
            json!(["POST", "https://h/v1/chat/completions", one, "request-1", {}]),
            json!(["POST", "https://h/v1/embeddings", two, "request-2", {}]),
        ]
    );
}

// Seen failing with `custom_id` not looked at.
#[test]
fn a_line_of_parameters_is_data_for_a_template() {
    let file = r#"{"custom_id": "m-1", "params": {"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}}"#;
    let given = RequestTemplate { json_body: Some("{{ params }}".to_owned()), ..with_url("https://h/v1/messages") };
    let body = r#"{"max_tokens":9,"messages":[{"content":"Hi","role":"user"}],"model":"c"}"#;
    let row = serde_json::from_str::<Value>(file).unwrap();
    let seen = requests(&given, "-", file.as_bytes(), Options::default());
    assert_eq!(seen, [json!(["POST", "https://h/v1/messages", body, "m-1", row])]);
}

// Seen failing with arrays left empty.
#[test]
fn lines_of_json_of_other_tools() {
    // jq -c
    assert_eq!(rows("-", "{\"id\":1,\"tags\":[\"a\"]}\n{\"id\":2,\"tags\":[]}\n")[0], json!({"id": 1, "tags": ["a"]}));
    // mlr --ojsonl
    assert_eq!(rows("-", "{\"id\": 1, \"city\": \"Köln\"}\n")[0], json!({"id": 1, "city": "Köln"}));
    // pandas.DataFrame.to_json(orient="records", lines=True): slashes and all but ASCII escaped, null for a gap
    let row = rows("a.json", "{\"site\":\"https:\\/\\/x\\/\",\"city\":\"K\\u00f6ln \\ud83d\\ude00\",\"n\":null}\n")[0]
        .clone();
    assert_eq!(row, json!({"site": "https://x/", "city": "Köln 😀", "n": null}));
}

// Seen failing with every column needing a name.
#[test]
fn separated_values_of_other_tools() {
    // sqlite3 -csv -header: quotes only where needed, CRLF
    assert_eq!(
        rows("-", "id,name\r\n1,\"O\"\"Brien, Ann\"\r\n2,\r\n"),
        [json!({"id": "1", "name": "O\"Brien, Ann"}), json!({"id": "2", "name": ""})]
    );
    // Excel "CSV UTF-8": a mark, CRLF, line breaks inside of quotes as LF
    assert_eq!(
        rows("a.csv", "\u{feff}Nr,First Name\r\n1,\"Zoë\nMaria\"\r\n"),
        [json!({"Nr": "1", "First Name": "Zoë\nMaria"})]
    );
    // PostgreSQL's COPY .. CSV HEADER: NULL is nothing, an empty text ""
    assert_eq!(
        rows("a.csv", "id,note,at\n1,,2026-11-24 08:00:00+00\n2,\"\",\n"),
        [json!({"id": "1", "note": "", "at": "2026-11-24 08:00:00+00"}), json!({"id": "2", "note": "", "at": ""})]
    );
    // pandas.DataFrame.to_csv: the index has no name
    assert_eq!(rows("a.csv", ",id,x\n0,7,0.1\n"), [json!({"c1": "0", "id": "7", "x": "0.1"})]);
}

// Seen failing with the delimiter not heeded.
#[test]
fn semicolons_in_windows_1252_as_excel_writes_them_in_german() {
    let options =
        Options { delimiter: Some(';'), encoding: Some("windows-1252".parse().unwrap()), ..Options::default() };
    let bytes = b"Nr;Stra\xdfe;Preis\r\n1;\"M\xfchlweg 3; Hof\";1.234,50 \x80\r\n";
    let seen = requests(&with_url("https://x/{{ row['Straße'] }}"), "preise.csv", bytes, options);
    let row = json!({"Nr": "1", "Straße": "Mühlweg 3; Hof", "Preis": "1.234,50 €"});
    assert_eq!(seen, [json!(["GET", "https://x/M%C3%BChlweg%203%3B%20Hof", null, "hash", row])]);
}
