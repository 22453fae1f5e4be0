//! The real ASP.NET Core application: crashes, hangs, replacements.

use crate::examples::{initialize, kestrel};
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Host, Signal, tree};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The process that listens, by the host's own words.
fn listening(host: &Host, number: usize) -> tree::Process {
    let line = until(SOON * 2, "a line about a start", || host.lines_with("backend-ready").get(number).cloned());
    let pid = line.split("listening_pid=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    tree::Process::of(pid.expect("the line names the process")).expect("it lives")
}

/// Sets a flag on drop, also where the test fails: else its clients would go on for ever.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn answered(host: &Host) -> u16 {
    let mut client = host.client();
    initialize(&mut client, "/");
    client.response().status()
}

#[test]
fn a_crash_of_a_real_app_is_named_and_the_next_request_served() {
    let site = kestrel();
    let host = Host::start(&site);
    assert_eq!(answered(&host), 200);
    let first = listening(&host, 0);
    // The runtime looks at the first one, finds that it comes from outside, and
    // steps back: a fault of its own would come again at once.
    until(SOON, "the crash", || {
        first.signal(Signal::SEGV);
        (!first.lives()).then_some(())
    });
    let line = host.wait_line("backend-gone");
    assert!(line.contains("signal 11 (SIGSEGV)"), "{line}");
    assert_eq!(answered(&host), 200);
    assert_ne!(listening(&host, 1).pid, first.pid);
    host.stop_unsearched();
}

#[test]
fn a_hung_real_app_is_found_by_its_health_and_replaced() {
    let site = kestrel();
    let plugins = std::fs::read_to_string(site.app().join("plugins.toml")).unwrap_or_default();
    // The one path where this app answers a plain GET with a 200.
    let health = "\n[host.backend.health]\npath = \"/sse\"\ninterval_ms = 500\ntimeout_ms = 1000\nfailures_max = 2\n";
    site.plugins(&(plugins + health));
    let host = Host::start(&site);
    assert_eq!(answered(&host), 200, "{}", host.log());
    let first = listening(&host, 0);
    first.signal(Signal::STOP);
    let line = host.wait_line("backend-unhealthy");
    assert!(line.contains("failures="), "{line}");
    first.wait_gone(SOON);
    let status = until(SOON, "an answer of the next one", || Some(answered(&host)).filter(|status| *status == 200));
    assert_eq!(status, 200);
    host.stop_unsearched();
}

#[test]
fn a_real_app_is_replaced_under_load_without_a_failure() {
    let site = kestrel();
    let host = Host::start(&site);
    assert_eq!(answered(&host), 200);
    let (stop, whole) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(answered(&host), 200);
                    whole.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _raised = Raised(&stop);
        for number in 0..3 {
            let old = listening(&host, number);
            host.reload();
            old.wait_gone(SOON);
            let from = whole.load(Ordering::Relaxed);
            until(SOON, "five answers", || (whole.load(Ordering::Relaxed) >= from + 5).then_some(()));
        }
    });
    assert!(host.lines_with("backend-gone").is_empty());
    host.stop_unsearched();
}
