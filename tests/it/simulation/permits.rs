//! Where permits come from. The seam for the rate limiter: a life is given one of these.

use haul::clock::Micros;
use haul::store::Recovered;

/// Hands permits out.
pub(crate) trait Permits {
    /// A run begins, with what the store knows of earlier ones.
    fn begin(&mut self, found: &Recovered, now_us: Micros);

    /// At most so many permits that fall due soon: the times after which each is void.
    fn take(&mut self, most: usize, now_us: Micros) -> Vec<Micros>;

    /// These were not used.
    fn give_back(&mut self, spends: &[Micros]);
}

/// As many as anyone wants, void after a tenth of a second.
#[derive(Debug, Default)]
pub(crate) struct Plenty;

impl Permits for Plenty {
    fn begin(&mut self, _: &Recovered, _: Micros) {}

    fn take(&mut self, most: usize, now_us: Micros) -> Vec<Micros> {
        (0..most as Micros).map(|i| now_us + 100_000 + i / 2).collect()
    }

    fn give_back(&mut self, _: &[Micros]) {}
}
