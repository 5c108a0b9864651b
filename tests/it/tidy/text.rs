//! Just enough reading of Rust and SQL for the law: no parser, so its samples say what it understands.

/// The text without comments; every line stays on its line.
pub(crate) fn code(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", &line[..comment_at(line)])).collect()
}

/// Where the comment of a line begins: `//` at its start or after a space, so that URLs are none.
fn comment_at(line: &str) -> usize {
    let after_space = |at: usize| line[..at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices("//").map(|(at, _)| at).find(|at| after_space(*at)).unwrap_or(line.len())
}

/// The code without its unit tests, which stand at the end of a file.
pub(crate) fn shipped(text: &str) -> String {
    let code = code(text);
    let end = code.find("#[cfg(test)]\nmod ").unwrap_or(code.len());
    code[..end].to_owned()
}

/// The lines on which this stands as a whole word, from 1.
pub(crate) fn lines_with(text: &str, word: &str) -> Vec<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let (opens, closes) = (word.starts_with(part), word.ends_with(part));
    let whole = |line: &str, at: usize| {
        let before = opens && line[..at].ends_with(part);
        let after = closes && line[at + word.len()..].starts_with(part);
        !before && !after
    };
    let has = |line: &str| line.match_indices(word).any(|(at, _)| whole(line, at));
    (1..).zip(text.lines()).filter(|(_, line)| has(line)).map(|(n, _)| n).collect()
}

/// The modules of this crate that the code names: `crate::job`, `crate::{job, store::Store}`.
pub(crate) fn modules_named(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(group) => named.extend(heads(group)),
            None => named.push(head(rest)),
        }
    }
    named
}

/// The first name of every path in a `use` group whose brace is open.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 1;
    let mut heads = vec![head(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(head(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn head(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The SQL without comments and without what stands in quotes.
pub(crate) fn bare_sql(text: &str) -> String {
    let code: String = text.lines().map(|line| format!("{}\n", line.split("--").next().unwrap_or(line))).collect();
    code.split('\'').step_by(2).collect()
}
