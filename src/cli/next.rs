//! The next command to type, as a shell takes it.

use std::path::Path;

use clap::CommandFactory;

use super::Cli;
use super::database::without_password;
use super::terminal::visible;

/// Where the jobs of `haul demo` come from, as an import is called. No path that is likely to be given.
pub(crate) const DEMO: &str = "haul demo";

/// Looks at what failed.
pub(crate) const FAILURES: &str = "query 'SELECT * FROM failures'";

/// Looks at what came out.
pub(crate) const RESULTS: &str = "query 'SELECT key, result FROM job_view LIMIT 5'";

/// A command for this database.
pub(crate) fn command(verb: &str, db: &Path) -> String {
    let path = visible(&db.display().to_string());
    let default = if verb == "demo" { "haul-demo.db" } else { "haul.db" };
    match path.as_str() {
        path if path == default => format!("haul {verb}"),
        path => format!("haul --db {} {verb}", word(path)),
    }
}

/// The command that was typed, with this flag too.
pub(crate) fn typed_with(flag: &str) -> String {
    typed(|_| true) + " " + flag
}

/// The command that was typed, with another verb and more flags.
pub(crate) fn typed_as(other: &str, more: &str) -> String {
    let mut words: Vec<_> = all_typed().collect();
    if let Some(verb) = verb(&words) {
        other.clone_into(&mut words[verb]);
    }
    let words = words.iter().map(|text| word(text));
    let words = std::iter::once("haul".to_owned()).chain(words).filter(|word| word != "--json");
    words.chain(Some(more.to_owned()).filter(|more| !more.is_empty())).collect::<Vec<_>>().join(" ")
}

/// Where the verb stands: it is the first word that is neither a flag of all verbs nor the value of one. A database may be
/// called like a verb.
fn verb(words: &[String]) -> Option<usize> {
    let command = Cli::command();
    let with_value = command.get_arguments().filter(|arg| arg.get_action().takes_values());
    let with_value: Vec<_> = with_value.filter_map(|arg| arg.get_long()).map(|long| format!("--{long}")).collect();
    let mut is_value = false;
    words.iter().position(|word| {
        let flag = is_value || word.starts_with('-');
        is_value = !is_value && with_value.contains(word);
        !flag
    })
}

/// The command that was typed, without this flag.
pub(crate) fn typed_without(flag: &str) -> String {
    typed(|word| word != flag)
}

/// The same, where a value may follow the flag.
pub(crate) fn typed_without_its_value(flag: &str) -> String {
    let (mut before, with_value) = (String::new(), format!("{flag}="));
    typed(move |word| {
        let is_value = before == flag && !word.starts_with('-');
        before = word.to_owned();
        word != flag && !word.starts_with(&with_value) && !is_value
    })
}

/// The words that were typed; an address without its password.
fn all_typed() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|word| without_password(&word.to_string_lossy()))
}

fn typed(mut wanted: impl FnMut(&str) -> bool) -> String {
    let words = all_typed().filter(|word| wanted(word)).map(|text| word(&text));
    std::iter::once("haul".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// One word, as a shell takes it.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_names_the_database_as_a_shell_takes_it() {
        assert_eq!(command("resume", Path::new("haul.db")), "haul resume");
        assert_eq!(command("resume", Path::new("a/b.db")), "haul --db a/b.db resume");
        assert_eq!(command("resume", Path::new("it's.db")), r"haul --db 'it'\''s.db' resume");
        assert_eq!(command("demo", Path::new("haul-demo.db")), "haul demo");
        assert_eq!(command("demo", Path::new("haul.db")), "haul --db haul.db demo");
    }
}
