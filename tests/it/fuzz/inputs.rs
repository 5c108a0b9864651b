//! Inputs in every format, packed and encoded in every way, damaged before and after.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use haul::import::{Duplicates, Format, Input, Keyed, Options, Source, keys};
use haul::request::Request;
use haul::settings::RequestTemplate;
use haul::template::Template;

use super::mutation::{Mutation, outline};
use crate::random_numbers::Random;

/// Rows in which nothing is wrong, or little.
const SAMPLES: [&[u8]; 14] = [
    b"http://x/1\nhttps://y.example/a%20b?q=1#f\r\nhttp://[::1]:8080/\r# a comment\n\nHTTP://X/2",
    b"url,id,city\nhttp://x/1,1,Berlin\nhttp://x/2,2,\"S\xc3\xa3o \"\"P\"\", aulo\"\r\nhttp://x/3,3,\"two\nlines\"\n",
    b"id;name\n7;a\n8;\"b;c\"\n;\n",
    b"id\tname\n7\ta\n8\tb\n",
    b"\xef\xbb\xbfid,name\n1,a\n",
    b"\xff\xfei\0d\0\n\0\x31\0\n\0",
    b"\xfe\xff\0i\0d\0\n\0\x31\0\n",
    b"{\"url\":\"http://x/1\",\"id\":1}\n{\"url\":\"http://x/2\",\"method\":\"POST\",\"headers\":{\"a\":\"b\"},\"json\":{\"q\":[1,null,true]}}\n",
    b"{\"custom_id\":\"r-1\",\"method\":\"POST\",\"url\":\"http://x/v1/c\",\"body\":{\"model\":\"m\",\"messages\":[]}}\n",
    b"{\"url\":\"http://x/\",\"body_base64\":\"/w==\",\"key\":17}\n{\"url\":\"http://x/\",\"body\":\"t\",\"headers\":[[\"a\",\"1\"],[\"a\",\"2\"]]}\n",
    b"id\r1\r2\r\n3\n\r4\n",
    b"Nr;Stra\xdfe\r\n1;\"M\xfchlweg 3; Hof\"\r\n",
    b"{\"id\":1,\"deep\":[[[[[[[[{\"a\":{\"b\":\"\\ud83d\\ude00\\u0000\"}}]]]]]]]]}\n",
    b"\x82\xb1\x82\xf1,id\n\x83\x5c,\"\x83\x5c\x22\n\x1b$B$\"\x1b(B,1\n",
];

const WORDS: [&[u8]; 34] = [
    b",",
    b";",
    b"\t",
    b"\"",
    b"\"\"",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xff\xfe\0\0",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"18446744073709551616",
    b"null",
    b"\"url\":",
    b"\"key\":",
    b"\"headers\":",
    b"\"body_base64\":\"",
    b"http://",
    b"https://user:pass@h/",
    b"file:///etc/passwd",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"\x28\xb5\x2f\xfd",
    b"\x50\x2a\x4d\x18\x04\0\0\0abcd",
    b"PK\x03\x04",
    b"\xc3",
];

const ENCODINGS: [&str; 12] = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "windows-1252",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "euc-kr",
    "gb18030",
    "big5",
    "gbk",
    "x-user-defined",
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("a Vec takes all");
    packed.finish().expect("a Vec takes all")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("it packs")
}

/// A stream that gives a little at a time, as a pipe may.
struct Slowly(Cursor<Vec<u8>>, Random);

impl Read for Slowly {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let most = out.len().min(1 + self.1.below(5));
        self.0.read(&mut out[..most])
    }
}

/// How it is read, as the dice say.
fn options(dice: &mut Random) -> Options {
    let format = [Format::Auto, Format::Auto, Format::Lines, Format::Csv, Format::Jsonl][dice.below(5)];
    let duplicates = [Duplicates::Refuse, Duplicates::Merge, Duplicates::Keep][dice.below(3)];
    let encoding = dice.percent(40).then(|| ENCODINGS[dice.below(ENCODINGS.len())].parse().expect("a known one"));
    let delimiter = [None, None, None, Some(';'), Some('\t'), Some('x')][dice.below(6)];
    Options { format, delimiter, no_header: dice.percent(10), encoding, duplicates, ..Options::default() }
}

/// What requests are made of the rows.
fn template(dice: &mut Random) -> Arc<Template> {
    let some = |text: &str| Some(text.to_owned());
    let given = match dice.below(4) {
        0 => RequestTemplate {
            url: some("http://x/{{ id }}"),
            json_body: some("{\"n\": {{ id }}}"),
            ..Default::default()
        },
        1 => RequestTemplate {
            url: some("http://x/"),
            body: some("{{ row }}"),
            key: some("{{ id }}"),
            ..Default::default()
        },
        2 => RequestTemplate {
            base_url: some("https://h/v1"),
            headers: vec!["X: {{ id }}".to_owned()],
            ..Default::default()
        },
        _ => RequestTemplate::default(),
    };
    Arc::new(Template::compile(&given).expect("a template"))
}

/// The rows of an input; the last may be why it went no further.
fn read(
    name: &str,
    stream: Box<dyn Read + Send>,
    options: Options,
    template: &Arc<Template>,
) -> Vec<Result<Keyed, String>> {
    let said = |error: &dyn std::error::Error| format!("{error}");
    match Input::open(Source::Reader(name.to_owned(), stream), options) {
        Err(error) => vec![Err(said(&error))],
        Ok(input) => {
            let mut rows = Vec::new();
            for row in keys(input, template.clone()) {
                let broken = row.is_err();
                rows.push(row.map_err(|error| said(&error)));
                if broken {
                    break;
                }
            }
            rows
        }
    }
}

/// What was made can be sent.
pub(super) fn sound(request: &Request) {
    let plain = haul::template::resolve(&request.url, &|_: &_| Ok::<_, ()>("value".to_owned()))
        .expect("every secret has a value");
    let url: http::Uri = plain.parse().unwrap_or_else(|error| panic!("{plain}: {error}"));
    assert!(
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty()),
        "{plain}"
    );
    for (name, value) in &request.headers {
        assert!(http::HeaderName::try_from(name.as_str()).is_ok(), "{name:?}");
        for value in value.as_array().unwrap_or(&vec![value.clone()]) {
            assert!(!value.as_str().unwrap_or_default().contains(['\r', '\n', '\0']), "{name}: {value:?}");
        }
    }
    assert!(request.method.parse::<http::Method>().is_ok(), "{:?}", request.method);
}

/// An input that breaks off may give some rows fewer, as it comes in.
fn same(one: &[Result<Keyed, String>], other: &[Result<Keyed, String>]) -> bool {
    match (one, other) {
        ([one @ .., Err(_)], [other @ .., Err(_)]) => one.iter().zip(other).all(|(one, other)| one == other),
        _ => one == other,
    }
}

/// What came of a row, in few words.
fn outcome(row: &Result<Keyed, String>) -> String {
    match row {
        Err(why) => outline(why),
        Ok(Keyed { job: Err(reject), .. }) => outline(&reject.reason),
        Ok(Keyed { job: Ok(job), .. }) => {
            sound(&job.request);
            format!("{} {} {}", job.request.method, job.request.headers.len(), job.request.body.is_some())
        }
    }
}

// Seen failing with inputs that break off held to the same rows, however they come in.
#[test]
fn fuzz_of_inputs() {
    let seed = crate::resume::bench::setting("HAUL_FUZZ_SEED", 1);
    let mut samples: Vec<Vec<u8>> = SAMPLES.iter().map(|sample| sample.to_vec()).collect();
    samples.extend(SAMPLES.iter().flat_map(|sample| [gzip(sample), zstd(sample)]));
    Mutation::of(&samples, &WORDS, seed).run("inputs", 600, |case, dice| {
        let case = match dice.below(10) {
            0 => gzip(case),
            1 => zstd(case),
            _ => case.to_vec(),
        };
        let (options, template) = (options(dice), template(dice));
        let name = ["-", "a.csv", "a.jsonl", "a.txt", "a.tsv", "a.csv.gz", "a.jsonl.zst"][dice.below(7)];
        let rows = read(name, Box::new(Cursor::new(case.clone())), options, &template);
        let lines = rows.iter().filter_map(|row| row.as_ref().ok()).map(|row| match &row.job {
            Ok(job) => job.line,
            Err(reject) => reject.line,
        });
        assert!(lines.is_sorted_by(|one, next| one < next), "lines in their order");
        let again = read(name, Box::new(Slowly(Cursor::new(case), dice.clone())), options, &template);
        assert!(same(&rows, &again), "the same, however it comes in: {rows:?} and {again:?}");
        let mut ends: Vec<String> = rows.iter().map(outcome).collect();
        ends.dedup();
        ends.truncate(4);
        ends.join("|")
    });
}
