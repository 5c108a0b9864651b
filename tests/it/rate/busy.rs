//! How busy the machine is, as Linux tells; elsewhere nothing is known and everything is 0.

use std::fs;

/// The times of all cores, in ticks, when it began.
pub(crate) struct Busy {
    idle: f64,
    total: f64,
}

impl Busy {
    pub(crate) fn begin() -> Self {
        let (idle, total) = ticks().unwrap_or((0.0, 0.0));
        Self { idle, total }
    }

    /// How many cores were busy since it began, and how many there are.
    pub(crate) fn end(self) -> (f64, f64) {
        let cores = std::thread::available_parallelism().map_or(0.0, |cores| cores.get() as f64);
        let Some((idle, total)) = ticks().filter(|(_, total)| *total > self.total) else { return (0.0, cores) };
        (cores * (1.0 - (idle - self.idle) / (total - self.total)), cores)
    }
}

/// Idle ticks, and all.
fn ticks() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<f64> = stat.lines().next()?.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; what follows is part of the first two.
    Some((ticks.get(3)? + ticks.get(4)?, ticks.iter().take(8).sum()))
}

/// The load average of the last minute.
pub(crate) fn load() -> f64 {
    let average = fs::read_to_string("/proc/loadavg").ok();
    average.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0.0)
}

/// The seconds for which a process had a core so far.
pub(crate) fn seconds_of(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the program, in brackets, may hold anything; user and system time are the 12th and 13th after it, in
    // hundredths.
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
