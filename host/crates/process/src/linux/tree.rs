//! The process tree below one process, read from `/proc`.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::HashMap;

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    parent: u32,
    pub(super) group: u32,
    /// Ticks from boot to its start: tells it from a later one of the same number.
    started: u64,
    dead: bool,
}

/// All processes of the system that can be seen.
pub(super) fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// All live descendants of `root`, without `root` itself, parents first.
pub(super) fn descendants(root: u32) -> Vec<Process> {
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&root).unwrap_or_default();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        let more = children.remove(&process.pid).unwrap_or_default();
        found.extend(more);
        next += 1;
    }
    found.retain(|process| !process.dead);
    found
}

/// Resident memory of the application below a keeper, bytes: of all descendants but
/// the keeper's own second process. What processes share is counted once for each of
/// them, as `ps` does.
pub(crate) fn memory_bytes(keeper: u32) -> Option<u64> {
    let status = |process: &Process| std::fs::read_to_string(format!("/proc/{}/status", process.pid)).ok();
    let mut tree = descendants(keeper);
    tree.retain(|process| process.parent != keeper);
    let bytes = tree.iter().filter_map(status).filter_map(|status| resident(&status)).sum();
    (!tree.is_empty()).then_some(bytes)
}

/// `VmRSS` of `/proc/<pid>/status`, bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// Sends a signal to exactly this process, never to a later one of the same number.
pub(super) fn signal(process: Process, signal: Signal) {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if read(process.pid).is_some_and(|now| now.started == process.started) {
        // It may have ended by itself in between, which is as good.
        let _ = pidfd_send_signal(handle, signal);
    }
}

fn read(pid: u32) -> Option<Process> {
    parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/<pid>/stat`. The name in parentheses may itself hold blanks and
/// parentheses, so the fields are counted from the last one.
fn parse(pid: u32, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let started = fields.nth(16)?.parse().ok()?;
    Some(Process { pid, parent, group, started, dead: matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::{Process, descendants, memory_bytes, parse, resident};
    use rustix::process::{Pid, Signal, kill_process_group};
    use std::os::unix::process::CommandExt as _;

    #[test]
    fn a_name_can_hold_anything() {
        let stat = "7 (a) R 1 (b) S 3 4 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987 1 2";
        let expected = Process { pid: 7, parent: 3, group: 4, started: 987, dead: false };
        assert_eq!(parse(7, stat), Some(expected));
        assert_eq!(parse(7, "7 (cut"), None);
        assert_eq!(parse(7, "7 (cut) S 1 2"), None);
    }

    #[test]
    fn memory_is_that_of_the_whole_tree() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\nThreads: 1"), Some(1234 * 1024));
        assert_eq!(resident("Name:\tkthreadd"), None);
        // The shell stands where a keeper's second process does.
        let keeper = std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).process_group(0).spawn();
        let mut keeper = keeper.unwrap();
        // The system counts pages per processor and adds them up now and then, so
        // a process that has only just begun can be seen with none.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while memory_bytes(std::process::id()).is_none_or(|bytes| bytes <= 4096) {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        let shell = Pid::from_raw(i32::try_from(keeper.id()).unwrap()).unwrap();
        kill_process_group(shell, Signal::KILL).unwrap();
        keeper.wait().unwrap();
    }

    #[test]
    fn children_are_found_and_the_dead_are_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let here = std::process::id();
        assert!(descendants(here).iter().any(|p| p.pid == child.id()));
        child.kill().unwrap();
        // Dead but not waited for: still in /proc, not alive.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while descendants(here).iter().any(|p| p.pid == child.id()) {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
