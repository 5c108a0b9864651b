//! The question before something that costs requests or drops work.

use std::io::{self, BufRead, IsTerminal, Write};

use super::exit::UsageError;
use super::next;

/// Whether to go ahead: as told, or as answered on a terminal. Without a terminal nobody can answer, and to guess would be
/// wrong in half of all cases.
pub(crate) fn confirm(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let text = format!("there is no terminal to ask on; to go ahead type `{}`", next::typed_with("--yes"));
        return Err(UsageError(text).into());
    }
    let agreed = ask(question, &mut io::stdin().lock(), &mut anstream::stderr())?;
    if !agreed {
        // Where stderr is closed there is nobody to tell.
        let _ = writeln!(anstream::stderr(), "nothing was changed");
    }
    Ok(agreed)
}

/// Only a clear yes is one; the end of the input is none.
fn ask(question: &str, input: &mut impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    if input.read_line(&mut answer)? == 0 {
        writeln!(out)?;
    }
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        for (answer, agreed) in [
            ("y\n", true),
            ("Yes\r\n", true),
            (" Y \n", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yep\n", false),
            ("no\ny\n", false),
        ] {
            let mut out = Vec::new();
            assert_eq!(ask("Do it?", &mut answer.as_bytes(), &mut out).expect("an answer"), agreed, "{answer:?}");
            assert!(out.starts_with(b"Do it? [y/N] "));
        }
    }
}
