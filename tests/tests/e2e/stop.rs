//! Stopping: the paired request, the signal, the kill; and what was begun is
//! finished.

use crate::{PROBE, site, web};
use gatelodge_e2e::{Host, Signal, Site, Web};
use std::time::{Duration, Instant};

fn stops_as(web: Web, asked: bool, signalled: bool) {
    let site = Site::new(web);
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    host.stop(&site);
    let probe = site.probe();
    assert_eq!((probe.has_mark("asked-to-stop"), probe.has_mark("sigterm")), (asked, signalled));
    assert!(!probe.has_mark("asked-without-token"));
}

/// L38: after the 202 and the end no signal is sent.
#[test]
fn an_app_that_accepts_the_paired_request_gets_no_signal() {
    stops_as(web(), true, false);
}

/// L38: one request with event and token.
#[test]
fn the_shutdown_request_is_the_one_of_the_module() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let token = site.probe().only_start().token;
    host.stop(&site);
    let head = site.probe().head_of("/iisintegration").to_lowercase();
    assert!(head.starts_with("post /iisintegration http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nms-aspnetcore-event: shutdown\r\n"), "{head}");
    assert_eq!(head.matches(&format!("\r\nms-aspnetcore-token: {token}\r\n")).count(), 1);
}

/// L40: another answer is followed by SIGTERM.
#[test]
fn an_app_that_does_not_know_the_request_gets_the_signal() {
    stops_as(web().set("arguments", "deaf"), true, true);
}

/// L19: no shutdown request for `httpPlatform`.
#[test]
fn an_http_platform_app_gets_the_signal_only() {
    stops_as(Web::platform(PROBE), false, true);
}

/// L41: the whole group is killed at `shutdownTimeLimit`.
#[test]
fn an_app_that_ignores_everything_is_killed_at_the_limit() {
    let site = Site::new(web().set("arguments", "stubborn").set("shutdownTimeLimit", 2));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let begin = Instant::now();
    host.stop(&site);
    let took = begin.elapsed();
    assert!((Duration::from_millis(1500)..Duration::from_secs(6)).contains(&took), "{took:?}");
}

/// L42: what was begun is finished.
#[test]
fn a_request_in_progress_is_finished() {
    let site = site();
    site.probe().script(
        "slow",
        &[
            "read",
            "mark begun",
            "send HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nfirst",
            "wait go",
            "send -last",
        ],
    );
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("GET /script/slow HTTP/1.1\r\nHost: test\r\n\r\n");
    site.probe().wait_mark("begun");
    host.signal(Signal::TERM);
    let _line = host.wait_line("stopping");
    site.probe().open("go");
    let answer = client.response();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "first-last"));
    assert!(client.is_closed());
    host.assert_no_token(&site);
    assert_eq!(host.wait().code, Some(0));
}

#[test]
fn a_second_signal_cuts() {
    for signal in [Signal::TERM, Signal::INT] {
        cuts_at_the_second(signal);
    }
}

/// What is asked while the application takes its time is answered.
#[test]
fn a_host_that_waits_for_its_app_still_listens_to_signals() {
    let site = Site::new(web().set("arguments", "stubborn").set("shutdownTimeLimit", 60));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    host.signal(Signal::TERM);
    let _line = host.wait_line("drained");
    let counters = || host.lines_with("info  counters: ").len();
    gatelodge_e2e::wait::until(gatelodge_e2e::wait::SOON, "the counters of the drain", || {
        (counters() == 1).then_some(())
    });
    host.signal(Signal::USR1);
    gatelodge_e2e::wait::until(gatelodge_e2e::wait::SOON, "the counters once more", || (counters() == 2).then_some(()));
    host.signal(Signal::HUP);
    let _line = host.wait_line("the host is stopping: nothing is taken up any more");
    host.signal(Signal::INT);
    assert!(host.wait().code.is_some(), "the host was to end by itself");
}

fn cuts_at_the_second(signal: Signal) {
    let site = Site::new(web().set("arguments", "stubborn").set("shutdownTimeLimit", 60));
    site.probe().script("never", &["read", "mark begun", "wait never"]);
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("GET /script/never HTTP/1.1\r\nHost: test\r\n\r\n");
    site.probe().wait_mark("begun");
    let family = host.descendants();
    host.signal(signal);
    let _line = host.wait_line("stopping");
    let begin = Instant::now();
    host.signal(signal);
    let ended = host.wait();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(ended.code.is_some(), "the host was to end by itself");
    for process in family {
        process.wait_gone(Duration::from_secs(2));
    }
}

#[test]
fn an_idle_host_stops_at_once() {
    let site = site();
    for signal in [Signal::TERM, Signal::INT] {
        let host = Host::start(&site);
        // A connection without a request is no reason to wait.
        let _idle = host.client();
        let begin = Instant::now();
        host.signal(signal);
        assert_eq!(host.wait().code, Some(0));
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    }
    assert!(site.probe().starts().is_empty());
}
