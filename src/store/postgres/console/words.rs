//! The words of a statement that somebody typed: where its parameters stand, and where it ends.

use crate::store::sqlite::console::QueryError;

/// A statement with the values of its parameters in it, each as a literal: PostgreSQL then finds their types as if they had been
/// typed there. Only one is taken.
pub(super) fn filled(sql: &str, given: &[(String, String)]) -> Result<String, QueryError> {
    if sql.contains('\0') {
        return Err(QueryError::Sql { message: "there is a NUL in it".to_owned(), hint: None });
    }
    let (mut filled, mut used, mut rest) = (String::new(), vec![false; given.len()], sql);
    let mut before = ' ';
    while !rest.is_empty() {
        let (word, later) = rest.split_at(length(rest, before));
        rest = later;
        if word == ";" {
            match first(rest) {
                None => break,
                Some(next) => return Err(QueryError::More { next: next.trim().chars().take(40).collect() }),
            }
        }
        before = word.chars().next_back().unwrap_or(' ');
        let Some(name) = word.strip_prefix(':').filter(|name| name.starts_with(begins_name)) else {
            filled.push_str(word);
            continue;
        };
        let place = given.iter().position(|(known, _)| known.trim_start_matches([':', '@', '$']) == name);
        let Some(place) = place else { return Err(QueryError::Unbound { name: word.to_owned() }) };
        used[place] = true;
        filled.push_str(&literal(&given[place].1)?);
    }
    if let Some(unused) = used.iter().position(|used| !used) {
        return Err(QueryError::Unused { name: given[unused].0.trim_start_matches(':').to_owned() });
    }
    match first(&filled) {
        None => Err(QueryError::Nothing),
        Some(_) => Ok(filled),
    }
}

/// In parentheses, as two literals side by side may become one; a `\\` counts for itself whatever the server is set to.
fn literal(value: &str) -> Result<String, QueryError> {
    if value.contains('\0') {
        return Err(QueryError::Sql { message: "there is a NUL in a value".to_owned(), hint: None });
    }
    Ok(format!("(E'{}')", value.replace('\\', "\\\\").replace('\'', "''")))
}

/// From the first word on that is neither space nor comment nor the end of a statement.
fn first(mut text: &str) -> Option<&str> {
    while !text.is_empty() {
        let (word, later) = text.split_at(length(text, ' '));
        let is_nothing =
            word.starts_with(char::is_whitespace) || word == ";" || word.starts_with("--") || word.starts_with("/*");
        if !is_nothing {
            return Some(text);
        }
        text = later;
    }
    None
}

/// The word that begins the text, in upper case.
pub(super) fn verb(sql: &str) -> String {
    let word = first(sql).unwrap_or_default();
    word.chars().take_while(|c| c.is_ascii_alphabetic()).collect::<String>().to_ascii_uppercase()
}

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of the word that a text begins with; `before` it stands this.
fn length(text: &str, before: char) -> usize {
    let first = text.chars().next().unwrap_or(' ');
    let one = first.len_utf8();
    let until = |end: &str| text[one..].find(end).map_or(text.len(), |at| one + at + end.len());
    match first {
        '\'' if before.eq_ignore_ascii_case(&'e') => escaped(text),
        '\'' => until("'"),
        '"' => until("\""),
        '-' if text.starts_with("--") => until("\n"),
        '/' if text.starts_with("/*") => comment(text),
        '$' => dollars(text).unwrap_or(one),
        ':' if text.starts_with("::") => 2,
        ':' => 1 + text[1..].find(|c| !in_name(c)).unwrap_or(text.len() - 1),
        // The `e` of a literal is a word of its own.
        'e' | 'E' if text[one..].starts_with('\'') => one,
        c if in_name(c) => text.find(|c| !in_name(c) && c != '$').unwrap_or(text.len()),
        _ => one,
    }
}

/// `E'..'`, in which a `\` takes the next character with it.
fn escaped(text: &str) -> usize {
    let mut takes = false;
    let end = text[1..].find(|c| {
        let ends = c == '\'' && !takes;
        takes = c == '\\' && !takes;
        ends
    });
    end.map_or(text.len(), |at| at + 2)
}

/// `/* .. /* .. */ .. */`
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let step = match rest {
            _ if rest.starts_with("/*") => {
                depth += 1;
                2
            }
            _ if rest.starts_with("*/") => {
                depth -= 1;
                2
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// `$$ .. $$` or `$tag$ .. $tag$`; `None` where it is neither.
fn dollars(text: &str) -> Option<usize> {
    let tag = 1 + text[1..].find(|c| !in_name(c))?;
    if text[1..].starts_with(|c: char| c.is_ascii_digit()) || !text[tag..].starts_with('$') {
        return None;
    }
    let mark = &text[..=tag];
    Some(text[mark.len()..].find(mark).map_or(text.len(), |at| mark.len() + at + mark.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_becomes_a_literal_and_a_cast_is_none() {
        let given = [("b".to_owned(), "2".to_owned()), (":a".to_owned(), "it's \\".to_owned())];
        let sql = filled("SELECT :a::text, ':x', :b, x[1:2], $$:y;$$, E'\\':z' -- :y", &given).expect("all are given");
        assert_eq!(sql, "SELECT (E'it''s \\\\')::text, ':x', (E'2'), x[1:2], $$:y;$$, E'\\':z' -- :y");
        assert!(matches!(filled("SELECT :c", &[]), Err(QueryError::Unbound { .. })));
        assert!(matches!(filled("SELECT 1", &given), Err(QueryError::Unused { .. })));
    }

    #[test]
    fn one_statement_is_taken_wherever_a_semicolon_may_stand() {
        for fine in ["SELECT ';'", "SELECT 1 ; -- ; x", "SELECT $a$;$a$", "SELECT 1 /* /* ; */ ; */", "SELECT E'\\';'"]
        {
            assert!(filled(fine, &[]).is_ok(), "{fine}");
        }
        for more in ["SELECT 1; SELECT 2", "SELECT ''; DROP TABLE jobs", "SELECT $$ $$; x", "SELECT '\\'; x --'"] {
            assert!(matches!(filled(more, &[]), Err(QueryError::More { .. })), "{more}");
        }
        for nothing in ["", " ; ", "-- x", "/* x */"] {
            assert!(matches!(filled(nothing, &[]), Err(QueryError::Nothing)), "{nothing}");
        }
        assert_eq!(verb(" /* x */ explain SELECT"), "EXPLAIN");
    }
}
