//! Limits on what comes from outside, so that no response can exhaust a CPU thread's stack or time.

/// How deep JSON may nest, in and out. Every reader copes with this much: serde_json stops at 127, and an export wraps it.
pub(super) const MAX_NESTING: usize = 100;

/// How many digits a number may have: reading a longer one takes time that grows with the square of its length.
const MAX_DIGITS: usize = 10_000;

/// How long a message may be, in characters.
pub(super) const MAX_MESSAGE: usize = 500;

/// Cuts a message to [`MAX_MESSAGE`] characters.
pub(super) fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_MESSAGE) {
        text.truncate(end);
        text.push_str(" ..");
    }
    text
}

/// The beginning of a text, fit to stand within a line.
pub(super) fn shown(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.len() < text.len() {
        shown.push_str(" ..");
    }
    shown
}

/// Whether reading this text as JSON is harmless. Says nothing about whether it is JSON.
///
/// # Errors
/// What would make it harmful, as in "the response ..".
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let (mut nesting, mut digits) = (0_usize, 0_usize);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        match byte {
            b'[' | b'{' => nesting += 1,
            b']' | b'}' => nesting = nesting.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            // jaq's reader skips a comment to the end of its line; a quote in it would put us out of step.
            b'#' => return Err("has a comment in its JSON"),
            _ => {}
        }
        if nesting > MAX_NESTING {
            return Err("nests deeper than 100 levels");
        }
        if digits > MAX_DIGITS {
            return Err("holds a number of more than 10,000 digits");
        }
    }
    Ok(())
}

/// To the end of a string whose opening quote was read.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_strings_only() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(check(&deep(100)), Ok(()));
        assert_eq!(check(&deep(101)), Err("nests deeper than 100 levels"));
        assert_eq!(check(&format!(r#"["\"{}"]"#, "[".repeat(1_000))), Ok(()));
    }

    #[test]
    fn a_quote_in_a_comment_cannot_hide_nesting() {
        assert!(check(&format!("[#\"\n{}", "[".repeat(1_000))).is_err());
    }

    #[test]
    fn an_endless_number_is_refused_a_long_text_of_digits_is_not() {
        let digits = "1".repeat(10_001);
        assert!(check(&digits).is_err());
        assert_eq!(check(&format!("\"{digits}\"")), Ok(()));
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        assert_eq!(cut("é".repeat(501)), "é".repeat(500) + " ..");
        assert_eq!(cut("é".repeat(500)), "é".repeat(500));
    }
}
