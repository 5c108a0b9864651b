//! Stored response bodies as files of a folder.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use haul::store::sqlite::answers::{Answer, Stored};
use serde_json::{Map, Value};

use super::target::{aside, create};
use crate::cli::exit::UsageError;

/// Characters of a key in a file name, at most.
const KEY: usize = 64;

/// A folder for bodies.
pub(super) struct Bodies(PathBuf);

impl Bodies {
    /// Makes the folder, its owner's alone, where it is missing.
    pub(super) fn open(folder: &Path) -> Result<Self, UsageError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let failed = |e| UsageError(format!("failed to make the folder {} for bodies: {e}", folder.display()));
        builder.create(folder).map_err(failed)?;
        Ok(Self(folder.to_owned()))
    }

    /// Writes the body of an answer, if there is one; a file of that name is replaced.
    pub(super) fn write(&self, answer: &Answer) -> std::io::Result<()> {
        let (Some(stored), Some(id)) = (&answer.response, answer.line.id) else { return Ok(()) };
        let to = self.0.join(name(id, answer.line.key.as_deref().unwrap_or_default(), stored));
        let failed = |e: std::io::Error| std::io::Error::new(e.kind(), format!("{}: {e}", to.display()));
        let Some(temporary) = aside(&to) else { return Ok(()) };
        let written = create(&temporary)
            .and_then(|mut file| file.write_all(&stored.body))
            .and_then(|()| fs::rename(&temporary, &to));
        written.map_err(|e| {
            _ = fs::remove_file(&temporary);
            failed(e)
        })
    }
}

/// `17-the_key.json`: the number makes it unlike any other, the key is for people.
fn name(id: i64, key: &str, stored: &Stored) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let key: String = key.chars().take(KEY).map(plain).collect();
    format!("{id}-{key}.{}", extension(stored))
}

fn extension(stored: &Stored) -> &'static str {
    let headers: Map<String, Value> = serde_json::from_str(&stored.headers).unwrap_or_default();
    let said = headers.get("content-type").and_then(Value::as_str).unwrap_or_default();
    let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => "json",
        "application/x-ndjson" | "application/jsonl" => "jsonl",
        "application/pdf" => "pdf",
        "application/xml" | "text/xml" => "xml",
        "image/gif" => "gif",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/svg+xml" => "svg",
        "image/webp" => "webp",
        "text/csv" => "csv",
        "text/html" => "html",
        kind if kind.ends_with("+json") => "json",
        kind if kind.ends_with("+xml") => "xml",
        _ if std::str::from_utf8(&stored.body).is_ok() => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen failing with the key taken as it is.
    #[test]
    fn no_key_leads_out_of_the_folder() {
        let stored = |kind: &str, body: &[u8]| Stored {
            headers: format!(r#"{{"content-type":{kind:?}}}"#),
            body: body.to_vec(),
        };
        let json = stored("application/json; charset=utf-8", b"{}");
        assert_eq!(name(1, "../../etc/passwd", &json), "1-.._.._etc_passwd.json");
        assert_eq!(name(2, "a\0b\n/é", &stored("application/octet-stream", b"\xff")), "2-a_b___.bin");
        assert!(name(3, &"k".repeat(1_000), &json).len() < 100);
        assert_eq!(name(4, "", &stored("", b"text")), "4-.txt");
    }
}
