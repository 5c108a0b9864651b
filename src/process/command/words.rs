//! A command line, split into words like a shell would, but not understood like one.

use super::CommandError;

/// What a shell would act on where it stands for itself.
const OPERATORS: [&str; 9] = ["|", "||", "|&", "&", "&&", ";", ">", ">>", "<"];

/// The words of a line: between blanks, with `'..'`, `".."` and `\` as in a shell. Nothing is expanded.
///
/// # Errors
/// A quote that is not closed, and what only a shell could do.
pub(super) fn split(line: &str) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut chars = line.chars();
    let mut word: Option<String> = None;
    let mut quoted = false;
    loop {
        let c = chars.next();
        match c {
            None | Some(' ' | '\t' | '\n') => {
                if let Some(done) = word.take() {
                    refuse_shell(&done, quoted, words.is_empty())?;
                    words.push(done);
                }
                quoted = false;
                if c.is_none() {
                    return Ok(words);
                }
            }
            Some(quote @ ('\'' | '"')) => {
                quoted = true;
                to_quote(&mut chars, quote, word.get_or_insert_default())?;
            }
            Some('\\') => match chars.next() {
                None => return Err(CommandError::Backslash),
                Some('\n') => {} // the line goes on
                Some(c) => {
                    quoted = true;
                    word.get_or_insert_default().push(c);
                }
            },
            Some(c) => word.get_or_insert_default().push(c),
        }
    }
}

/// Takes what stands up to the closing quote.
fn to_quote(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), CommandError> {
    loop {
        match chars.next().ok_or(CommandError::Quote(quote))? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next().ok_or(CommandError::Quote(quote))? {
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                '\n' => {}
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

/// Who writes a pipe means a shell; the program would be given it as a word.
fn refuse_shell(word: &str, quoted: bool, first: bool) -> Result<(), CommandError> {
    if quoted {
        return Ok(());
    }
    match word.split_once('=') {
        _ if OPERATORS.contains(&word) => Err(CommandError::Shell(word.to_owned())),
        Some((name, _)) if first && is_name(name) => Err(CommandError::Assignment(name.to_owned())),
        _ => Ok(()),
    }
}

/// Whether this may be the name of a variable.
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen failing with the backslash left in double quotes.
    #[test]
    fn words_are_those_of_a_shell() {
        let table: [(&str, &[&str]); 10] = [
            ("", &[]),
            (" python3  x.py\t-v\n", &["python3", "x.py", "-v"]),
            (r#"a 'b c' "d e""#, &["a", "b c", "d e"]),
            (r#"a'b'"c"d"#, &["abcd"]),
            (r#"'' """#, &["", ""]),
            (r"a\ b \'", &["a b", "'"]),
            (r#""a\"b\\c\d$" 'a\b'"#, &["a\"b\\c\\d$", "a\\b"]),
            ("$HOME ~ *.py #", &["$HOME", "~", "*.py", "#"]),
            ("sh -c 'a | b > c'", &["sh", "-c", "a | b > c"]),
            ("x '|' A=1", &["x", "|", "A=1"]),
        ];
        for (line, words) in table {
            assert_eq!(split(line).expect("words"), words, "{line}");
        }
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused() {
        let said = |line| split(line).expect_err("refused").to_string();
        assert_eq!(said("a 'b"), "a quote is not closed: '");
        assert_eq!(said(r#"a "b\"#), "a quote is not closed: \"");
        assert_eq!(said(r"a \"), "it ends with a backslash");
        let shell = "no shell runs it, so `|` would be a word for the program; write cmd:sh -c '..', or quote it";
        assert_eq!(said("a | b"), shell);
        assert!(said("A=1 b").ends_with("write --pass-env A"));
    }
}
