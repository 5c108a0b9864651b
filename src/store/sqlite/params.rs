//! Named parameters. sqlx binds by number only, so `:name`, `@name` and `$name` become `?1`, `?2`, ..

use super::console::QueryError;

/// A statement whose parameters are numbered, and the values given for them, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbered<'p> {
    pub(super) sql: String,
    pub(super) values: Vec<&'p str>,
}

/// What a given value is bound as.
#[derive(Debug, PartialEq)]
pub(super) enum Bound<'p> {
    Integer(i64),
    Real(f64),
    Text(&'p str),
}

/// An integer or a real where the text is just how one is written, so that nothing is lost: `007` stays text.
pub(super) fn bound(text: &str) -> Bound<'_> {
    if let Ok(n) = text.parse::<i64>()
        && n.to_string() == text
    {
        return Bound::Integer(n);
    }
    let real = text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    match text.parse::<f64>() {
        Ok(x) if real && !text.ends_with('.') && !text.starts_with('.') => Bound::Real(x),
        _ => Bound::Text(text),
    }
}

/// Numbers the parameters of a statement by the names that were given.
pub(super) fn number<'p>(sql: &str, given: &'p [(String, String)]) -> Result<Numbered<'p>, QueryError> {
    let mut numbered = Numbered { sql: String::with_capacity(sql.len()), values: Vec::new() };
    let mut places: Vec<Option<usize>> = vec![None; given.len()];
    let mut rest = sql;
    while !rest.is_empty() {
        let length = token(rest);
        let (now, later) = rest.split_at(length);
        rest = later;
        let Some(name) = now.strip_prefix([':', '@', '$']).filter(|name| !name.is_empty()) else {
            numbered.sql.push_str(now);
            continue;
        };
        let Some(at) = given.iter().position(|(known, _)| bare(known) == name) else {
            return Err(QueryError::Unbound { name: now.to_owned() });
        };
        let place = *places[at].get_or_insert_with(|| {
            numbered.values.push(&given[at].1);
            numbered.values.len()
        });
        numbered.sql.push_str(&format!("?{place}"));
    }
    match places.iter().position(Option::is_none) {
        Some(unused) => Err(QueryError::Unused { name: bare(&given[unused].0).to_owned() }),
        None => Ok(numbered),
    }
}

/// `-p :name x` means what `-p name x` does.
fn bare(name: &str) -> &str {
    name.strip_prefix([':', '@', '$']).unwrap_or(name)
}

/// Length of the token at the start of what is left, as far as it matters here: text, names and comments, in which a `:`
/// means nothing, are one token each; so is a parameter; anything else is a character. Never 0, always between characters.
fn token(sql: &str) -> usize {
    let first = sql.chars().next().map_or(0, char::len_utf8);
    let until = |end: &str| sql[first..].find(end).map_or(sql.len(), |at| first + at + end.len());
    match sql.as_bytes()[0] {
        // A doubled quote is two tokens side by side, which comes to the same.
        quote @ (b'\'' | b'"' | b'`') => until(char::from(quote).encode_utf8(&mut [0; 4])),
        b'[' => until("]"),
        b'-' if sql.starts_with("--") => until("\n"),
        b'/' if sql.starts_with("/*") => sql[2..].find("*/").map_or(sql.len(), |at| at + 4),
        _ => first + sql[first..].find(|c| !in_name(c)).unwrap_or(sql.len() - first).min(name_room(sql)),
    }
}

/// A name goes on as long as it can; a parameter too; any other character stands alone.
fn name_room(sql: &str) -> usize {
    let starts = sql.starts_with([':', '@', '$']) || sql.starts_with(in_name);
    if starts { usize::MAX } else { 0 }
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), format!("<{name}>"))).collect()
    }

    #[test]
    fn a_parameter_is_numbered_at_its_first_use_and_found_in_every_form() {
        let given = given(&["b", ":a"]);
        let numbered = number("SELECT :a, @b, $a, x.y FROM t", &given).expect("all are given");
        assert_eq!(numbered.sql, "SELECT ?1, ?2, ?1, x.y FROM t");
        assert_eq!(numbered.values, ["<:a>", "<b>"]);
    }

    #[test]
    fn text_names_and_comments_hold_no_parameters() {
        for sql in [
            "SELECT ':a', 'it''s :a'",
            "SELECT \":a\", [:a], `:a`",
            "SELECT 1 -- :a",
            "SELECT 1 -- :a\n, 2",
            "SELECT /* :a '*/ 1",
            "SELECT a$b, größe$x FROM t",
            "SELECT x ->> '$.a' FROM t",
            "SELECT 'open :a",
            "SELECT /* open :a",
            "SELECT 12:34",
        ] {
            let same = number(sql, &[]);
            // `12:34` has a parameter, as SQLite sees it too.
            assert_eq!(same.is_ok(), !sql.contains("12:"), "{sql}: {same:?}");
            assert!(same.is_err() || same.expect("just seen").sql == sql);
        }
    }

    #[test]
    fn a_parameter_without_a_value_and_a_value_without_a_parameter_are_errors() {
        assert!(matches!(number("SELECT :a", &[]), Err(QueryError::Unbound { name }) if name == ":a"));
        assert!(matches!(number("SELECT 1", &given(&["a"])), Err(QueryError::Unused { name }) if name == "a"));
    }

    #[test]
    fn a_number_is_bound_as_one_only_where_nothing_is_lost() {
        assert_eq!(bound("12"), Bound::Integer(12));
        assert_eq!(bound("-1.50"), Bound::Real(-1.5));
        for text in ["007", "+1", "1e5", "", "1.", ".5", "1.2.3", "inf", "NaN", "99999999999999999999", "a"] {
            assert_eq!(bound(text), Bound::Text(text));
        }
    }
}
