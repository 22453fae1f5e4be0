//! Changes while the host serves: files that change, orders to reload, and
//! what can't be taken up.

use crate::{site, web};
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Host, Load, Mix, Seed, Signal, Site, Start, Web, probe};
use std::time::{Duration, Instant};

/// Sends GETs one after the other, 1 ms apart, each of which must be answered by the app.
fn serve_all(host: &Host, requests: usize) {
    let mut client = host.client();
    for number in 0..requests {
        let answer = client.get("/who");
        assert_eq!(answer.status(), 200, "request {number}: {}", answer.text());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The newest start, once there are so many and only the newest lives.
fn only_newest(site: &Site, host: &Host, starts: usize) -> Start {
    until(SOON, "a new process in the old one's place", || {
        let newest = site.probe().starts().pop()?;
        let alive = site.probe().listening();
        // Not the program's own count: a port may be taken between the look and the use, and then a start has two attempts.
        let started = host.lines_with("backend-ready").len() == starts;
        let done = started && alive.len() == 1 && alive[0].pid == newest.pid;
        done.then_some(newest)
    })
}

/// L43: a touched web.config and an order to recycle cost no request; the process is another one.
#[test]
fn a_touched_web_config_costs_no_request() {
    let site = Site::new(web().env(probe::SILENT, 1));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let first = site.probe().only_start();
    site.touch("web.config");
    serve_all(&host, 2000);
    let second = only_newest(&site, &host, 2);
    assert!(first.pid != second.pid && first.port != second.port && first.token != second.token);
    let line = host.wait_line("backend-replaced");
    assert!(line.contains("why=configuration"), "{line}");
    let order = std::thread::scope(|scope| {
        let order = scope.spawn(|| host.order("reload", &[]));
        serve_all(&host, 2000);
        order.join().expect("the order does not panic")
    });
    assert_eq!(order.code, Some(0), "{}", order.log);
    let third = only_newest(&site, &host, 3);
    assert!(second.pid != third.pid && second.token != third.token);
    host.stop(&site);
}

/// L44: with `disallowRotationOnConfigChange` a touch replaces nothing; an order does.
#[test]
fn rotation_can_be_disallowed() {
    let setting =
        r#"<handlerSettings><handlerSetting name="disallowRotationOnConfigChange" value="true" /></handlerSettings>"#;
    let site = Site::new(web().inside(setting));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    site.touch("web.config");
    // Nothing is to happen, so there is nothing to wait for but time: six times what a change takes.
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        assert_eq!(host.client().get("/").status(), 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    site.probe().only_start();
    host.reload();
    only_newest(&site, &host, 2);
    host.stop(&site);
}

/// L45: the change of one app is none of another's, also where one folder's name begins with the other's.
#[test]
fn another_app_keeps_its_process() {
    let first = site();
    let second = first.beside("appTest");
    second.web(web());
    let (one, two) = (Host::start(&first), Host::start(&second));
    for host in [&one, &two] {
        assert_eq!(host.client().get("/").status(), 200);
    }
    first.touch("web.config");
    only_newest(&first, &one, 2);
    one.reload();
    only_newest(&first, &one, 3);
    assert_eq!(two.client().get("/").status(), 200);
    second.probe().only_start();
    second.touch("web.config");
    only_newest(&second, &two, 2);
    assert_eq!(one.lines_with("backend-ready").len(), 3);
    one.stop(&first);
    two.stop(&second);
}

#[test]
fn a_watched_file_replaces_the_app_and_others_do_not() {
    let site = site();
    site.plugins("[host.backend]\nwatch = [\"*.dll\", \"bin/**/*.so\"]\nwatch_settle_ms = 100\n");
    site.file("App.dll", "old");
    site.file("bin/a/native.so", "old");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    site.file("App.txt", "new");
    site.file("logs/App.dll.log", "new");
    for (number, file) in [(2, "App.dll"), (3, "bin/a/native.so")] {
        site.swap(file, "new");
        only_newest(&site, &host, number);
        let replaced = |line: &String| line.contains("why=file-changed") && line.contains(&format!("/{file} "));
        until(SOON, "a line that names the file", || host.lines_with("backend-replaced").into_iter().find(replaced));
        assert_eq!(host.client().get("/").status(), 200);
    }
    host.stop(&site);
}

#[test]
fn an_unwatched_host_takes_nothing_up_by_itself() {
    let site = site();
    site.plugins("[host.backend]\nwatch = [\"*.dll\"]\nwatch_settle_ms = 100\n");
    let host = gatelodge_e2e::Launch::new(&site).args(&["--no-watch"]).start();
    assert_eq!(host.client().get("/").status(), 200);
    site.file("App.dll", "new");
    site.touch("web.config");
    // As above: time is all that can be waited for.
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        assert_eq!(host.client().get("/").status(), 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    site.probe().only_start();
    host.stop(&site);
}

#[test]
fn changed_settings_reach_the_next_process() {
    let site = Site::new(web().env("SETTING", "old"));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    site.web(web().env("SETTING", "new").beside(
        r#"<security><requestFiltering><requestLimits maxAllowedContentLength="10" /></requestFiltering></security>"#,
    ));
    let newest = only_newest(&site, &host, 2);
    assert_eq!(newest.env["SETTING"], "new");
    until(SOON, "the changed limit", || (host.client().post("/", &[0; 11]).status() == 413).then_some(()));
    assert_eq!(host.client().post("/", &[0; 10]).status(), 200);
    host.stop(&site);
}

#[test]
fn a_hangup_reloads() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    host.signal(Signal::HUP);
    serve_all(&host, 200);
    only_newest(&site, &host, 2);
    host.stop(&site);
}

/// Asks for a reload that can't be; gives what was said.
fn refused(site: &Site, host: &Host, parts: &[&str]) {
    let before = site.probe().only_start();
    let ended = host.order("reload", &[]);
    assert!(ended.code.is_some_and(|code| code != 0), "{}", ended.log);
    for part in parts {
        assert!(ended.log.contains(part), "{part} is not in: {}", ended.log);
    }
    assert!(host.client().get("/who").text().contains(&format!("pid {} ", before.pid)), "the old one goes on");
    let last = &host.status()["host"]["last_reload"];
    assert_eq!(last["ok"], false, "{last}");
    assert!(!last["problems"].as_array().is_none_or(Vec::is_empty), "{last}");
}

#[test]
fn a_slip_in_web_config_leaves_the_old_world_and_is_told_with_its_place() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let good = std::fs::read_to_string(site.app().join("web.config")).expect("it is there");
    site.swap("web.config", good.replace("<aspNetCore processPath", "<aspNetCore startupTimelimit=\"5\" processPath"));
    refused(&site, &host, &["web.config:8:17", "startupTimelimit", "startupTimeLimit"]);
    site.probe().only_start();
    // Mended, it is taken up.
    site.swap("web.config", good);
    host.reload();
    assert_eq!(host.status()["host"]["last_reload"]["ok"], true);
    assert_eq!(host.client().get("/").status(), 200);
    host.stop(&site);
}

#[test]
fn a_reload_asks_for_what_the_system_grants() {
    let site = site();
    let host = gatelodge_e2e::Launch::new(&site).args(&["--no-watch"]).start();
    assert_eq!(host.client().get("/").status(), 200);
    site.plugins("[host.backend.identity]\nuser = \"no-such-user\"\n");
    refused(&site, &host, &["plugins.toml:2:8: ", "/etc/passwd has no such user", "what ran before runs on"]);
    site.probe().only_start();
    host.stop(&site);
}

#[test]
fn an_app_that_no_longer_starts_leaves_the_old_one_and_is_told() {
    let site = site();
    // By order only: a change that is taken up by itself would fail first.
    let host = gatelodge_e2e::Launch::new(&site).args(&["--no-watch"]).start();
    assert_eq!(host.client().get("/").status(), 200);
    let first = site.probe().only_start();
    site.web(web().set("arguments", "exit 3 boom went the app"));
    let ended = host.order("reload", &[]);
    assert!(ended.code.is_some_and(|code| code != 0), "{}", ended.log);
    for part in ["code 3", "boom went the app", "what ran before runs on"] {
        assert!(ended.log.contains(part), "{part} is not in: {}", ended.log);
    }
    let line = host.wait_line("backend-not-replaced");
    assert!(line.contains("boom went the app"), "{line}");
    assert!(host.client().get("/who").text().contains(&format!("pid {} ", first.pid)), "the old one goes on");
    site.web(web());
    host.reload();
    assert_ne!(site.probe().starts().pop().expect("it was started").pid, first.pid);
    assert_eq!(host.client().get("/").status(), 200);
    host.stop(&site);
}

#[test]
fn an_order_to_stop_drains() {
    let site = site();
    let head = "send HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nfirst";
    site.probe().script("slow", &["read", "mark begun", head, "wait go", "send -last"]);
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("GET /script/slow HTTP/1.1\r\nHost: test\r\n\r\n");
    site.probe().wait_mark("begun");
    let order = std::thread::scope(|scope| {
        let order = scope.spawn(|| host.order("stop", &[]));
        let _line = host.wait_line("stopping");
        site.probe().open("go");
        assert_eq!(client.response().text(), "first-last");
        order.join().expect("the order does not panic")
    });
    assert_eq!(order.code, Some(0), "{}", order.log);
    host.assert_no_token(&site);
    assert_eq!(host.wait().code, Some(0));
    assert!(site.probe().alive().is_empty());
}

#[test]
fn orders_without_a_host_say_so() {
    let site = site();
    for verb in ["status", "reload", "stop"] {
        let output = std::process::Command::new(gatelodge_e2e::host::binary()).arg(verb).arg(site.app()).output();
        let output = output.expect("the binary runs");
        assert!(output.status.code().is_some_and(|code| code != 0), "{verb}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("no host") && said.contains("app"), "{verb}: {said}");
    }
}

/// An app that must never run twice is stopped before its replacement starts, and requests wait.
#[test]
fn without_overlap_there_are_never_two() {
    let site = Site::new(web().env(probe::SILENT, 1));
    site.plugins("[host.backend]\noverlap = false\n");
    let host = Host::start(&site);
    let seed = Seed::choose();
    let load = Load::start(host.addr(), "load", &Mix::default(), &seed);
    load.wait_whole(20);
    for number in 2..=4 {
        host.reload();
        load.wait_whole(20);
        assert_eq!(host.lines_with("backend-ready").len(), number);
        assert_eq!(site.probe().listening().len(), 1);
    }
    let failed: Vec<_> =
        load.stop().into_iter().filter(|record| record.outcome != gatelodge_e2e::Outcome::Whole).collect();
    assert!(failed.is_empty(), "{failed:?}");
    host.stop(&site);
}

/// What is asked of a site's own program works below another section as well.
#[test]
fn an_http_platform_app_is_replaced_too() {
    let site = Site::new(Web::platform(crate::PROBE));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    host.reload();
    let newest = only_newest(&site, &host, 2);
    assert!(host.client().get("/who").text().contains(&format!("pid {} ", newest.pid)));
    host.stop(&site);
}
