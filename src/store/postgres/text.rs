//! Text that PostgreSQL can hold: all but NUL, which haul lets through in keys, messages and bodies.

use std::borrow::Cow;

use bytes::Bytes;

/// A character that Unicode leaves to a program's own use: `ESCAPE 0` stands for NUL, `ESCAPE 1` for itself.
const ESCAPE: char = '\u{fdd0}';

/// The text as it is kept.
pub(super) fn kept(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => kept.extend([ESCAPE, '0']),
            ESCAPE => kept.extend([ESCAPE, '1']),
            c => kept.push(c),
        }
    }
    Cow::Owned(kept)
}

/// The text as it was.
pub(super) fn read(kept: String) -> String {
    if !kept.contains(ESCAPE) {
        return kept;
    }
    let mut text = String::with_capacity(kept.len());
    let mut chars = kept.chars();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => text.push(if chars.next() == Some('0') { '\0' } else { ESCAPE }),
            c => text.push(c),
        }
    }
    text
}

/// A body in its two columns: text where it is text, so that SQL can read it, else bytes.
pub(super) fn body(body: Option<&[u8]>) -> (Option<&str>, Option<&[u8]>) {
    let Some(bytes) = body else { return (None, None) };
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => (Some(text), None),
        _ => (None, Some(bytes)),
    }
}

/// A body out of its two columns.
pub(super) fn joined(text: Option<String>, bytes: Option<Vec<u8>>) -> Option<Bytes> {
    text.map(Bytes::from).or(bytes.map(Bytes::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_no_two_are_kept_as_one() {
        let texts = ["", "x\0y", "x\u{fdd0}y", "x\u{fdd0}0y", "\0", "\u{fdd0}1", "x", "\0\u{fdd0}\0"];
        let all: std::collections::BTreeSet<_> = texts.iter().map(|text| kept(text).into_owned()).collect();
        assert_eq!(all.len(), texts.len());
        for text in texts {
            assert!(!kept(text).contains('\0'));
            assert_eq!(read(kept(text).into_owned()), text);
        }
    }
}
