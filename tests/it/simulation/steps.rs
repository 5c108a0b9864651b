//! What a life does next.

use haul::clock::{Micros, SECOND_US};

use super::world::World;

/// An honest server drains everything within this time, however long the server asked to wait, and however wide the jitter
/// has become.
const DRAINED_WITHIN_US: Micros = 1_200 * SECOND_US;

impl World {
    /// Does one thing.
    pub(crate) async fn step(&mut self) {
        let said = match (self.memory.run, self.random.below(120)) {
            (None, 0..60) => self.start().await,
            (Some(_), 0..30) => self.work_on().await,
            (Some(_), 30..40) => self.drift().await,
            (Some(run), 40..48) => self.claim(run).await,
            (Some(_), 48..60) => self.land().await,
            (Some(run), 60..70) => self.process(run).await,
            (Some(run), 70..79) => self.commit(run).await,
            (Some(run), 79..82) => self.release(run).await,
            (Some(_), 82..85) => self.stand_still(3 * SECOND_US),
            (Some(_), 85..89) => self.crash("crashed"),
            (Some(run), 89..91) => self.stop(run).await,
            (Some(_), 91..95) => self.haunt().await,
            (Some(run), 95..98) => self.ask(run).await,
            (Some(run), 98..101) => self.beat(run).await,
            (Some(run), 101..102) => self.start_beside(run).await,
            (Some(_), 102..104) => self.claim_beside().await,
            (_, 104..106) => self.set_wall_clock(),
            (_, 106..108) => self.reboot(),
            (_, 108..112) => self.wish().await,
            (_, 112..118) => self.import(12).await,
            (Some(_), _) => self.drift().await,
            _ => self.wait(),
        };
        self.keep();
        self.say(said);
    }

    /// Lives on with an honest server and without new jobs and accidents until all is done.
    pub(crate) async fn run_out(&mut self) {
        self.nature = self.nature.clone().honest();
        let mut until_us = self.now_us + DRAINED_WITHIN_US + self.clocks.lost_us;
        loop {
            if self.memory.run.is_none() {
                if self.store.peek(|now| now.jobs.values().all(|job| job.standing.state.is_final())) {
                    break;
                }
                let before_us = self.now_us;
                let said = self.start().await;
                until_us += self.now_us - before_us; // the wall clock was set
                self.say(said);
            }
            assert!(self.now_us < until_us, "it never ends: {:?}", self.memory.flights);
            self.pass(SECOND_US, true).await;
        }
        self.look_at_all(true);
    }

    /// While nobody runs.
    fn wait(&mut self) -> String {
        let span_us = if self.random.percent(80) { self.nature.time_of(2) } else { 3 * SECOND_US };
        self.now_us += self.random.below(span_us as usize) as Micros;
        "waited".into()
    }
}
