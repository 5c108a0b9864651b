//! Lives that ended badly, kept: for each guard one that misses it, as small as it could be made.
//!
//! One that is missing is looked for each time; `HAUL_TEST_REWRITE=1 cargo test --test it simulation` writes it down.

use std::fs;
use std::path::PathBuf;

use super::life::Life;
use super::nature::Without;

/// A guard that is missing is found out within so many lives.
const SEEDS_TO_SEE: u64 = 1_500;

fn path(without: Without) -> PathBuf {
    let mut name = String::new();
    for letter in format!("{without:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/simulation/reproductions").join(name + ".txt")
}

/// The life that a reproduction tells.
fn read(text: &str) -> Option<Life> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let steps = field("steps")?.split_whitespace().map(|step| step.parse().ok());
    Some(Life {
        seed: field("seed")?.parse().ok()?,
        keys: field("keys")?.parse().ok()?,
        steps: steps.collect::<Option<_>>()?,
    })
}

/// A life that misses this guard.
fn find(without: Without, words: &str) -> Option<Life> {
    let ends_badly = |life: &Life| life.broken(without).is_some_and(|broken| broken.words.contains(words));
    (0..SEEDS_TO_SEE).map(Life::new).find(ends_badly)
}

/// The life that is kept for a guard, if it is told as it is lived, and ends as it must.
fn kept(text: &str, without: Without, words: &str) -> Option<Life> {
    let life = read(text)?;
    let told = life.told(without);
    let broken = told.lines().find_map(|line| line.strip_prefix("broken: "))?;
    (told == *text && broken.contains(words)).then_some(life)
}

#[test]
fn each_guard_is_missed_by_a_life_that_is_sound_with_it() {
    let rewrite = std::env::var_os("HAUL_TEST_REWRITE").is_some();
    let mut wrong = Vec::new();
    for (without, words) in Without::GUARDS {
        let path = path(without);
        let life = match fs::read_to_string(&path) {
            Ok(text) if kept(&text, without, words).is_some() => read(&text),
            Ok(_) if !rewrite => None, // told otherwise than it is lived
            kept => {
                kept.is_ok().then(|| fs::remove_file(&path).expect("a stale reproduction removed"));
                find(without, words)
            }
        };
        let Some(life) = life else {
            wrong.push(format!("{without:?}"));
            continue;
        };
        if rewrite && !path.exists() {
            fs::write(&path, life.clone().shrunk(without, words).told(without)).expect("a reproduction written");
        }
        let broken = life.broken(Without::Nothing).map(|broken| broken.words);
        assert_eq!(broken, None, "{without:?}: this life ends badly with every guard in place");
    }
    assert!(wrong.is_empty(), "nobody misses these, or not as it is kept (HAUL_TEST_REWRITE=1 looks anew): {wrong:?}");
}
