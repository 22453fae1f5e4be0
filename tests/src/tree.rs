//! Looking at processes through `/proc`.

use crate::wait::{SOON, until};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// A process that can't be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    started: u64,
}

struct Stat {
    name: String,
    parent: u32,
    started: u64,
    state: char,
    threads: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything; what follows is plain.
    let (name, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        name: name.rsplit_once('(').map_or("", |(_, name)| name).to_owned(),
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        threads: fields.get(17)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

impl Process {
    /// The process of this number, if it lives.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = stat(pid)?;
        (stat.state != 'Z').then_some(Self { pid, started: stat.started })
    }

    /// Kills it and waits until all its threads are gone: then its sockets are closed.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        let end = std::time::Instant::now() + SOON;
        // Without a pause between two looks: the moment of death is what the caller wants to know.
        loop {
            // The first thread may be dead while others close what they shared.
            let dead = stat(self.pid)
                .is_none_or(|now| now.started != self.started || (matches!(now.state, 'Z' | 'X') && now.threads <= 1));
            if dead {
                return;
            }
            assert!(std::time::Instant::now() < end, "process {} does not die", self.pid);
            std::thread::yield_now();
        }
    }

    /// True until it has ended (a zombie has ended).
    #[must_use]
    pub fn lives(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now == *self)
    }

    /// Sends a signal; nothing happens if it is gone already.
    pub fn signal(&self, signal: Signal) {
        if self.lives() {
            signal_pid(self.pid, signal);
        }
    }

    /// Waits until it has ended.
    pub fn wait_gone(&self, limit: Duration) {
        until(limit, &format!("the end of process {}", self.pid), || (!self.lives()).then_some(()));
    }
}

/// Sends a signal to a process by number.
pub fn signal_pid(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number fits");
    // It may have ended in between: then there is nobody to signal.
    let _ = kill_process(pid, signal);
}

/// All living processes that can be seen.
#[must_use]
pub fn all() -> Vec<Process> {
    numbers().filter_map(Process::of).collect()
}

fn numbers() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is there on Linux");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// What a process holds, to be compared before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Living descendants.
    pub descendants: usize,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
}

impl Footprint {
    /// What a process holds now.
    ///
    /// # Panics
    /// If it is gone.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let count = |what: &str| {
            let entries = std::fs::read_dir(format!("/proc/{pid}/{what}"));
            entries.expect("the process lives").count()
        };
        Self {
            descendants: descendants(pid).len(),
            descriptors: count("fd"),
            threads: count("task"),
            resident_bytes: memory_bytes(pid, "VmRSS").expect("the process lives"),
        }
    }

    /// Waits until the process holds no more than this again, but for the slack given.
    ///
    /// # Panics
    /// If that does not come true soon.
    pub fn wait_back(&self, pid: u32, descriptors_more: usize, bytes_more: u64) {
        let mut now = Self::of(pid);
        let end = std::time::Instant::now() + SOON;
        loop {
            let back = now.descendants <= self.descendants
                && now.descriptors <= self.descriptors + descriptors_more
                && now.threads <= self.threads
                && now.resident_bytes <= self.resident_bytes + bytes_more;
            if back {
                return;
            }
            assert!(std::time::Instant::now() < end, "more is held than before: {self:?} -> {now:?}");
            std::thread::sleep(Duration::from_millis(20));
            now = Self::of(pid);
        }
    }
}

/// All living descendants of a process, children first, without what merely waits
/// for the next start: the host has that at any time, and it ends with the host.
#[must_use]
pub fn descendants(pid: u32) -> Vec<Process> {
    let all: Vec<(u32, Stat)> = numbers().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let keeps = |warden: u32| all.iter().any(|(_, stat)| stat.parent == warden && stat.name == "gatelodge-keep");
    let waits =
        |pid: u32, stat: &Stat| stat.name == "gatelodge-spare" || (stat.name == "gatelodge-ward" && !keeps(pid));
    let mut family = vec![pid];
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        for (pid, stat) in all.iter().filter(|(pid, stat)| stat.parent == parent && *pid != parent) {
            family.push(*pid);
            if stat.state != 'Z' && !waits(*pid, stat) {
                found.push(Process { pid: *pid, started: stat.started });
            }
        }
    }
    found
}

/// A line of `/proc/PID/status` that counts kibibytes, in bytes: `VmRSS`, `VmHWM`.
#[must_use]
pub fn memory_bytes(pid: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
