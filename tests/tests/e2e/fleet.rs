//! Several instances, recycling, rest, health.

use crate::{site, web};
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Host, Load, Mix, Outcome, Seed, Signal, Site, probe, tree};
use std::collections::BTreeMap;
use std::time::Duration;

/// L36: as many processes as are configured, and each gets its share.
#[test]
fn instances_start_together_and_share_the_requests() {
    let site = Site::new(web().set("processesPerApplication", 3));
    site.plugins("[host]\nworkers = 1\n");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    until(SOON, "three instances that take requests", || (host.lines_with("backend-ready").len() == 3).then_some(()));
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    let mut client = host.client();
    for _ in 0..30 {
        *shares.entry(client.get("/who").text()).or_default() += 1;
    }
    assert_eq!(shares.len(), 3, "{shares:?}");
    assert!(shares.values().all(|share| (8..=12).contains(share)), "{shares:?}");
    let starts = site.probe().starts();
    let differ = |of: fn(&gatelodge_e2e::Start) -> String| {
        starts.iter().map(of).collect::<std::collections::BTreeSet<_>>().len() == starts.len()
    };
    assert!(differ(|start| start.port.to_string()) && differ(|start| start.token.clone()));
    host.stop(&site);
}

/// L36: a request goes to an instance that has the fewest.
#[test]
fn a_busy_instance_gets_no_more() {
    let site = Site::new(web().set("processesPerApplication", 2));
    site.plugins("[host]\nworkers = 1\n");
    site.probe()
        .script("hold", &["read", "mark held", "wait go", "send HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi"]);
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    until(SOON, "two instances", || (host.lines_with("backend-ready").len() == 2).then_some(()));
    let mut held = host.client();
    held.send("GET /script/hold HTTP/1.1\r\nHost: a\r\n\r\n");
    site.probe().wait_mark("held");
    let mut client = host.client();
    let by: std::collections::BTreeSet<String> = (0..10).map(|_| client.get("/who").text()).collect();
    assert_eq!(by.len(), 1, "the busy one got requests too: {by:?}");
    site.probe().open("go");
    assert_eq!(held.response().text(), "hi");
    host.stop(&site);
}

/// The death of one of several instances is mended without a request that asks for it.
#[test]
fn one_of_several_is_started_again_by_itself() {
    let site = Site::new(web().set("processesPerApplication", 2));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    until(SOON, "two instances", || (host.lines_with("backend-ready").len() == 2).then_some(()));
    site.probe().listening()[0].kill();
    until(SOON, "a third start", || (host.lines_with("backend-ready").len() == 3).then_some(()));
    assert_eq!(site.probe().listening().len(), 2);
    host.stop(&site);
}

#[test]
fn recycling_by_requests_costs_none() {
    let site = Site::new(web().env(probe::SILENT, 1));
    site.plugins("[host.backend.recycle]\nrequests_max = 100\njitter_percent = 20\n");
    let host = Host::start(&site);
    let seed = Seed::choose();
    let load = Load::start(host.addr(), "load", &Mix::default(), &seed);
    until(SOON * 3, "five recyclings", || (host.lines_with("backend-replaced").len() >= 5).then_some(()));
    let records = load.stop();
    let failed: Vec<_> = records.iter().filter(|record| record.outcome != Outcome::Whole).collect();
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), records.len(), failed.first());
    assert!(host.lines_with("backend-replaced").iter().all(|line| line.contains("why=requests")));
    host.stop(&site);
}

#[test]
fn an_idle_app_is_stopped_and_woken_again() {
    let site = site();
    site.plugins("[host.backend]\nidle_ms_max = 1000\n");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let _line = host.wait_line("backend-idle-stop");
    until(SOON, "the end of the idle app", || site.probe().alive().is_empty().then_some(()));
    assert!(site.probe().has_mark("asked-to-stop"));
    assert!(host.client().get("/who").text().starts_with("start 2 "));
    host.stop(&site);
}

/// Requests come at the very moments when the app is sent to rest: none is lost.
#[test]
fn a_request_that_meets_the_stop_of_an_idle_app_is_answered() {
    let site = site();
    site.plugins("[host.backend]\nidle_ms_max = 1000\n");
    let host = Host::start(&site);
    let seed = Seed::choose();
    let mut random = seed.source(1);
    for round in 0..12 {
        let answer = host.client().post("/count", b"hello");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "5"), "round {round}");
        // The race is looked for on purpose: just before, at and after the limit.
        std::thread::sleep(Duration::from_millis(960 + random.below(120)));
    }
    host.stop(&site);
}

#[test]
fn an_app_that_is_always_there_needs_no_request() {
    let site = site();
    site.plugins("[host.backend]\nstart = \"always\"\n");
    let host = Host::start(&site);
    let first = site.probe().wait_starts(1).remove(0);
    let _line = host.wait_line("backend-ready");
    tree::signal_pid(first.pid, Signal::KILL);
    site.probe().wait_starts(2);
    until(SOON, "the second start", || (host.lines_with("backend-ready").len() == 2).then_some(()));
    assert!(host.client().get("/who").text().starts_with("start 2 "));
    host.stop(&site);
}

#[test]
fn warm_up_requests_come_before_the_first_client() {
    let site = site();
    site.plugins("[host.backend.warm_up]\npaths = [\"/warm/one\", \"/warm/two?x=1\"]\n");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/client").status(), 200);
    let everything = site.probe().everything();
    let at = |part: &str| everything.find(part).unwrap_or_else(|| panic!("no {part} in {everything}"));
    assert!(at("GET /warm/one ") < at("GET /warm/two?x=1 "));
    assert!(at("GET /warm/two?x=1 ") < at("GET /client "));
    host.stop(&site);
}

/// A process that hangs still listens: only a question finds it.
#[test]
fn a_hung_instance_is_found_by_its_health_and_replaced() {
    let site = site();
    site.plugins("[host.backend.health]\npath = \"/health\"\ninterval_ms = 200\ntimeout_ms = 300\nfailures_max = 2\n");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let hung = site.probe().only_start();
    assert!(site.probe().everything().contains("GET /health HTTP/1.1\r\n"));
    let process = tree::Process::of(hung.pid).expect("it lives");
    process.signal(Signal::STOP);
    let line = host.wait_line("backend-unhealthy");
    assert!(line.contains(&format!("pid={}", hung.pid)), "{line}");
    process.wait_gone(SOON);
    let answer = until(SOON, "an answer of the next one", || {
        let answer = host.client().get("/who");
        assert!(matches!(answer.status(), 200 | 502 | 503), "{}", answer.text());
        (answer.status() == 200).then(|| answer.text())
    });
    assert!(answer.starts_with("start 2 "), "{answer}");
    host.stop(&site);
}

#[test]
fn a_client_with_the_cookie_comes_back_to_its_instance() {
    let site = Site::new(web().set("processesPerApplication", 3));
    site.plugins("[host.backend]\naffinity_cookie = \"lodge\"\n");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    until(SOON, "three instances", || (host.lines_with("backend-ready").len() == 3).then_some(()));
    let first = host.client().get("/who");
    let cookie = first.value("set-cookie").expect("the first answer sets the cookie").to_owned();
    let pair = cookie.split(';').next().unwrap_or_default();
    assert!(pair.starts_with("lodge=") && cookie.contains("HttpOnly"), "{cookie}");
    for _ in 0..20 {
        let request = format!("GET /who HTTP/1.1\r\nHost: a\r\nCookie: own=1; {pair}\r\n\r\n");
        assert_eq!(host.client().send(request).response().text(), first.text());
    }
    assert!(!site.probe().everything().contains("lodge="), "the app saw the host's own cookie");
    host.stop(&site);
}
