//! Backends that die, and hosts that are killed.

use crate::{site, web};
use gatelodge_e2e::wait::until;
use gatelodge_e2e::{Host, Signal, Site, tree};
use std::time::Duration;

#[test]
fn a_dead_backend_is_started_again_by_the_next_request() {
    let site = site();
    let host = Host::start(&site);
    assert!(host.client().get("/who").text().starts_with("start 1 "));
    let first = site.probe().only_start();
    tree::signal_pid(first.pid, Signal::KILL);
    let again = until(Duration::from_secs(10), "an answer of a second backend", || {
        let answer = host.client().get("/who");
        // A request that meets the dying backend may get a 502, never anything else.
        assert!(matches!(answer.status(), 200 | 502), "{}", answer.text());
        (answer.status() == 200).then(|| answer.text())
    });
    assert!(again.starts_with("start 2 "), "{again}");
    let starts = site.probe().starts();
    assert_eq!(starts.len(), 2);
    assert_ne!(starts[0].token, starts[1].token, "each start has its own token");
    host.stop(&site);
}

#[test]
fn a_crash_in_a_request_costs_that_request_only() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    // A POST: what may have had an effect is never sent a second time.
    assert_eq!(host.client().post("/exit/1", b"").status(), 502);
    let next = until(Duration::from_secs(10), "an answer after the crash", || {
        let answer = host.client().get("/who");
        (answer.status() == 200).then(|| answer.text())
    });
    assert!(next.starts_with("start 2 "), "{next}");
    host.stop(&site);
}

#[test]
fn no_backend_is_started_before_somebody_asks() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let first = site.probe().only_start();
    let process = tree::Process::of(first.pid).expect("the backend lives");
    process.signal(Signal::KILL);
    process.wait_gone(Duration::from_secs(5));
    // The host tells of the end before it could act on it.
    let _line = until(Duration::from_secs(5), "a log line about the end", || {
        host.log()
            .lines()
            .find(|line| line.contains(&first.pid.to_string()) && line.contains("exit"))
            .map(str::to_owned)
            .or_else(|| host.log().lines().find(|line| line.contains("SIGKILL")).map(str::to_owned))
    });
    assert_eq!(site.probe().starts().len(), 1);
    host.stop(&site);
}

#[test]
fn nothing_of_the_tree_survives_a_killed_host() {
    for arguments in ["serve", "child", "orphan", "stubborn"] {
        let site = Site::new(web().set("arguments", arguments));
        let host = Host::start(&site);
        assert_eq!(host.client().get("/").status(), 200, "{arguments}");
        let family = host.descendants();
        let listed: Vec<_> = site.probe().starts().iter().filter_map(|s| tree::Process::of(s.pid)).collect();
        assert!(!listed.is_empty());
        host.signal(Signal::KILL);
        for process in family.iter().chain(&listed) {
            process.wait_gone(Duration::from_secs(1));
        }
        assert_eq!(host.wait().code, None);
    }
}

#[test]
fn a_host_killed_while_the_backend_starts_leaves_nothing() {
    let site = Site::new(web().set("arguments", "never"));
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let start = site.probe().wait_starts(1).remove(0);
    let process = tree::Process::of(start.pid).expect("the backend lives");
    host.signal(Signal::KILL);
    process.wait_gone(Duration::from_secs(1));
    drop(host);
}
