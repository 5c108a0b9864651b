//! One life, as a value: a seed, and which of its steps are taken. It can be lived, and made smaller while it still ends badly.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::STEPS;
use super::nature::{Nature, Without};
use super::world::{Log, World};
use crate::random_numbers::Random;

/// Lives of a search for a smaller one, at most.
const TRIES: usize = 200;

/// What is said where nothing was done: left out where a life is told.
const IDLE: [&str; 4] = ["claimed 0", "committed 0", "released 0", "0 redirects"];

/// Lines of a life that is told, at most: the last.
const LINES: usize = 50;

/// What is lived. Each step draws from a sequence of its own, so that those that are left out change nothing in the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) seed: u64,
    /// Different jobs there may be.
    pub(crate) keys: usize,
    pub(crate) steps: Vec<usize>,
}

/// How a life ended badly.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    /// What did not hold.
    pub(crate) words: String,
    pub(crate) log: Vec<String>,
}

pub(crate) fn block_on<T>(life: impl Future<Output = T>) -> T {
    // The store in memory is always ready: nothing ever waits, so the smallest executor will do.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(life).poll(&mut context) {
        std::task::Poll::Ready(lived) => lived,
        std::task::Poll::Pending => panic!("the store in memory never waits"),
    }
}

/// Lives, and tells how it ended badly if it did.
pub(crate) fn catch<T>(live: impl FnOnce() -> T, log: &Log) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(live)).map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref().copied()).unwrap_or_default().to_owned();
        Broken { words, log: log.take() }
    })
}

impl Life {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, keys: 40, steps: (0..STEPS).collect() }
    }

    /// Lives it to its end, which may be a panic.
    pub(crate) fn lived(&self, without: Without, log: &Log) -> World {
        let nature = Nature { keys: self.keys, ..Nature::wild(&mut self.random(usize::MAX), without) };
        let mut world = World::new(self.random(0), nature, Log::clone(log));
        block_on(async {
            for step in &self.steps {
                world.random = self.random(*step);
                log.borrow_mut().push(format!("step {step}"));
                world.step().await;
            }
            world.random = self.random(STEPS);
            log.borrow_mut().push("the end".into());
            world.run_out().await;
        });
        world
    }

    fn random(&self, step: usize) -> Random {
        Random::new(self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ (step as u64).wrapping_mul(0x9e6c_63d0_876a_68de))
    }

    /// How it ends badly, if it does.
    pub(crate) fn broken(&self, without: Without) -> Option<Broken> {
        let log = Log::default();
        catch(|| self.lived(without, &log), &log).err()
    }

    fn is_broken(&self, without: Without, words: &str) -> bool {
        self.broken(without).is_some_and(|broken| broken.words.contains(words))
    }

    /// The smallest life found that still ends badly, and with these words: fewer steps, and fewer jobs.
    pub(crate) fn shrunk(mut self, without: Without, words: &str) -> Self {
        if let Some(Broken { log, .. }) = self.broken(without) {
            // What comes after the step that broke it never happens.
            self.steps.truncate(log.iter().filter(|line| line.starts_with("step ")).count());
        }
        let mut tries = 0;
        let mut part = self.steps.len().div_ceil(2);
        loop {
            let mut from = 0;
            let before = self.steps.len();
            while from < self.steps.len() && tries < TRIES {
                let mut fewer = self.clone();
                fewer.steps.drain(from..(from + part).min(self.steps.len()));
                tries += 1;
                if fewer.is_broken(without, words) { self = fewer } else { from += part }
            }
            if tries == TRIES || (part == 1 && self.steps.len() == before) {
                break;
            }
            part = part.div_ceil(2);
        }
        let fewer = (1..self.keys).map(|keys| Self { keys, ..self.clone() });
        fewer.into_iter().find(|fewer| fewer.is_broken(without, words)).unwrap_or(self)
    }

    /// It in words: what it takes to live it again, what happens, and what does not hold.
    pub(crate) fn told(&self, without: Without) -> String {
        let Self { seed, keys, steps } = self;
        let steps: Vec<_> = steps.iter().map(usize::to_string).collect();
        let Broken { words, log } = self.broken(without).unwrap_or_default();
        let told = log.iter().filter(|line| !IDLE.iter().any(|idle| line.starts_with(idle)));
        let told: Vec<_> = told.map(String::as_str).collect();
        let left_out = told.len().saturating_sub(LINES);
        let told = told[left_out..].join("\n");
        let left_out = if left_out > 0 { format!("({left_out} lines)\n") } else { String::new() };
        let steps = steps.join(" ");
        format!(
            "without: {without:?}\nseed: {seed}\nkeys: {keys}\nsteps: {steps}\nbroken: {words}\n\n{left_out}{told}\n"
        )
    }
}
