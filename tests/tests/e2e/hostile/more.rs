//! Acts that need more than one request to show.

use super::act::{ISOLATIONS, Stage};
use crate::site;
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_guests::component;

/// Family, test, guest, and what becomes of it.
pub(super) const ACTS: &[(&str, &str, &str, &str)] = &[
    ("W3", "cut_in_the_middle", "body-late-trap", "cut off, `trap` in response-body"),
    ("W3", "one_that_keeps_failing", "trap", "500 five times, then held back: 503"),
    ("W3", "trap_in_a_tick", "ticks", "costs a tick, `trap` in timer"),
    ("W4", "a_body_after_none", "answer", "204; the next answer on the connection is its own"),
    ("W4", "a_thousand_bad_answers", "edits", "500 each, at flat memory"),
    ("W5", "call_to_loopback", "needs-http", "`denied`, nobody is connected to"),
    ("W5", "call_to_loopback_in_ipv6", "needs-http", "`denied`, nobody is connected to"),
    ("W5", "call_to_a_name_of_loopback", "needs-http", "`denied`, nobody is connected to"),
    ("W5", "call_to_any_address", "needs-http", "`denied`, nobody is connected to"),
    ("W5", "call_to_the_cloud_s_metadata", "needs-http", "`denied`"),
    ("W5", "call_to_a_private_network", "needs-http", "`denied`"),
    ("W5", "redirect_to_loopback", "needs-http", "an answer like any other, never followed"),
    ("W5", "upstream_that_never_answers", "needs-http", "500, `deadline` in request-head; others do not wait"),
    ("W5", "client_that_leaves_while_a_call_waits", "needs-http", "the call ends, no fault"),
    ("W6", "memory_of_another_request", "raw-remains", "seen with `instance`, never with `request`"),
    ("W6", "kept_for_whom_no_response_comes", "edits", "its memory goes with the exchange, however that ends"),
    ("W8", "a_flood_of_lines", "log-flood", "1000 lines in a second, the rest counted"),
];

/// An entry of a guest for requests whose path ends in the isolation's name.
fn entry(guest: &str, isolation: &str, more: &str) -> String {
    format!(
        "[[plugin]]\nname = \"{guest}-{isolation}\"\nmodule = \"plugins/{guest}.wasm\"\n\
         match = {{ path = [\"*-{isolation}\"] }}\nisolation = \"{isolation}\"\n{more}\n[plugin.grants]\nlog = true\n"
    )
}

/// A stage with a guest in both isolation modes.
fn both(guest: &str, more: &str) -> Stage {
    let site = site();
    site.file(&format!("plugins/{guest}.wasm"), component(guest));
    let entries = ISOLATIONS.map(|isolation| entry(guest, isolation, more)).concat();
    Stage::set(site, &entries)
}

#[test]
fn memory_of_another_request() {
    let stage = both("raw-remains", "");
    let seen = |isolation: &str, slot: u32| {
        let request = format!("GET /{slot}-{isolation} HTTP/1.1\r\nHost: a\r\nX-Do: go\r\n\r\n");
        stage.host.client().send(request).response().status()
    };
    stage.beside(|| {
        // A pooled instance keeps what it has, as documented; it is the plugin's own memory.
        assert_eq!([0, 1, 2].map(|slot| seen("instance", slot)), [200, 409, 409]);
        // Fresh memory is zeroes, in pages that others have used, too.
        for slot in 0..50 {
            assert_eq!(seen("request", slot), 200, "request {slot} saw what another one left");
        }
    });
    for isolation in ISOLATIONS {
        stage.no_faults(&format!("raw-remains-{isolation}"));
    }
    stage.host.stop(&stage.site);
}

#[test]
fn one_that_keeps_failing() {
    let stage = both("trap", "");
    for isolation in ISOLATIONS {
        let ask = |fields: &str| {
            let request = format!("GET /act-{isolation} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            stage.host.client().send(request).response().status()
        };
        stage.beside(|| {
            for _ in 0..5 {
                assert_eq!(ask("X-Do: request\r\n"), 500);
            }
            assert_eq!(ask(""), 503, "held back, since nobody said that requests may pass it by");
        });
        let plugin = format!("trap-{isolation}");
        stage.faults(&plugin, "request-head", "trap", 5);
        stage.counts(&format!("gatelodge_plugin_pauses_total{{plugin=\"{plugin}\"}}"), 1);
        assert!(stage.metric(&format!("gatelodge_plugin_held_back_total{{plugin=\"{plugin}\"}}")) >= 1);
        let told = || {
            stage.host.lines_with(&plugin).into_iter().find(|l| l.contains("it keeps failing (trap): held back for"))
        };
        until(SOON, "the line of the pause", told);
        // One call tries it when the pause is over, and it works again.
        until(SOON, "the end of the pause", || (ask("") == 200).then_some(()));
    }
    stage.host.stop(&stage.site);
}

#[test]
fn trap_in_a_tick() {
    for isolation in ISOLATIONS {
        let site = site();
        site.file("plugins/ticks.wasm", component("ticks"));
        let entry = format!(
            "[stores.things]\n[[plugin]]\nname = \"ticks\"\nmodule = \"plugins/ticks.wasm\"\n\
             isolation = \"{isolation}\"\n[plugin.config]\nact = \"trap-second\"\n\
             [plugin.grants]\nlog = true\nstate = [\"things\"]\nidentity = true\n"
        );
        let stage = Stage::set(site, &entry);
        stage.beside(|| {
            stage.faults("ticks", "timer", "trap", 1);
            (0..20).for_each(|_| stage.good());
        });
        stage.faults("ticks", "timer", "trap", 1);
        stage.host.stop(&stage.site);
    }
}

#[test]
fn cut_in_the_middle() {
    let stage = both("body-late-trap", "");
    for isolation in ISOLATIONS {
        let gate = format!("more-{isolation}");
        stage.site.probe().script(
            &format!("act-{isolation}"),
            &[
                "send HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nquiet\\r\\n",
                &format!("wait {gate}"),
                "send 5\\r\\nloud!\\r\\n0\\r\\n\\r\\n",
            ],
        );
        stage.beside(|| {
            let mut client = stage.host.client();
            client.send(format!("GET /script/act-{isolation} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(client.head().status, 200);
            assert_eq!(client.chunk().as_deref(), Some(&b"QUIET"[..]));
            stage.site.probe().open(&gate);
            assert!(client.is_closed(), "half a change is never passed for a whole one");
        });
        stage.faults(&format!("body-late-trap-{isolation}"), "response-body", "trap", 1);
    }
    stage.host.stop(&stage.site);
}

#[test]
fn a_body_after_none() {
    let stage = both("answer", "config = { status = 204, body = \"HTTP/1.1 200 OK\\r\\n\\r\\n\" }");
    for isolation in ISOLATIONS {
        stage.beside(|| {
            let mut client = stage.host.client();
            for _ in 0..3 {
                let answer = client.get(&format!("/act-{isolation}"));
                assert_eq!((answer.status(), answer.value("content-length")), (204, None));
                assert_eq!(client.get("/good").text(), "ok", "the next answer is the next request's");
            }
        });
        stage.no_faults(&format!("answer-{isolation}"));
    }
    stage.host.stop(&stage.site);
}

/// Of an instance that was not lost, nothing is held back, however often it fails.
#[test]
fn a_thousand_bad_answers() {
    let stage = both("edits", "config = { request = [\"set host=evil\"] }");
    for isolation in ISOLATIONS {
        let mut client = stage.host.client();
        let path = format!("/act-{isolation}");
        (0..100).for_each(|_| assert_eq!(client.get(&path).status(), 500));
        stage.beside(|| (0..400).for_each(|_| assert_eq!(client.get(&path).status(), 500)));
        stage.faults(&format!("edits-{isolation}"), "request-head", "bad-output", 500);
    }
    stage.host.stop(&stage.site);
}

#[test]
fn a_flood_of_lines() {
    let stage = both("log-flood", "deadline_ms = 2000\nconfig = { lines = 5000, bytes = 60 }");
    for isolation in ISOLATIONS {
        let plugin = format!("log-flood-{isolation}");
        stage.beside(|| assert_eq!(stage.host.client().get(&format!("/act-{isolation}")).status(), 200));
        let dropped =
            || stage.host.lines_with(&plugin).into_iter().find(|line| line.contains("log lines were dropped"));
        until(SOON, "the count of dropped lines", dropped);
        let lines = stage.host.lines_with(&plugin).len();
        // The flood may lie across the border of a second, or two of them.
        assert!(lines < 3_500, "{lines} lines of 5000");
        stage.no_faults(&plugin);
    }
    stage.host.stop(&stage.site);
}

/// Memory that is kept between request and response, of an exchange that never gets there.
#[test]
fn kept_for_whom_no_response_comes() {
    let site = site();
    let entry = |name: &str, guest: &str, config: &str| {
        site.file(&format!("plugins/{guest}.wasm"), component(guest));
        format!(
            "[[plugin]]\nname = \"{name}\"\nmodule = \"plugins/{guest}.wasm\"\nmatch = {{ path = [\"/script/*\"] }}\n\
             isolation = \"request\"\nconfig = {{ {config} }}\n[plugin.grants]\nlog = true\n"
        )
    };
    // Neither has a completion hook, in which what is kept would end.
    let entries =
        [entry("outer", "order", "name = \"outer\""), entry("inner", "edits", "response = [\"status 99\"]")].concat();
    let stage = Stage::set(site, &entries);
    let kept = |number| {
        for name in ["outer", "inner"] {
            stage.counts(&format!("gatelodge_wasm_instances{{plugin=\"{name}\"}}"), number);
        }
    };
    // The inner one fails on the way out, so that the outer one is not asked.
    stage.site.probe().script("inner", &["send HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"]);
    stage.beside(|| {
        for _ in 0..3 {
            let ask = "GET /script/inner HTTP/1.1\r\nHost: a\r\n\r\n";
            assert_eq!(stage.host.client().send(ask).response().status(), 500);
        }
    });
    kept(0);
    // The client leaves while the backend thinks.
    stage.beside(|| {
        for round in 0..3 {
            let mark = format!("asked-{round}");
            stage.site.probe().script("inner-left", &["read", &format!("mark {mark}"), "until-closed left", "close"]);
            let mut client = stage.host.client();
            client.send("GET /script/inner-left HTTP/1.1\r\nHost: a\r\n\r\n");
            stage.site.probe().wait_mark(&mark);
            kept(1);
            drop(client);
            kept(0);
        }
    });
    stage.host.stop(&stage.site);
}
