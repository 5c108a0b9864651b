//! Secrets are stored by name, and no cell can name one.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{compile, row, with_url};
use crate::request::Request;
use crate::settings::RequestTemplate;
use crate::template::{SecretName, Template, literal_credential, resolve, secrets_in, shown};

const VALUE: &str = "p\"w d/&\\";

fn lookup(_: &SecretName) -> Result<String, String> {
    Ok(VALUE.to_owned())
}

fn sent(text: &str) -> String {
    resolve(text, &lookup).unwrap().into_owned()
}

fn everywhere() -> RequestTemplate {
    RequestTemplate {
        headers: vec!["Authorization: Bearer {{ env('TOKEN') }}".to_owned(), "X: {{ cell }}".to_owned()],
        json_body: Some(r#"{"k": {{ "a " ~ env("TOKEN") }}, "f": {{ file('/run/pw') }}, "c": {{ cell }}}"#.to_owned()),
        ..with_url("https://x/{{ cell }}?k={{ env('TOKEN') }}&raw={{ env('RAW') | safe }}")
    }
}

fn text(request: &Request) -> String {
    format!("{} {:?} {:?} {:?}", request.url, request.headers, request.body, request.method)
}

#[test]
fn a_secret_is_stored_by_name_and_written_as_its_place_asks() {
    let template = compile(&everywhere());
    let names = ["TOKEN", "RAW"].map(|name| SecretName::Env(name.to_owned()));
    assert_eq!(template.secrets(), [&names[..], &[SecretName::File("/run/pw".to_owned())]].concat());

    let (_, request) = template.render(row(&[("cell", "c")])).unwrap();
    assert_eq!(shown(&request.url), "https://x/c?k={{ env(TOKEN) | urlencode }}&raw={{ env(RAW) }}");
    assert_eq!(secrets_in(&request.url), names);
    assert_eq!(sent(&request.url), format!("https://x/c?k=p%22w%20d%2F%26%5C&raw={VALUE}"));
    assert_eq!(sent(request.headers["Authorization"].as_str().unwrap()), format!("Bearer {VALUE}"));
    let body = String::from_utf8(request.body.unwrap().to_vec()).unwrap();
    let body: serde_json::Value = serde_json::from_str(&sent(&body)).unwrap();
    assert_eq!(body, serde_json::json!({"k": format!("a {VALUE}"), "f": VALUE, "c": "c"}));
}

#[test]
fn a_text_without_secrets_is_sent_as_it_is() {
    for text in ["", "plain", "{{ env('X') }}", "{{ env(X) }}", "ü \u{fdd0}", "\u{fdd0}{{ env(X) }}"] {
        assert_eq!(resolve(text, &lookup), Ok(Cow::Borrowed(text)));
        assert_eq!(shown(text), text);
    }
    let missing = |name: &SecretName| Err(format!("there is no {name}"));
    assert_eq!(resolve("\u{fdd0}{{ env(X) }}\u{fdd1}", &missing), Err("there is no env(X)".to_owned()));
}

#[test]
fn a_cell_cannot_name_a_secret() {
    let forged = "\u{fdd0}{{ env(TOKEN) }}\u{fdd1}";
    let reserved = "holds a character between U+FDD0 and U+FDD2, which haul keeps for itself";
    let refused = |template: &Template, cells: &[(&str, &str)]| template.render(row(cells)).unwrap_err().to_string();
    assert_eq!(refused(&compile(&everywhere()), &[("cell", forged)]), format!("the row {reserved}"));
    assert_eq!(refused(&compile(&everywhere()), &[("cell", "c"), (forged, "")]), format!("the row {reserved}"));

    let lines = compile(&RequestTemplate::default());
    assert_eq!(refused(&lines, &[("url", &format!("https://x/{forged}"))]), format!("the URL {reserved}"));
    for url in ["https://x/{{ c }}", "https://x/{{ c | safe }}"] {
        assert_eq!(refused(&compile(&with_url(url)), &[("c", forged)]), format!("--url {reserved}"));
    }
    let body = RequestTemplate { body: Some("{{ c }}".to_owned()), ..with_url("https://x/") };
    assert_eq!(refused(&compile(&body), &[("c", forged)]), format!("-d {reserved}"));

    // Without the marks it is text like any other.
    let (_, request) = compile(&body).render(row(&[("c", "{{ env('TOKEN') }}")])).unwrap();
    assert_eq!(request.body.unwrap().as_ref(), b"{{ env('TOKEN') }}");
}

#[test]
fn a_cell_cannot_choose_a_secret() {
    let error = Template::compile(&with_url("https://x/?k={{ env(cell) }}")).unwrap_err().to_string();
    let expected = "a secret is named in quotes, in the flag itself: not env(1), in line 1";
    assert!(error.ends_with(expected), "{error}");
    let later = compile(&with_url("https://x/{% if cell == 'x' %}{{ env(cell) }}{% endif %}?k={{ env('A') }}"));
    let refusal = later.render(row(&[("cell", "x")])).unwrap_err().to_string();
    assert!(refusal.contains("named in quotes, in the flag itself: not env(x)"), "{refusal}");
}

#[test]
fn a_column_of_the_same_name_takes_no_secret_s_place() {
    let template = compile(&with_url("https://x/{{ row['env'] }}?k={{ env('A') }}"));
    let (_, request) = template.render(row(&[("env", "cell")])).unwrap();
    assert_eq!(shown(&request.url), "https://x/cell?k={{ env(A) | urlencode }}");
    let refusal = compile(&with_url("https://x/{{ file }}")).render(row(&[("file", "cell")])).unwrap_err().to_string();
    assert!(refusal.contains("a column of the same name is written row['..']"), "{refusal}");
}

#[test]
fn a_filter_that_would_change_a_secret_is_refused() {
    for filter in ["upper", "replace('T', 'S')", "replace('T', cell)", "replace('env', 'file')", "reverse", "first"] {
        let template = compile(&with_url(&format!("https://x/?k={{{{ env('T') | {filter} }}}}")));
        let refusal = template.render(row(&[("cell", "S")])).unwrap_err().to_string();
        assert!(refusal.starts_with("--url changes a secret with a filter"), "{filter}: {refusal}");
    }
    for (filter, stored) in [("urlencode", " | urlencode"), ("tojson | trim('\"')", " | tojson"), ("trim", "")] {
        let body = RequestTemplate { body: Some(format!("{{{{ env('T') | {filter} }}}}")), ..with_url("https://x/") };
        let (_, request) = compile(&body).render(row(&[])).unwrap();
        let text = String::from_utf8(request.body.unwrap().to_vec()).unwrap();
        assert_eq!(shown(&text), format!("{{{{ env(T){stored} }}}}"), "{filter}");
    }
}

#[test]
fn a_flag_holds_no_marks_and_a_key_no_secret() {
    for given in [
        with_url("https://x/\u{fdd0}"),
        with_url("https://x/{{ env('a\"b') }}"),
        RequestTemplate { key: Some("{{ env('A') }}".to_owned()), ..with_url("https://x/") },
    ] {
        assert!(Template::compile(&given).is_err(), "{given:?}");
    }
}

#[test]
fn a_credential_given_as_it_is_is_known_by_its_header() {
    for line in ["Authorization: Bearer a", "cookie:a=b", "Proxy-Authorization: x", "X-Api-Key: a", "x-auth-token: b"] {
        assert!(literal_credential(line), "{line}");
    }
    for line in ["Accept: a", "Authorization:", "Authorization: Bearer {{ env('A') }}", "X-Key: {{ file('a') }}", "X"] {
        assert!(!literal_credential(line), "{line}");
    }
}

proptest! {
    #[test]
    fn whatever_a_cell_holds_a_request_names_only_the_secrets_of_its_flags(
        cell in "[\u{fdd0}-\u{fdd2}{}()| env\\(\\)TOKENfile'\"%a-z\\PC]{0,40}",
    ) {
        for given in [
            everywhere(),
            with_url("https://x/{{ cell | safe }}"),
            RequestTemplate { body: Some("{{ cell }}{{ cell | tojson }}".to_owned()), ..with_url("https://x/") },
        ] {
            let template = compile(&given);
            if let Ok((_, request)) = template.render(row(&[("cell", &cell)])) {
                prop_assert!(secrets_in(&text(&request)).iter().all(|name| template.secrets().contains(name)));
            }
        }
    }
}
