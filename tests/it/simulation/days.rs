//! Days of runs that keep several limits at once, against servers that count, with all that goes wrong in days: storms of 429
//! and 503, kills and restarts, clean stops, standstills, clocks that are set, boots. Where nothing happens time is skipped.
//!
//! `DAYS=1000 cargo test --test it simulation::days -- --nocapture` lives through more of them.

use haul::clock::{Clock, Micros, SECOND_US};
use haul::job::Wish;
use haul::limit::Limit;

use super::card;
use super::life::{Broken, block_on, catch};
use super::nature::{Nature, Without, limits};
use super::number;
use super::server::Model;
use super::world::{Figures, Log, World};
use crate::random_numbers::Random;
use crate::resume::bench;

/// Days of an ordinary test run.
const DAYS: u64 = 20;

/// A life lasts so long: some of the windows are a day.
const DAYS_OF_A_LIFE: u64 = 4;

const MINUTE_US: Micros = 60 * SECOND_US;
const HOUR_US: Micros = 60 * MINUTE_US;
const DAY_US: Micros = 24 * HOUR_US;

/// Jobs of a life; they are fetched again and again.
const JOBS: usize = 120;

/// Limits that hold at once.
const SETS: [&[&str]; 6] = [
    &["20/s", "1000/h", "10000/d"],
    &["2/s", "60/h", "500/d"],
    &["5/s", "30/m", "300/h"],
    &["10/s", "200/d"],
    &["3/500ms", "100/10m"],
    &["1/s", "40/h", "150/d"],
];

/// What the machine and the people do in a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// A few jobs now and then, and everything may happen.
    Wild,
    /// Always as many jobs as may be sent, and everything may happen.
    Busy,
    /// The same, and nothing happens but a few restarts.
    Quiet,
}

fn fate(life: u64) -> Fate {
    match life % 12 {
        11 => Fate::Busy,
        1 | 7 => Fate::Quiet,
        _ => Fate::Wild,
    }
}

fn nature(life: u64, without: Without) -> Nature {
    let mut random = Random::new(life);
    let wild = Nature::wild(&mut random, without);
    Nature {
        limits: limits(SETS[(life % 6) as usize]),
        keys: JOBS,
        poison: life % 7 == 3,
        lossy: false,
        watched: false,
        model: Some(Model::ALL[(life % 5) as usize]),
        ..wild.honest()
    }
}

impl World {
    /// For the next while.
    fn change_the_weather(&mut self, fate: Fate) {
        if fate == Fate::Quiet {
            return;
        }
        let mut one_of = |of: [usize; 6]| of[self.random.below(6)];
        self.nature.throttled = one_of([0, 0, 0, 0, 5, 50]);
        self.nature.failing = one_of([0, 0, 0, 5, 40, 100]);
        self.nature.redirects = one_of([0, 0, 0, 0, 10, 50]);
        self.nature.telling = one_of([0, 0, 0, 0, 10, 50]);
        self.nature.standstills = one_of([0, 0, 0, 0, 1, 5]);
        self.nature.cold.0 = one_of([0, 0, 2, 2, 10, 50]);
    }

    async fn live_for(&mut self, span_us: Micros, fate: Fate) {
        let until_us = self.true_us() + span_us;
        while self.true_us() < until_us {
            let left_us = until_us - self.true_us();
            if self.memory.run.is_none() {
                self.start().await;
            }
            if fate == Fate::Wild {
                self.pass(left_us, true).await;
            } else {
                self.ask_anew(JOBS).await;
                self.pass(left_us.min(MINUTE_US), true).await;
            }
        }
    }

    /// Some of the jobs are to be fetched again.
    async fn ask_anew(&mut self, most: usize) {
        let done =
            |(id, job): (&i64, &std::sync::Arc<haul::store::memory::Job>)| job.standing.state.is_final().then_some(*id);
        let mut done: Vec<i64> = self.store.peek(|now| now.jobs.iter().filter_map(done).collect());
        done.truncate(most);
        if !done.is_empty() {
            self.wish_for(Wish::Refetch, &done).await;
        }
    }

    async fn suffer(&mut self, fate: Fate) {
        let pause_us = [SECOND_US, MINUTE_US, HOUR_US][self.random.below(3)];
        let chance = if fate == Fate::Quiet { self.random.below(50) } else { self.random.below(100) };
        let said = match (self.memory.run, chance) {
            (Some(_), 0..12) => self.crash("killed"),
            (Some(run), 12..24) => self.stop(run).await,
            (_, 50..56) => self.be_killed_again_and_again().await,
            (Some(_), 56..70) => self.stand_still(pause_us),
            (_, 70..80) => self.set_wall_clock(),
            (_, 80..88) => self.reboot(),
            _ => "nothing happened".to_owned(),
        };
        self.say(said);
        if self.memory.run.is_none() {
            self.now_us += self.random.below(pause_us as usize) as Micros;
        }
    }

    async fn be_killed_again_and_again(&mut self) -> String {
        let kills = 2 + self.random.below(10);
        for _ in 0..kills {
            if self.memory.run.is_some() {
                self.crash("");
            }
            self.start().await;
            self.pass(350_000, true).await;
            if self.memory.run.is_some() {
                self.crash("");
            }
        }
        format!("killed {kills} times")
    }
}

/// Lives through a life, and looks at what it came to.
fn live(life: u64, days: u64, without: Without, log: &Log) -> World {
    let (fate, nature) = (fate(life), nature(life, without));
    let mut world = World::new(Random::new(life), nature, Log::clone(log));
    block_on(async {
        world.import(4 * JOBS).await;
        let until_us = world.true_us() + days as Micros * DAY_US;
        while world.true_us() < until_us {
            world.change_the_weather(fate);
            let jobs = world.random.below(60);
            world.ask_anew(jobs).await;
            let span_us = [10 * SECOND_US, 5 * MINUTE_US, HOUR_US, 6 * HOUR_US][world.random.below(4)];
            let span_us = 1 + world.random.below(span_us as usize) as Micros;
            world.live_for(span_us.min((until_us - world.true_us()).max(1)), fate).await;
            world.suffer(fate).await;
            world.look_at_all(true);
        }
    });
    check(&world, fate, days);
    world
}

/// No window held too many: each arrival has seen to that. Was the limit used?
fn check(world: &World, fate: Fate, days: u64) {
    let model = world.nature.model.expect("a server that counts");
    assert!(!model.is_fair() || world.server.refused == 0, "{model:?} refused {}", world.server.refused);
    let may = |limit: &Limit| days as Micros * DAY_US / limit.window_us * Micros::from(limit.permits);
    let most = world.nature.limits.iter().map(may).min().unwrap_or(0) as f64;
    let share = world.arrivals().len() as f64 / most;
    let least = match fate {
        Fate::Quiet if model.is_fair() => 0.85,
        Fate::Quiet => 0.4, // whoever counts otherwise is given way to: 0.48 of 1,000 days at the least
        Fate::Busy => 0.3,
        Fate::Wild => 0.0,
    };
    assert!(share >= least, "only {share:.3} of what was allowed was sent: {fate:?}, {model:?}");
}

fn told(life: u64, Broken { words, log }: Broken) -> String {
    let last = log.len().saturating_sub(60);
    format!("life {life}: {words}\n{}", log[last..].join("\n"))
}

// The control is `governors_own_quota_is_caught_by_the_same_days`.
#[test]
fn no_window_of_any_limit_is_ever_too_full_in_days_with_all_faults_and_no_limit_is_wasted() {
    let days = number("DAYS").unwrap_or(DAYS);
    let lives = number("LIFE").map_or(0..days.div_ceil(DAYS_OF_A_LIFE), |life| life..life + 1);
    let clock = Clock::start();
    let began_us = clock.now_us();
    let (mut sum, mut requests, mut refused, mut fullest) = (Figures::default(), 0, 0, 0.0_f64);
    let mut broken = Vec::new();
    let mut lived = 0;
    for life in lives {
        let log = Log::default();
        match catch(|| live(life, DAYS_OF_A_LIFE, Without::Nothing, &log), &log) {
            Ok(world) => {
                sum += world.figures;
                requests += world.arrivals().len();
                refused += world.server.refused;
                fullest = fullest.max(world.server.fullest);
            }
            Err(ends_badly) => broken.push(told(life, ends_badly)),
        }
        lived += DAYS_OF_A_LIFE;
    }
    let seconds = (clock.now_us() - began_us) as f64 / SECOND_US as f64;
    let Figures { refusals, kills, stalls, boots, steps_of_the_clock, stops } = sum;
    let figures = format!(
        r#""days":{lived},"requests":{requests},"refusals":{refusals},"refused_as_too_many":{refused},"kills":{kills},"stops":{stops},"stalls":{stalls},"boots":{boots},"clock_steps":{steps_of_the_clock},"fullest_window":{fullest:.3},"broken":{},"seconds":{seconds:.1}"#,
        broken.len()
    );
    card::write("days", &figures);
    bench::card(&figures);
    assert!(broken.is_empty(), "{} lives are broken (LIFE=17 lives one alone):\n{}", broken.len(), broken.join("\n\n"));
}

#[test]
fn a_life_of_days_replays_bit_for_bit() {
    let lived = || live(3, 2, Without::Nothing, &Log::default());
    let (world, same) = (lived(), lived());
    assert_eq!(world.log, same.log);
    assert_eq!(world.arrivals(), same.arrivals());
    assert!(world.tables() == same.tables() && !world.arrivals().is_empty());
}

#[test]
fn governors_own_quota_is_caught_by_the_same_days() {
    let log = Log::default();
    let broken = catch(|| live(1, 2, Without::Rule, &log), &log).expect_err("a window is too full");
    assert!(broken.words.contains("requests within"), "{}", broken.words);
}
