//! Lives that ended badly, kept: for each guard one that misses it, as small as it could be made.
//!
//! `HAUL_TEST_REWRITE=1 cargo test --test it simulation` looks for new ones where the old no longer tell anything, and
//! writes them down.

use std::fs;
use std::path::PathBuf;

use super::life::Life;
use super::nature::Without;

/// A guard that is missing is found out within so many lives.
const SEEDS_TO_SEE: u64 = 4_000;

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

/// Looks for a life that misses this guard, and makes it small.
fn find(without: Without, words: &str) -> String {
    let ends_badly = |life: &Life| life.broken(without).is_some_and(|broken| broken.words.contains(words));
    let Some(life) = (0..SEEDS_TO_SEE).map(Life::new).find(ends_badly) else {
        return format!("nobody misses {without:?}\n");
    };
    life.shrunk(without, words).told(without)
}

#[test]
fn each_guard_is_missed_by_a_life_that_is_kept_and_that_is_sound_with_it() {
    let rewrite = std::env::var_os("HAUL_TEST_REWRITE").is_some();
    let mut stale = Vec::new();
    for (without, words) in Without::GUARDS {
        let path = path(without);
        let mut text = fs::read_to_string(&path).unwrap_or_default();
        let is_true = |text: &str| {
            let life = read(text)?;
            let told = life.told(without);
            (told == *text && told.contains(&format!("broken: ")) && told.contains(words)).then_some(life)
        };
        if is_true(&text).is_none() && rewrite {
            text = find(without, words);
            fs::write(&path, &text).expect("a reproduction written");
        }
        match is_true(&text) {
            None => stale.push(format!("{without:?}")),
            Some(life) => {
                let broken = life.broken(Without::Nothing).map(|broken| broken.words);
                assert_eq!(broken, None, "{without:?}: this life ends badly with every guard in place");
            }
        }
    }
    assert!(
        stale.is_empty(),
        "told otherwise than they are lived, to be found anew with HAUL_TEST_REWRITE=1: {stale:?}"
    );
}
