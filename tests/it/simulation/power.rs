//! The clocks of a machine, and its power: the wall clock is set, the machine is booted anew, and commits may be lost.
//!
//! A process reads the wall clock once and counts on from there, so its time is true time plus what the wall clock was off by
//! when it began.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use haul::clock::{BootTime, Micros, SECOND_US};
use haul::store::memory::Tables;
use haul::store::{Beat, Store};

use super::invariants::Seen;
use super::nature::Without;
use super::world::{History, World};

/// In steps of this the clock is shown that nobody sets.
const BOOT_STEP_US: Micros = 10_000;

/// How far the wall clock is set at most.
const MOST_STEP_US: usize = 1_200 * SECOND_US as usize;

/// What the clocks of the machine show.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// What the wall clock was off by when the process read it.
    read_us: Micros,
    /// What it is off by.
    wall_us: Micros,
    boots: u32,
    /// When the machine was booted, in true time.
    booted_us: Micros,
    /// It was set back by so much before a boot, where nobody can tell: retries wait for it.
    pub(super) lost_us: Micros,
    /// The same, boots or not.
    back_us: Micros,
    /// What was durable some commits ago.
    kept: VecDeque<Kept>,
}

/// What a loss of power may go back to.
#[derive(Debug, Clone)]
struct Kept {
    tables: Tables,
    keys: BTreeSet<String>,
    histories: BTreeMap<i64, History>,
}

impl Clocks {
    /// The time of which the server has one, too.
    pub(super) fn true_us(&self, now_us: Micros) -> Micros {
        now_us - self.read_us
    }

    pub(super) fn boot_time(&self, now_us: Micros) -> BootTime {
        let up_us = self.true_us(now_us) - self.booted_us;
        BootTime { boot: self.boots.to_string(), us: up_us - up_us.rem_euclid(BOOT_STEP_US) }
    }

    /// A process begins, and reads the wall clock: now.
    pub(super) fn begin(&mut self, now_us: Micros) -> Micros {
        let true_us = self.true_us(now_us);
        self.read_us = self.wall_us;
        true_us + self.read_us
    }
}

impl World {
    pub(super) fn true_us(&self) -> Micros {
        self.clocks.true_us(self.now_us)
    }

    /// Somebody sets the wall clock. A run under way does not see it.
    pub(super) fn set_wall_clock(&mut self) -> String {
        self.figures.steps_of_the_clock += 1;
        let step_us = [SECOND_US as usize, 60 * SECOND_US as usize, MOST_STEP_US][self.random.below(3)];
        let step_us = 25_000 + self.random.below(step_us) as Micros;
        let step_us = if self.random.percent(50) { step_us } else { -step_us };
        self.clocks.wall_us += step_us;
        self.clocks.back_us += (-step_us).max(0);
        format!("the wall clock is set by {} ms", step_us / 1_000)
    }

    /// The machine is booted anew: in good order or, at times, because there was no power.
    pub(super) fn reboot(&mut self) -> String {
        self.figures.boots += 1;
        if self.memory.run.is_some() {
            self.crash("");
        }
        self.rivals.die();
        let mut lost = "";
        if self.nature.lossy && self.random.percent(50) && !self.clocks.kept.is_empty() {
            let which = self.random.below(self.clocks.kept.len());
            let Kept { tables, keys, histories } = self.clocks.kept[which].clone();
            self.seen = Seen::of(&tables);
            self.store.restore(tables);
            (self.keys, self.histories) = (keys, histories);
            // Whatever was sent or answered since is not known any more.
            let forget = |history: &mut History| (history.sent, history.good, history.lost) = (false, 0, 0);
            self.histories.values_mut().for_each(forget);
            lost = ", and the last commits are lost";
        }
        self.clocks.kept.clear();
        // No machine is up again before what it had sent has arrived.
        self.now_us += SECOND_US + self.random.below(6 * SECOND_US as usize) as Micros;
        self.clocks.boots += 1;
        self.clocks.booted_us = self.true_us();
        let mut set = String::new();
        // A rest of a minute makes up for a clock that was set before a boot; of a longer window it is taken at its word.
        let short = self.nature.limits.iter().all(|limit| limit.window_us <= 60 * SECOND_US);
        if !short {
            self.clocks.wall_us = self.clocks.wall_us.min(self.clocks.read_us);
        } else if self.random.percent(30) {
            set = format!("; {}", self.set_wall_clock());
        }
        self.clocks.lost_us = self.clocks.back_us;
        self.now_us += self.random.below(5 * SECOND_US as usize) as Micros;
        format!("the machine is booted{lost}{set}")
    }

    /// What is stored now may be what is left after a loss of power.
    pub(super) fn keep(&mut self) {
        if self.nature.lossy && self.random.percent(30) {
            let (keys, histories) = (self.keys.clone(), self.histories.clone());
            self.clocks.kept.push_back(Kept { tables: self.store.inspect(), keys, histories });
            if self.clocks.kept.len() > 4 {
                self.clocks.kept.pop_front();
            }
        }
    }

    /// The run gives a sign of life, and sees what others have written.
    pub(super) async fn beat(&mut self, run: i64) -> String {
        let boot = (self.nature.without != Without::WallClock).then(|| self.clocks.boot_time(self.now_us));
        let look = self.store.look(run, Some(&Beat { at_us: self.now_us, boot })).await.expect("look");
        assert!(!look.stop, "nobody asked this run to stop");
        self.memory.notice_us = self.now_us;
        self.look();
        "a sign of life".into()
    }
}
