//! A job as a command for `sh` that sends the same request with curl: same method, target, headers and body. Secrets are named,
//! never written.

use haul::secret::{Escape, Part, parts};
use haul::settings::Settings;
use haul::store::sqlite::detail::Detail;
use serde_json::Value;

use crate::cli::terminal::visible;

/// Bytes of an argument, at most; a longer body comes through a pipe (a kernel refuses arguments of 128 KiB).
const ARGUMENT: usize = 64 << 10;

/// `urlencode VALUE`: percent-encodes everything but letters, digits and `-._~`.
const URLENCODE: &str = r#"urlencode() { printf %s "$1" | od -An -v -tx1 | LC_ALL=C awk '{ for (i = 1; i <= NF; i++) { h = "0123456789abcdef"
  n = (index(h, substr($i, 1, 1)) - 1) * 16 + index(h, substr($i, 2)) - 1; c = sprintf("%c", n)
  printf "%s", (n < 128 && c ~ /[A-Za-z0-9._~-]/) ? c : "%" toupper($i) } }'; }
"#;

/// `jsonencode VALUE`: as it stands between the quotes of a JSON string.
const JSONENCODE: &str = r#"jsonencode() { printf %s "$1" | od -An -v -tx1 | LC_ALL=C awk '{ for (i = 1; i <= NF; i++) { h = "0123456789abcdef"
  n = (index(h, substr($i, 1, 1)) - 1) * 16 + index(h, substr($i, 2)) - 1
  if (n == 34 || n == 92) printf "\\%c", n
  else if (n == 8 || n == 9 || n == 10 || n == 12 || n == 13) printf "\\%s", substr("btn-fr", n - 7, 1)
  else if (n < 32) printf "\\u00%s", $i
  else printf "%c", n } }'; }
"#;

/// The command, with comments that say what to set and what is not in it.
pub(super) fn command(job: &Detail, settings: &Settings) -> String {
    let mut script = Script::default();
    let url = script.word(&job.url);
    let mut command = format!("curl --globoff --url {url}");
    let method = job.line.method.as_deref().unwrap_or("GET");
    let body = job.body.as_deref();
    match (method, body) {
        ("GET", None) => {}
        ("HEAD", None) => command += " --head",
        _ => command += &format!(" -X {}", quoted(method)),
    }
    let mut named = Vec::new();
    for (name, values) in &job.headers {
        named.push(name.to_ascii_lowercase());
        let one = std::slice::from_ref(values);
        for value in values.as_array().map_or(one, Vec::as_slice).iter().filter_map(Value::as_str) {
            // curl takes `Name:` as "without it", and `Name;` as an empty one.
            let line = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
            command += &format!(" \\\n  -H {}", script.word(&line));
        }
    }
    let has = |name: &str| named.iter().any(|known| known == name);
    if !has("user-agent") {
        command += &format!(" \\\n  -A haul/{}", env!("CARGO_PKG_VERSION"));
    }
    if !has("accept-encoding") {
        command += " --compressed";
    }
    if body.is_some() && !has("content-type") {
        command += " -H 'Content-Type:'"; // curl would call it a form
    }
    if body.is_some() && !has("expect") {
        command += " -H 'Expect:'"; // curl would ask first before it sends a large one
    }
    command += &connection(settings);
    let before = body.map(|body| script.body(body, &mut command)).unwrap_or_default();
    let carries_key = matches!(method, "POST" | "PATCH") && settings.idempotency_header.is_some();
    if let (true, Some(name)) = (carries_key, &settings.idempotency_header)
        && !has(&name.to_ascii_lowercase())
    {
        script.notes.push(format!("a run also sends {}, which is new for each request", visible(name)));
    }
    script.wrap(&format!("{before}{command}\n"))
}

/// How a run connects.
fn connection(settings: &Settings) -> String {
    let mut flags = match &settings.proxy {
        Some(proxy) => format!(" --proxy {}", quoted(proxy)),
        None => " --noproxy '*'".to_owned(), // a run takes no proxy from the environment
    };
    if let Some(file) = &settings.ca_file {
        flags += &format!(" --cacert {}", quoted(&file.display().to_string()));
    }
    if settings.insecure {
        flags += " --insecure";
    }
    format!(" \\\n {flags}")
}

/// What a command needs before it.
#[derive(Default)]
struct Script {
    notes: Vec<String>,
    urlencode: bool,
    jsonencode: bool,
}

impl Script {
    /// Stored text as one word of a shell.
    fn word(&mut self, text: &str) -> String {
        let words: Vec<_> = parts(text)
            .into_iter()
            .map(|part| match part {
                Part::Text(text) if is_plain(text) => quoted(text),
                Part::Text(text) => format!("\"$(printf {})\"", octal(text.as_bytes())),
                Part::Secret(name, escape) => self.secret(&name.to_string(), escape),
            })
            .collect();
        if words.is_empty() { "''".to_owned() } else { words.concat() }
    }

    /// How a shell knows a secret: `env(NAME)`, `file(PATH)`, or another kind that is given anew each time.
    fn secret(&mut self, called: &str, escape: Escape) -> String {
        let (kind, name) = called.trim_end_matches(')').split_once('(').unwrap_or(("", called));
        let value = match kind {
            "env" if is_variable(name) => format!("\"${name}\""),
            "env" => format!("\"$(printenv {})\"", quoted(name)),
            "file" => format!("\"$(cat -- {})\"", quoted(name)),
            _ => {
                let variable = variable(name);
                let note = format!("set {variable}: {} was given by flag, and is not stored", visible(name));
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
                format!("\"${variable}\"")
            }
        };
        match escape {
            Escape::None => value,
            Escape::Url => {
                self.urlencode = true;
                format!("\"$(urlencode {value})\"")
            }
            Escape::Json => {
                self.jsonencode = true;
                format!("\"$(jsonencode {value})\"")
            }
        }
    }

    /// The body: an argument where it can be one, else what goes through a pipe before the command.
    fn body(&mut self, body: &[u8], command: &mut String) -> String {
        let text = std::str::from_utf8(body).ok();
        if let Some(text) = text.filter(|text| text.len() < ARGUMENT && is_plain(text)) {
            *command += &format!(" \\\n  --data-raw {}", self.word(text));
            return String::new();
        }
        *command += " \\\n  --data-binary @-";
        let Some(text) = text else { return format!("printf {} | ", octal(body)) };
        let mut pieces = Vec::new();
        for part in parts(text) {
            pieces.push(match part {
                Part::Text(text) if is_plain(text) => format!("printf %s {}", quoted(text)),
                Part::Text(text) => format!("printf {}", octal(text.as_bytes())),
                Part::Secret(name, escape) => format!("printf %s {}", self.secret(&name.to_string(), escape)),
            });
        }
        format!("{{ {}; }} | ", pieces.join("; "))
    }

    fn wrap(self, command: &str) -> String {
        let mut text = String::new();
        for note in &self.notes {
            text += &format!("# {note}\n");
        }
        for (needed, function) in [(self.urlencode, URLENCODE), (self.jsonencode, JSONENCODE)] {
            if needed {
                text += function;
            }
        }
        text + command
    }
}

/// May stand in a terminal as it is; line breaks may, tabs too.
fn is_plain(text: &str) -> bool {
    text.split(['\n', '\t']).all(|line| {
        parts(line).into_iter().all(|part| if let Part::Text(text) = part { visible(text) == text } else { true })
    })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A format of `printf` that writes these bytes; every shell knows octal.
fn octal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 + 2);
    text.push('\'');
    for &byte in bytes {
        match byte {
            b' '..=b'~' if !b"'\\%".contains(&byte) => text.push(char::from(byte)),
            _ => text += &format!("\\{byte:03o}"),
        }
    }
    text.push('\'');
    text
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `Authorization` is `$AUTHORIZATION`.
fn variable(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if is_variable(&name) { name } else { format!("_{name}") }
}
