//! Relative URLs are joined to a base.

use super::{compile, row};
use crate::settings::RequestTemplate;
use crate::template::Template;

fn joined(base: &str, url: &str) -> Result<String, String> {
    let given = RequestTemplate { base_url: Some(base.to_owned()), ..RequestTemplate::default() };
    let made = compile(&given).render(row(&[("url", url)]));
    made.map(|(_, request)| request.url).map_err(|refusal| refusal.to_string())
}

// Seen failing with the shortest overlap.
#[test]
fn what_a_base_and_a_url_have_in_common_is_written_once() {
    for (base, url, expected) in [
        ("https://h/v1", "/v1/x", "https://h/v1/x"),
        ("https://h/v1/", "/v1/x", "https://h/v1/x"),
        ("https://h/v1", "v1/x", "https://h/v1/x"),
        ("https://h/v1", "/x", "https://h/v1/x"),
        ("https://h/v1", "x", "https://h/v1/x"),
        ("https://h", "/v1/x", "https://h/v1/x"),
        ("https://h/", "/v1/x", "https://h/v1/x"),
        ("https://h", "/", "https://h/"),
        ("https://h/v1", "/", "https://h/v1/"),
        ("https://h/v1", "/v1", "https://h/v1"),
        ("https://h/v1", "/v1/", "https://h/v1/"),
        ("https://h/v1", "/v1?a=/v1", "https://h/v1?a=/v1"),
        ("https://h/v1", "?a=1", "https://h/v1?a=1"),
        ("https://h/v1", "/v10/x", "https://h/v1/v10/x"),
        ("https://h/api/v1", "/v1/x", "https://h/api/v1/x"),
        ("https://h/api/v1", "/api/v1/x", "https://h/api/v1/x"),
        ("https://h/api/v1", "/api/x", "https://h/api/v1/api/x"),
        ("https://h/a/b/a", "/a/b/a/c", "https://h/a/b/a/c"),
        ("https://h:8080/v1", "/v1/x:y", "https://h:8080/v1/x:y"),
        ("https://h/v1", "https://other/v1/x", "https://other/v1/x"),
    ] {
        assert_eq!(joined(base, url), Ok(expected.to_owned()), "{base} + {url}");
    }
}

// Seen failing with `//other` joined like any path.
#[test]
fn what_could_mean_another_host_is_not_joined() {
    for url in ["//other/x", "other:80/x", "mailto:a@b", "\\\\other\\x"] {
        let why = joined("https://h/v1", url).unwrap_err();
        assert!(why.contains("is not absolute; it begins with http:// or https://"), "{url}: {why}");
    }
    assert_eq!(joined("https://h/v1", "").unwrap_err(), "the URL \"\" is empty");
}

// Seen failing with only the URLs of rows joined.
#[test]
fn a_template_may_be_relative_too() {
    let base_url = Some("https://h/v1".to_owned());
    let given =
        |url: &str| RequestTemplate { url: Some(url.to_owned()), base_url: base_url.clone(), ..Default::default() };
    let (_, request) = compile(&given("/v1/{{ id }}?k={{ env('K') }}")).render(row(&[("id", "a/b")])).unwrap();
    assert_eq!(crate::template::shown(&request.url), "https://h/v1/a%2Fb?k={{ env(K) | urlencode }}");
    assert_eq!(compile(&given("items")).render(row(&[])).unwrap().1.url, "https://h/v1/items");
}

// Seen failing with no look at the query.
#[test]
fn a_base_that_cannot_be_one_is_refused_and_no_credential_shown() {
    for (base, message) in [
        ("h/v1", "\"h/v1\" cannot be used: it is not absolute; it begins with http:// or https://"),
        ("ftp://h", "\"ftp://h\" cannot be used: it begins with \"ftp\"; only http:// and https:// are known"),
        (
            "https://me:hunter2@h/",
            "\"https://***@h/\" cannot be used: it holds a user name or password; give them as -H \"Authorization: Basic \
             {{ env('NAME') }}\"",
        ),
        (
            "https://h/?api_key=hunter2",
            "\"https://h/\" cannot be used: a base has neither query nor fragment; a credential is given as -H \"Name: {{ \
             env('NAME') }}\"",
        ),
        (
            "https://{{ host }}/",
            "\"https://{{ host }}/\" cannot be used: it is no template; a template is written in --url, or in a header",
        ),
    ] {
        let given = RequestTemplate { base_url: Some(base.to_owned()), ..RequestTemplate::default() };
        assert_eq!(Template::compile(&given).unwrap_err().to_string(), format!("--base-url {message}"));
    }
}
