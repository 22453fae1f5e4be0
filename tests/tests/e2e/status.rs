//! `gatelodge status`: what runs, for people and machines.

use crate::{site, web};
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Host, Site, tree};

#[test]
fn status_tells_the_app_from_idle_to_ready_to_gone() {
    let site = Site::new(web().set("arguments", "lines 3").set("processesPerApplication", 2));
    let host = Host::start(&site);
    let idle = host.status();
    assert_eq!((idle["app"]["state"].as_str(), idle["instances"].as_array().map(Vec::len)), (Some("idle"), Some(0)));
    assert_eq!(idle["host"]["pid"], host.pid());
    assert_eq!(idle["host"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(host.client().get("/").status(), 200);
    until(SOON, "two instances", || (host.lines_with("backend-ready").len() == 2).then_some(()));
    let ready = host.status();
    assert_eq!(ready["app"]["state"], "ready", "{ready}");
    assert_eq!((&ready["app"]["starts"], &ready["app"]["crashes_allowed"]), (&2.into(), &10.into()), "{ready}");
    let instances = ready["instances"].as_array().expect("a list");
    for (instance, start) in instances.iter().zip(site.probe().starts()) {
        assert_eq!(instance["state"], "ready", "{instance}");
        let known = site.probe().starts().iter().any(|s| instance["pid"] == s.pid && instance["port"] == s.port);
        assert!(known, "{instance} is not among the starts: {}", start.pid);
        assert!(instance["memory_bytes"].as_u64().is_none_or(|bytes| bytes > 100_000), "{instance}");
    }
    let requests: u64 = instances.iter().filter_map(|instance| instance["requests"].as_u64()).sum();
    assert_eq!(requests, 1, "{ready}");
    assert!(ready["app"]["last_lines"].to_string().contains("line 3"), "{ready}");
    let table = host.order("status", &[]);
    assert_eq!(table.code, Some(0), "{}", table.log);
    for part in ["ready for", "INSTANCE", "PID", "REQUESTS", &site.probe().starts()[0].pid.to_string(), "line 3"] {
        assert!(table.log.contains(part), "{part} is not in:\n{}", table.log);
    }
    let ended = host.stop(&site);
    assert_eq!(ended.code, Some(0));
}

#[test]
fn status_tells_a_crash_and_a_blocked_start() {
    let site = Site::new(web().set("rapidFailsPerMinute", 0));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    tree::signal_pid(site.probe().only_start().pid, gatelodge_e2e::Signal::ABORT);
    let _line = host.wait_line("backend-gone");
    assert_eq!(host.client().get("/").status(), 503);
    let page = host.status();
    assert_eq!(page["app"]["state"], "down", "{page}");
    assert_eq!((&page["app"]["crashes"], &page["app"]["crashes_in_window"]), (&1.into(), &1.into()), "{page}");
    assert!(page["app"]["next_start_in_s"].as_f64().is_some_and(|seconds| seconds > 0.0), "{page}");
    assert_eq!(page["app"]["last_exit"]["how"], "signal 6 (SIGABRT)", "{page}");
    assert_eq!(page["app"]["last_exit"]["asked"], false);
    let table = host.order("status", &[]).log;
    assert!(table.contains("down") && table.contains("next start in") && table.contains("SIGABRT"), "{table}");
    host.stop(&site);
}

#[test]
fn status_tells_a_failed_start() {
    let site = Site::new(web().set("arguments", "exit 3 boom went the app"));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 502);
    let page = host.status();
    assert_eq!(page["app"]["report"]["reason"], "exited", "{page}");
    assert_eq!(page["app"]["report"]["ended"], "exit code 3", "{page}");
    assert!(page["app"]["start_failures"].as_u64().is_some_and(|count| count >= 1), "{page}");
    let table = host.order("status", &[]).log;
    assert!(table.contains("exited") && table.contains("boom went the app"), "{table}");
    host.stop(&site);
}

#[test]
fn status_tells_a_replacement_and_offline() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let before = host.status();
    host.reload();
    let after = host.status();
    assert_eq!(after["app"]["replacements"], 1, "{after}");
    assert!(after["host"]["generation"].as_u64() > before["host"]["generation"].as_u64(), "{after}");
    site.file("app_offline.htm", "off");
    until(SOON, "the offline state", || (host.status()["app"]["state"] == "offline").then_some(()));
    host.stop(&site);
}
