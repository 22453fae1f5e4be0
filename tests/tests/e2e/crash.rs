//! Backends that die, and hosts that are killed.

use crate::{site, web};
use gatelodge_e2e::wait::until;
use gatelodge_e2e::{Host, Signal, Site, tree};
use std::time::Duration;

/// L32: the next request starts it, with a new port and a new token.
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

/// L32: after a crash nothing is started before somebody asks.
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

/// L37: no backend survives a killed host.
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

/// Has the app answer, kills it, and waits until the host has noticed; gives the number of starts so far.
fn serve_and_kill(site: &Site, host: &Host) -> usize {
    let _answer = until(Duration::from_secs(20), "an answer of the backend", || {
        let answer = host.client().get("/who");
        (answer.status() == 200).then_some(answer)
    });
    let starts = site.probe().starts();
    let last = starts.last().expect("it answered, so it was started");
    let gone = format!("pid={}", last.pid);
    tree::signal_pid(last.pid, Signal::KILL);
    until(Duration::from_secs(20), "a line about the end", || {
        let log = host.log();
        log.lines().any(|line| line.contains("backend-gone") && line.contains(&gone)).then_some(())
    });
    starts.len()
}

/// L33: one crash more than `rapidFailsPerMinute` blocks starts.
/// L34: with 0 the first crash blocks.
#[test]
fn one_crash_too_many_blocks_starts_and_says_until_when() {
    for limit in [0, 2] {
        let site = Site::new(web().set("rapidFailsPerMinute", limit));
        let host = Host::start(&site);
        let starts = (0..=limit).map(|_| serve_and_kill(&site, &host)).max().expect("there is one kill at least");
        for _ in 0..3 {
            let held = host.client().get("/");
            assert_eq!(held.status(), 503, "{limit}: {}", held.text());
            let seconds = held.value("retry-after").and_then(|value| value.parse::<u32>().ok());
            assert!(seconds.is_some_and(|s| (1..=60).contains(&s)), "{limit}: {:?}", held.head);
        }
        assert_eq!(site.probe().starts().len(), starts, "{limit}: a start was tried");
        let _line = host.wait_line("backend-too-many-crashes");
        host.stop(&site);
    }
}

/// L28: the end of the parent alone is no crash, the death of the descendant that listens is one.
#[test]
fn the_death_of_the_descendant_that_listens_is_the_crash() {
    for arguments in ["orphan", "child"] {
        let site = Site::new(web().set("arguments", arguments));
        let host = Host::start(&site);
        assert!(host.client().get("/who").text().starts_with("start 2 "), "{arguments}");
        let starts = site.probe().starts();
        if arguments == "orphan" {
            let parent = tree::Process::of(starts[0].pid);
            parent.inspect(|parent| parent.wait_gone(Duration::from_secs(10)));
            assert!(host.client().get("/who").text().starts_with("start 2 "), "the parent's end is no crash");
        }
        tree::signal_pid(starts[1].pid, Signal::KILL);
        let again = until(Duration::from_secs(20), "an answer of the next start", || {
            let answer = host.client().get("/who");
            assert!(matches!(answer.status(), 200 | 502), "{arguments}: {}", answer.text());
            (answer.status() == 200).then(|| answer.text())
        });
        assert!(again.starts_with("start 4 "), "{arguments}: {again}");
        host.stop(&site);
    }
}
