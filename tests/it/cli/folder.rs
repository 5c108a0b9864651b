//! A folder in which the program is called, and what it said.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use tempfile::TempDir;

/// Nothing here takes this long on the slowest machine; what does, hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own, empty at first.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// A folder with this file in it.
    pub(super) fn with(name: &str, text: &str) -> Self {
        let folder = Self::new();
        folder.write(name, text);
        folder
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The names of what is in it, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("the folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The files in which these bytes stand.
    pub(super) fn files_with(&self, bytes: &[u8]) -> Vec<String> {
        let holds = |name: &String| {
            let text = fs::read(self.path(name)).expect("a file");
            text.windows(bytes.len()).any(|window| window == bytes)
        };
        self.names().into_iter().filter(holds).collect()
    }

    /// A call of the program in this folder.
    pub(super) fn haul<A: AsRef<std::ffi::OsStr>>(&self, args: &[A]) -> Call {
        self.call(env!("CARGO_BIN_EXE_haul"), args)
    }

    /// A line of shell in this folder, in which `haul` is the program.
    pub(super) fn shell(&self, line: &str) -> Call {
        let bin = Path::new(env!("CARGO_BIN_EXE_haul")).parent().expect("a folder").display().to_string();
        self.call("sh", &["-c", line]).env("PATH", &format!("{bin}:{}", path_variable()))
    }

    /// Nothing of the environment that the tests run in reaches the program.
    fn call<A: AsRef<std::ffi::OsStr>>(&self, program: &str, args: &[A]) -> Call {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.0.path()).env_clear().env("PATH", path_variable()).timeout(PATIENCE);
        Call(command)
    }
}

/// Whether there is such a program on this machine; what is checked with it is a matter of convenience.
pub(super) fn installed(program: &str) -> bool {
    std::env::split_paths(&path_variable()).any(|folder| folder.join(program).is_file())
}

fn path_variable() -> String {
    std::env::var("PATH").expect("a PATH")
}

/// A call that is about to be made.
pub(super) struct Call(Command);

impl Call {
    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    pub(super) fn below(mut self, folder: &str) -> Self {
        let at = self.0.get_current_dir().expect("a folder").join(folder);
        self.0.current_dir(at);
        self
    }

    pub(super) fn stdin(mut self, text: &str) -> Self {
        self.0.write_stdin(text);
        self
    }

    /// Makes the call, which ends with this exit code.
    #[track_caller]
    pub(super) fn exits(self, code: i32) -> Said {
        let (ended, said) = self.ends();
        assert_eq!(ended, Some(code), "{said:?}");
        said
    }

    /// Makes the call, however it ends.
    pub(super) fn ends(mut self) -> (Option<i32>, Said) {
        let output = self.0.output().expect("a process");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), Said { out: text(&output.stdout), err: text(&output.stderr) })
    }
}

/// What the program said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
}

impl Said {
    /// All of stdout. `[..]` stands for anything within a line, a line `...` for any lines.
    #[track_caller]
    pub(super) fn out_is(self, expected: &str) -> Self {
        assert!(fits(expected, &self.out), "expected:\n{expected}\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// All of stderr, in the same way.
    #[track_caller]
    pub(super) fn err_is(self, expected: &str) -> Self {
        assert!(fits(expected, &self.err), "expected:\n{expected}\nstderr:\n{}", self.err);
        self
    }

    /// Words of stderr.
    #[track_caller]
    pub(super) fn err_has(self, words: &str) -> Self {
        assert!(self.err.contains(words), "no `{words}` in stderr:\n{}", self.err);
        self
    }

    /// Words of stdout.
    #[track_caller]
    pub(super) fn out_has(self, words: &str) -> Self {
        assert!(self.out.contains(words), "no `{words}` in stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Stdout, where it is JSON.
    #[track_caller]
    pub(super) fn rows(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}:\n{}", self.out))
    }
}

/// Whether this is the text; `[..]` stands for anything within a line, a line `...` for any lines.
pub(super) fn fits(expected: &str, text: &str) -> bool {
    let (expected, text): (Vec<_>, Vec<_>) = (expected.lines().collect(), text.lines().collect());
    lines_fit(&expected, &text)
}

fn lines_fit(expected: &[&str], text: &[&str]) -> bool {
    match expected {
        [] => text.is_empty(),
        ["...", rest @ ..] => (0..=text.len()).any(|skipped| lines_fit(rest, &text[skipped..])),
        [first, rest @ ..] => {
            text.split_first().is_some_and(|(line, more)| line_fits(first, line) && lines_fit(rest, more))
        }
    }
}

fn line_fits(expected: &str, line: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|line| {
            line.char_indices().map(|(at, _)| at).chain([line.len()]).any(|at| line_fits(rest, &line[at..]))
        }),
    }
}

#[test]
fn the_wildcards_stand_for_what_they_should() {
    for (expected, text, fit) in [
        ("a[..]c\n", "abc\n", true),
        ("a[..]c", "abcd", false),
        ("a\n...\nc", "a\nb\nb\nc", true),
        ("...", "", true),
        ("a", "a\nb", false),
        ("[..] ms", "0.1 ms", true),
        ("", "a", false),
    ] {
        assert_eq!(fits(expected, text), fit, "{expected:?} {text:?}");
    }
}
