//! Templates and cells that make little sense.

use haul::settings::RequestTemplate;
use haul::template::{Template, secrets_in};
use serde_json::{Map, Value, json};

use super::inputs::sound;
use super::mutation::{Mutation, outline};
use crate::random_numbers::Random;

/// Three parts: what goes into a flag, and two cells.
const SAMPLES: [&str; 16] = [
    "http://x/{{ id }}?q={{ city }}\x1f7\x1fBerlin",
    "https://{{ id }}.example.com/a\x1fapi\x1f",
    "http://x/{{ row['a b'] | default('none') }}\x1f\x1fü",
    "{\"q\": {{ city }}, \"n\": [{{ id | int }}]}\x1f12\x1f\"quoted\"",
    "{% if id %}{{ id }}{% else %}none{% endif %}\x1f\x1fx",
    "{% for c in city %}{{ c }}{{ loop.index }}{% endfor %}\x1f1\x1fabc",
    "Authorization: Bearer {{ env('KEY') }}\x1f1\x1f{{ env('OTHER') }}",
    "X-Id: {{ id | upper | trim }}\x1f\r\nX: y\x1f\0",
    "{{ file('/etc/key') }}{{ env(id) }}\x1fHOME\x1f../..",
    "{% set x = id ~ city %}{{ x[1:3] }}{{ x | length }}\x1f1\x1fäöü",
    "{{ id | tojson }}{{ city | urlencode }}{{ id | replace('1', '2') }}\x1f1\x1f&?#",
    "{{ (id | int) // 0 }}{{ -9223372036854775808 | abs }}{{ 2 ** 99 }}\x1f9\x1f9",
    "{{ range(9) | list | join(',') }}{{ [1,2] | sum }}\x1f1\x1f2",
    "//other/{{ id }}\x1f@evil\x1f:80",
    "{{ id | safe }}{{ city | safe }}\x1f\u{fdd0}{{ env(A) }}\u{fdd1}\x1f\u{202e}",
    "{% raw %}{{ id }}{% endraw %}{# comment #}{{ missing }}\x1f1\x1f2",
];

const WORDS: [&str; 52] = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{{ id }}",
    "{{ city }}",
    "row",
    "['a b']",
    "| safe",
    "| urlencode",
    "| default('')",
    "| tojson",
    "| int",
    "| float",
    "| sort",
    "| reverse",
    "| first",
    "| batch(2)",
    "| items",
    "| indent(99)",
    "| round(9)",
    "| format('%s')",
    "env('A')",
    "file('/x')",
    "range(9)",
    "range(99999999)",
    "dict(a=1)",
    "namespace()",
    "{% if id %}",
    "{% endif %}",
    "{% for i in range(9) %}",
    "{% endfor %}",
    "{% set x = id %}",
    "{% macro m(a) %}",
    "{% endmacro %}",
    "{{ m(m(1)) }}",
    "* 99999999",
    "** 99",
    "// 0",
    "[::-1]",
    "[999:]",
    "(((((((((",
    ")))))))))",
    "\x1f",
    "http://x/",
    "https://",
    "\u{fdd0}",
    "\u{fdd1}",
    "{% include 'x' %}",
    "{{ self }}",
];

/// The flag that takes it, as the dice say.
fn given(text: String, dice: &mut Random) -> RequestTemplate {
    let simple = || RequestTemplate { url: Some("http://x/".to_owned()), ..RequestTemplate::default() };
    match dice.below(8) {
        0 | 1 => RequestTemplate { url: Some(text), ..simple() },
        2 => RequestTemplate { body: Some(text), ..simple() },
        3 => RequestTemplate { json_body: Some(text), ..simple() },
        4 => RequestTemplate { headers: vec![text], ..simple() },
        5 => RequestTemplate { key: Some(text), ..simple() },
        6 => RequestTemplate { method: Some(text), ..simple() },
        _ => RequestTemplate { base_url: Some(text), url: None, ..simple() },
    }
}

fn row(cells: &[&str]) -> Map<String, Value> {
    let cell = |n: usize| cells.get(n).copied().unwrap_or_default();
    let Value::Object(row) = json!({"id": cell(1), "city": cell(2), "a b": cell(2), "url": cell(1)}) else {
        unreachable!()
    };
    row
}

// Seen failing with hosts let in that no request can be sent to.
#[test]
fn fuzz_of_templates() {
    let seed = crate::resume::bench::setting("HAUL_FUZZ_SEED", 1);
    Mutation::of(&SAMPLES, &WORDS, seed).run("templates", 1_500, |case, dice| {
        let case = String::from_utf8_lossy(case).into_owned();
        let parts: Vec<&str> = case.splitn(3, '\x1f').collect();
        let template = match Template::compile(&given(parts[0].to_owned(), dice)) {
            Ok(template) => template,
            Err(error) => return outline(&error.why),
        };
        match template.render(row(&parts)) {
            Err(refusal) => outline(&format!("{refusal:?}")),
            Ok((key, request)) => {
                sound(&request);
                // Secrets are those of the flags: a cell names none, whatever stands in it.
                let body = String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
                let all = format!("{} {:?} {body}", request.url, request.headers);
                assert!(secrets_in(&all).iter().all(|named| template.secrets().contains(named)), "{all}");
                assert!(secrets_in(&key).is_empty(), "{key}");
                format!("{} {} {}", request.method, body.len().min(40), key.len().min(70))
            }
        }
    });
}
