//! A row of the suite, and what it found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use haul::clock::{Clock, Micros, SECOND_US};
use serde_json::Value;

use crate::card;
use crate::rate::busy;
use crate::resume::bench::setting;

/// A promise, and what tries it.
pub(crate) struct Row {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// What is done, for people.
    pub(crate) what: &'static str,
    /// Tries it. Panics where the promise does not hold; figures are noted before they are judged.
    pub(crate) run: fn(&mut Figures),
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Ci,
    Long,
}

impl Size {
    fn chosen() -> Self {
        match std::env::var("HAUL_TORTURE").as_deref() {
            Err(_) | Ok("ci") => Self::Ci,
            Ok("long") => Self::Long,
            Ok(other) => panic!("HAUL_TORTURE is `ci` or `long`, not `{other}`"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Long => "long",
        }
    }
}

/// A long row says where it is, so often.
const EVERY_US: Micros = 60 * SECOND_US;

/// What a row notes on its way.
pub(crate) struct Figures {
    pub(crate) size: Size,
    noted: Vec<(String, Value)>,
    skipped: Option<String>,
    clock: Clock,
    told_us: Micros,
}

impl Figures {
    /// Notes a figure, in place of an earlier one of that name.
    pub(crate) fn note(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.noted.iter_mut().find(|(noted, _)| noted == name) {
            Some((_, noted)) => *noted = value,
            None => self.noted.push((name.to_owned(), value)),
        }
        let now_us = self.clock.now_us();
        if self.size == Size::Long && now_us - self.told_us >= EVERY_US {
            self.told_us = now_us;
            card::so_far(&self.noted);
        }
    }

    /// How many of something: what the environment says, else by the size. Noted under this name.
    pub(crate) fn many(&mut self, name: &str, variable: &str, ci: u64, long: u64) -> u64 {
        let many = setting(variable, if self.size == Size::Ci { ci } else { long });
        self.note(name, many);
        many
    }

    /// A seed: the one in the environment; else at the CI size always the same, so that what fails there fails because
    /// of the change, and at the long size another each time. Noted, so that a row can be tried again as it was.
    pub(crate) fn seed(&mut self) -> u64 {
        let other = || Clock::start().now_us().unsigned_abs() % 1_000_000;
        let seed = setting("HAUL_TEST_SEED", if self.size == Size::Ci { 1 } else { other() });
        self.note("seed", seed);
        seed
    }

    /// The row, or a part of it, cannot be tried here.
    pub(crate) fn skip(&mut self, why: impl Into<String>) {
        self.skipped = Some(why.into());
    }
}

/// Whether the machine has time for the program: with three that want to run for each core, a process waits for its turn, and
/// how quick it is says nothing of it.
pub(crate) fn fair() -> bool {
    busy::load() <= 3.0 * std::thread::available_parallelism().map_or(1, usize::from) as f64
}

/// How a row ended.
pub(crate) struct Result {
    pub(crate) row: &'static Row,
    pub(crate) seconds: f64,
    pub(crate) size: &'static str,
    pub(crate) noted: Vec<(String, Value)>,
    /// What it could not try.
    pub(crate) skipped: Option<String>,
    /// Where the promise does not hold.
    pub(crate) broken: Option<String>,
}

impl Result {
    /// The promise holds; or could not be tried, where that may be.
    pub(crate) fn holds(&self) -> bool {
        self.broken.is_none() && (self.skipped.is_none() || std::env::var_os("HAUL_TORTURE_COMPLETE").is_none())
    }
}

impl Row {
    /// Tries it, says what it found, and writes that down.
    pub(crate) fn run(&'static self) -> Result {
        let clock = Clock::start();
        let began_us = clock.now_us();
        let size = Size::chosen();
        let mut figures = Figures { size, noted: Vec::new(), skipped: None, clock, told_us: began_us };
        let ended = catch_unwind(AssertUnwindSafe(|| (self.run)(&mut figures)));
        let said = |panic: Box<dyn std::any::Any + Send>| match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast::<&str>().map_or_else(|_| "a panic".to_owned(), |text| (*text).to_owned()),
        };
        let result = Result {
            row: self,
            seconds: (clock.now_us() - began_us) as f64 / 1e6,
            size: size.name(),
            noted: figures.noted,
            skipped: figures.skipped,
            broken: ended.err().map(said),
        };
        card::tell(&result);
        result
    }
}
