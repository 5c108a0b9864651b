//! Damage, as a fuzzer does it: good samples are changed a little, and what led to an outcome not met before is a sample too.

use std::collections::HashSet;
use std::time::Duration;

use haul::clock::{Clock, micros, span};

use crate::random_numbers::Random;
use crate::resume::bench::{card, setting};

/// Nothing that is tried here takes this long on the slowest machine; what does, hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// Samples that are kept, at most.
const SAMPLES: usize = 4_000;
/// Bytes of a case, at most.
const LONGEST: usize = 64 << 10;

/// What is changed, and into what.
pub(super) struct Mutation {
    samples: Vec<Vec<u8>>,
    /// Pieces that mean something.
    words: Vec<Vec<u8>>,
    random: Random,
}

impl Mutation {
    pub(super) fn of<S: AsRef<[u8]>, W: AsRef<[u8]>>(samples: &[S], words: &[W], seed: u64) -> Self {
        let bytes = |piece: &W| piece.as_ref().to_vec();
        let samples = samples.iter().map(|sample| sample.as_ref().to_vec()).collect();
        Self { samples, words: words.iter().map(bytes).collect(), random: Random::new(seed) }
    }

    /// A sample, changed in some places.
    fn next(&mut self) -> Vec<u8> {
        let mut case = self.samples[self.random.below(self.samples.len())].clone();
        for _ in 0..self.random.below(6) {
            self.change(&mut case);
        }
        case.truncate(LONGEST);
        case
    }

    fn change(&mut self, case: &mut Vec<u8>) {
        let random = &mut self.random;
        let at = random.below(case.len() + 1);
        let end = (at + random.below(24)).min(case.len());
        match random.below(9) {
            0 | 1 if at < case.len() => case[at] ^= 1 << random.below(8),
            2 => drop(case.drain(at..end)),
            3 => case.truncate(at),
            4 => {
                let again = case[at..end].repeat(1 + random.below(4));
                drop(case.splice(at..at, again));
            }
            5 => drop(case.splice(at..end, (0..random.below(8)).map(|_| random.below(256) as u8))),
            6 => {
                let other = &self.samples[random.below(self.samples.len())];
                let from = random.below(other.len() + 1);
                let to = (from + random.below(200)).min(other.len());
                drop(case.splice(at..end, other[from..to].iter().copied()));
            }
            _ if !self.words.is_empty() => {
                let word = &self.words[random.below(self.words.len())];
                let end = if random.percent(50) { at } else { end };
                drop(case.splice(at..end, word.iter().copied()));
            }
            _ => case.push(random.below(256) as u8),
        }
    }

    /// Tries so many cases, or as many as the time in the environment allows. `target` says in few words what came of one; it
    /// panics where that must not be.
    pub(super) fn run(mut self, name: &str, cases: u64, mut target: impl FnMut(&[u8], &mut Random) -> String) {
        let clock = Clock::start();
        let began_us = clock.now_us();
        let seconds = setting("HAUL_FUZZ_SECONDS", 0);
        let mut seen: HashSet<String> = HashSet::new();
        let (mut tried, mut longest_us) = (0, 0);
        while if seconds > 0 { clock.now_us() - began_us < micros(Duration::from_secs(seconds)) } else { tried < cases }
        {
            let case = self.next();
            let mut dice = self.random.clone();
            let from_us = clock.now_us();
            let outcome = shown_where_it_panics(&case, || target(&case, &mut dice));
            let took_us = clock.now_us() - from_us;
            assert!(
                took_us < micros(PATIENCE),
                "{name}: it took {:?}: {:?}",
                span(took_us),
                case.escape_ascii().to_string()
            );
            longest_us = longest_us.max(took_us);
            if seen.len() < SAMPLES && seen.insert(outcome) {
                self.samples.push(case);
            }
            tried += 1;
        }
        card(&format!(
            "fuzz of {name}: {tried} cases, {} outcomes, the longest took {:?}",
            seen.len(),
            span(longest_us)
        ));
        assert!(seen.len() > 5, "{name}: it all ends alike: {seen:?}");
    }
}

/// A case that panics is a case to be written down.
fn shown_where_it_panics<T>(case: &[u8], tried: impl FnOnce() -> T) -> T {
    struct Shown<'c>(&'c [u8]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let aside = std::env::temp_dir().join("haul-fuzz-case");
                // An error here leaves what is shown.
                let _ = std::fs::write(&aside, self.0);
                let text: String = self.0.escape_ascii().to_string().chars().take(4_000).collect();
                card(&format!("the case, which is in {}: b\"{text}\"", aside.display()));
            }
        }
    }
    let shown = Shown(case);
    let tried = tried();
    std::mem::forget(shown);
    tried
}

/// What is said, without what is different every time.
pub(super) fn outline(text: &str) -> String {
    let letters = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let mut outline: String = text.chars().map(letters).filter(|c| c.is_ascii()).take(60).collect();
    while outline.contains("00") {
        outline = outline.replace("00", "0");
    }
    outline
}
