//! What a process and those that it started have cost, as Linux tells.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use haul::clock::{Clock, Micros};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How often memory is looked at: the peak of a process is lost with it.
const LOOK: Duration = Duration::from_millis(10);

/// The cost of one execution.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// From its start to its end.
    pub(crate) wall_us: Micros,
    /// User and system time, its children's included.
    pub(crate) cpu_us: Micros,
    /// The sum of the peaks of its processes.
    pub(crate) peak_kib: u64,
}

/// Runs a program to its end. What it says is thrown away, unless it fails.
pub(crate) fn run(command: &mut Command) -> Spent {
    let clock = Clock::start();
    let began_us = clock.now_us();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let pid = Pid::from_child(&child);
    let mut peaks = HashMap::new();
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while waitid(WaitId::Pid(pid), ended).expect("a child of ours").is_none() {
        look(child.id(), &mut peaks);
        std::thread::sleep(LOOK);
    }
    let wall_us = clock.now_us() - began_us;
    let cpu_us = cpu_us(child.id()); // it has ended, but until it is waited for its figures are there
    let status = child.wait().expect("a child of ours");
    assert!(status.success(), "{command:?}: {status}");
    Spent { wall_us, cpu_us, peak_kib: peaks.values().sum() }
}

/// The peaks so far of a process and of those below it.
fn look(process: u32, peaks: &mut HashMap<u32, u64>) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    if let Some(kib) = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()) {
        peaks.insert(process, kib);
    }
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).for_each(|child| look(child, peaks));
}

/// User and system time of a process and of the children it has waited for.
pub(crate) fn cpu_us(process: u32) -> Micros {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the program, in brackets, may hold anything; the four times are the 12th to 15th after it, in hundredths.
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(4).filter_map(|ticks| ticks.parse::<Micros>().ok()).sum::<Micros>() * 10_000
}
