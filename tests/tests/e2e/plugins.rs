//! Plugins from files: what they do to requests, and what refuses to load.

use crate::site;
use gatelodge_e2e::{Host, Launch, Response, Site};
use gatelodge_guests::component;
use std::time::Duration;

/// A site with these guests as plugins, in this order, named as they are.
fn with(guests: &[&str]) -> Site {
    let site = site();
    let entries: Vec<String> = guests.iter().enumerate().map(|(number, guest)| {
        site.file(&format!("plugins/{guest}.wasm"), component(guest));
        format!("[[plugin]]\nname = \"{guest}-{number}\"\nmodule = \"plugins/{guest}.wasm\"\n[plugin.grants]\nlog = true\n")
    }).collect();
    site.plugins(&entries.concat());
    site
}

#[test]
fn a_plugin_of_the_file_changes_what_the_backend_gets() {
    let site = with(&["two-in-one-set"]);
    let host = Host::start(&site);
    for (target, fields, seen) in [
        ("/both", "User-Agent: a\r\nAccept: b\r\nX-Seen: client's own\r\n", "both"),
        ("/one", "Accept: b\r\n", "one"),
        ("/none", "", "none"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(host.client().send(request).response().status(), 200);
        let head = site.probe().head_of(target).to_lowercase();
        assert!(head.contains(&format!("\r\nx-seen: {seen}\r\n")), "{head}");
        assert_eq!(head.matches("x-seen").count(), 1, "{head}");
    }
    host.stop(&site);
}

#[test]
fn a_plugin_of_the_command_line_runs_too() {
    let site = site();
    let path = site.file("elsewhere/two.wasm", component("two-in-one-set"));
    let host = Launch::new(&site).args(&["--plugin", path.to_str().expect("a plain name")]).start();
    assert_eq!(host.client().get("/x").status(), 200);
    assert!(site.probe().head_of("/x").to_lowercase().contains("\r\nx-seen: none\r\n"));
    host.stop(&site);
}

#[test]
fn a_match_decides_which_requests_a_plugin_sees() {
    let site = with(&["two-in-one-set"]);
    let text = std::fs::read_to_string(site.app().join("plugins.toml")).expect("it was just written");
    site.plugins(&text.replace("module =", "match = { path = [\"/api/*\"], method = [\"GET\"] }\nmodule ="));
    let host = Host::start(&site);
    let mut client = host.client();
    assert_eq!(client.get("/api/x").status(), 200);
    assert_eq!(client.get("/other").status(), 200);
    assert_eq!(client.post("/api/post", b"").status(), 200);
    let seen = |target: &str| site.probe().head_of(target).to_lowercase().contains("x-seen");
    assert!(seen("/api/x"));
    assert!(!seen("/other") && !seen("/api/post"));
    host.stop(&site);
}

/// The component with another version of the contract in its imports.
fn of_another_version() -> Vec<u8> {
    let mut bytes = component("pass").to_vec();
    let (own, other) = (b"@0.1.0", b"@7.1.0");
    let places: Vec<usize> =
        bytes.windows(own.len()).enumerate().filter(|(_, w)| *w == own).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the guest names the contract's version");
    for at in places {
        bytes[at..at + other.len()].copy_from_slice(other);
    }
    bytes
}

#[test]
fn what_is_not_a_plugin_of_this_host_is_refused_with_its_line() {
    for (case, bytes, parts) in [
        ("missing", None, &["no.wasm", "sick"][..]),
        ("text", Some(b"this is no wasm".to_vec()), &["sick"]),
        ("core module", Some(b"\0asm\x01\0\0\0".to_vec()), &["sick", "component"]),
        ("empty", Some(Vec::new()), &["sick"]),
        ("cut", Some(component("pass")[..1000].to_vec()), &["sick"]),
        ("other version", Some(of_another_version()), &["sick", "7.1.0", "0.1.0"]),
    ] {
        let site = site();
        if let Some(bytes) = bytes {
            site.file("no.wasm", bytes);
        }
        site.plugins("[[plugin]]\nname = \"sick\"\nmodule = \"no.wasm\"\n[plugin.grants]\nlog = true\n");
        for ended in [Launch::new(&site).refused(), Launch::new(&site).check()] {
            assert_eq!(ended.code, Some(3), "{case}: {}", ended.log);
            for part in parts.iter().chain(&["plugins.toml:3:"]) {
                assert!(ended.log.contains(part), "{case}: {part} is not in:\n{}", ended.log);
            }
        }
        assert!(site.probe().starts().is_empty());
    }
}

#[test]
fn an_import_without_its_grant_is_refused_with_the_line_to_write() {
    let site = site();
    site.plugins("[[plugin]]\nname = \"auth\"\nmodule = \"builtin:auth-forward\"\n[plugin.grants]\nlog = true\n");
    let ended = Launch::new(&site).check();
    assert_eq!(ended.code, Some(3), "{}", ended.log);
    for part in ["auth", "identity", "identity = true", "plugins.toml:"] {
        assert!(ended.log.contains(part), "{part} is not in:\n{}", ended.log);
    }
}

#[test]
fn a_grant_that_nothing_imports_is_refused() {
    let site = with(&["pass"]);
    let text = std::fs::read_to_string(site.app().join("plugins.toml")).expect("it was just written");
    site.plugins(&text.replace("log = true", "log = true\nidentity = true"));
    let ended = Launch::new(&site).check();
    assert_eq!(ended.code, Some(3), "{}", ended.log);
    assert!(ended.log.contains("identity") && ended.log.contains("pass-0"), "{}", ended.log);
}

#[test]
fn a_digest_pins_a_file() {
    let site = with(&["pass"]);
    let text = std::fs::read_to_string(site.app().join("plugins.toml")).expect("it was just written");
    let digest = ring::digest::digest(&ring::digest::SHA256, component("pass"));
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    for (pin, code) in [(digest.clone(), 0), (digest.replace(|c: char| c != '0', "0"), 3)] {
        site.plugins(&text.replace("module =", &format!("sha256 = \"{pin}\"\nmodule =")));
        let ended = Launch::new(&site).check();
        assert_eq!(ended.code, Some(code), "{}", ended.log);
    }
}

/// A guest with settings, as an entry of plugins.toml; `more` are keys of the entry.
fn entry(site: &Site, name: &str, guest: &str, more: &str, settings: &str) -> String {
    site.file(&format!("plugins/{guest}.wasm"), component(guest));
    format!(
        "[[plugin]]\nname = \"{name}\"\nmodule = \"plugins/{guest}.wasm\"\n{more}\n\
         [plugin.config]\n{settings}\n[plugin.grants]\nlog = true\n"
    )
}

fn ask(host: &Host, target: &str, fields: &str) -> Response {
    host.client().send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).response()
}

#[test]
fn plugins_run_in_order_on_the_way_in_and_reversed_on_the_way_out() {
    let site = site();
    let entries: Vec<String> =
        ["a", "b", "c"].iter().map(|name| entry(&site, name, "order", "", &format!("name = \"{name}\""))).collect();
    site.plugins(&entries.concat());
    let host = Host::start(&site);
    let answer = ask(&host, "/x", "");
    assert_eq!(answer.status(), 200);
    let head = site.probe().head_of("/x").to_lowercase();
    let way_in: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix("x-order: ")).collect();
    assert_eq!(way_in.join(","), "a,b,c");
    assert_eq!(answer.head.values("x-order").join(","), "c,b,a");
    host.stop(&site);
}

#[test]
fn a_plugin_that_answers_leaves_the_backend_asleep() {
    let site = site();
    let outer = entry(&site, "outer", "order", "", "name = \"outer\"");
    let answer = "status = 403\nbody = \"not today\"\nheaders = [\"x-why=rain\"]";
    let inner = entry(&site, "inner", "answer", "", answer);
    let never = entry(&site, "never", "order", "", "name = \"never\"");
    site.plugins(&(outer + &inner + &never));
    let host = Host::start(&site);
    let mut client = host.client();
    for _ in 0..2 {
        let answer = client.get("/x");
        assert_eq!((answer.status(), answer.text().as_str()), (403, "not today"));
        assert_eq!(answer.value("x-why"), Some("rain"));
        assert_eq!(answer.head.values("x-order"), ["outer"], "only who saw the request sees the answer");
    }
    // The unread body of an answered request is never taken for the next request.
    let hidden = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len()));
    assert_eq!(client.response().status(), 403);
    assert!(client.try_send("GET /y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    let rest = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(rest.matches("HTTP/1.1 ").count() <= 1, "{rest}");
    assert!(site.probe().starts().is_empty(), "a backend was started for nothing");
    host.stop(&site);
}

#[test]
fn a_plugin_that_fails_costs_its_own_request_only() {
    for guest in ["trap", "panic", "recurse", "grow"] {
        let site = site();
        site.plugins(&entry(&site, "sick", guest, "", ""));
        let host = Host::start(&site);
        assert_eq!(ask(&host, "/before", "").status(), 200, "{guest}");
        for hook in ["request", "response"] {
            let answer = ask(&host, "/x", &format!("X-Do: {hook}\r\n"));
            assert_eq!(answer.status(), 500, "{guest} in {hook}");
            assert!(answer.text().contains("sick"), "loopback clients are told who failed: {}", answer.text());
            assert_eq!(ask(&host, "/next", "").status(), 200, "{guest} in {hook}");
        }
        // After the last byte nothing can be changed any more.
        assert_eq!(ask(&host, "/done", "X-Do: completion\r\n").status(), 200, "{guest}");
        assert_eq!(ask(&host, "/next", "").status(), 200, "{guest}");
        let _line = host.wait_line("sick");
        host.stop(&site);
    }
}

#[test]
fn a_plugin_that_loops_is_stopped_at_its_deadline() {
    let site = site();
    site.plugins(&entry(&site, "sick", "loop", "deadline_ms = 100", ""));
    let host = Launch::new(&site).args(&["--workers", "1"]).start();
    assert_eq!(ask(&host, "/before", "").status(), 200);
    let mut best = Duration::MAX;
    // Fewer than the faults in a row after which a plugin is rested for a second.
    for _ in 0..3 {
        let begin = host.processor_time();
        assert_eq!(ask(&host, "/x", "X-Do: request\r\n").status(), 500);
        best = best.min(host.processor_time() - begin);
        assert_eq!(ask(&host, "/next", "").status(), 200);
    }
    // The deadline is processor time; the best of three leaves other work of the host out.
    assert!((Duration::from_millis(100)..Duration::from_millis(120)).contains(&best), "{best:?}");
    assert!(host.wait_line("sick").contains("deadline"));
    host.stop(&site);
}

#[test]
fn on_fault_skip_lets_the_request_go_on() {
    let site = site();
    let sick = entry(&site, "sick", "trap", "on_fault = \"skip\"", "");
    let healthy = entry(&site, "healthy", "order", "", "name = \"healthy\"");
    site.plugins(&(sick + &healthy));
    let host = Host::start(&site);
    let answer = ask(&host, "/x", "X-Do: request\r\n");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.values("x-order"), ["healthy"]);
    let _line = host.wait_line("sick");
    host.stop(&site);
}

#[test]
fn a_plugin_sees_everything_but_the_token() {
    let site = site();
    let settings = "request = [\"header:ms-aspnetcore-token\"]";
    // The guest logs all it can read and asserts that the token is not to be had.
    let shows = entry(&site, "shows", "shows", "", "");
    let views = entry(&site, "views", "views", "", &format!("{settings}\nlines = [\"ms-aspnetcore-token\"]"));
    for text in [&shows, &views] {
        site.plugins(text);
        match Launch::new(&site).check().code {
            // Either nobody may even ask for it, or whoever asks gets nothing.
            Some(3) => continue,
            code => assert_eq!(code, Some(0)),
        }
        let host = Host::start(&site);
        assert_eq!(ask(&host, "/x", "MS-ASPNETCORE-TOKEN: guess\r\nX-Mine: seen\r\n").status(), 200);
        let head = site.probe().head_of("/x").to_lowercase();
        assert!(!head.contains("guess"), "{head}");
        // Stopping looks for the token in the log, in answers and in files.
        host.stop(&site);
    }
}

#[test]
fn powers_without_their_grant_are_refused_at_load() {
    for (guest, import) in [
        ("needs-kv", "kv"),
        ("needs-http", "http-out"),
        ("needs-keys", "keys"),
        ("needs-secrets", "secrets"),
        ("needs-rate-limit", "rate-limit"),
    ] {
        let site = site();
        site.plugins(&entry(&site, "needy", guest, "", ""));
        let ended = Launch::new(&site).refused();
        assert_eq!(ended.code, Some(3), "{guest}: {}", ended.log);
        for part in ["needy", import, "plugins.toml:"] {
            assert!(ended.log.contains(part), "{guest}: {part} is not in:\n{}", ended.log);
        }
    }
}

#[test]
fn a_plugin_that_refuses_its_settings_says_why() {
    let site = site();
    site.plugins(&entry(&site, "picky", "order", "", "name = \"a\"\nnmae = \"b\""));
    let ended = Launch::new(&site).check();
    assert_eq!(ended.code, Some(3), "{}", ended.log);
    assert!(ended.log.contains("picky") && ended.log.contains("nmae"), "{}", ended.log);
}

#[test]
fn settings_are_held_against_the_manifest_with_their_places() {
    let site = site();
    let wrong = "greting = \"hello\"\nlevel = \"loudd\"\nnames = [\"a\", 2]\nlimits.rate = true";
    let text = entry(&site, "picky", "schema", "", wrong);
    let line = |part: &str| text.lines().position(|line| line.starts_with(part)).expect("it is there") + 1;
    site.plugins(&text);
    for ended in [Launch::new(&site).refused(), Launch::new(&site).check()] {
        assert_eq!(ended.code, Some(3), "{}", ended.log);
        for (line, column, parts) in [
            (line("[plugin.config]"), 9, ["has no `greeting`", "write `greeting = ...` below [plugin.config]"]),
            (line("greting"), 1, ["`greting` is not known", "did you mean `greeting`?"]),
            (line("level"), 1, ["`level` is none of", "did you mean `loud`?"]),
            (line("names"), 15, ["`names.1` is a whole number, not a string", ""]),
            (line("limits"), 8, ["`limits.rate` is true or false, not a whole number", ""]),
        ] {
            let place = format!("plugins.toml:{line}:{column}: error: plugin \"picky\"");
            for part in parts.iter().chain(&[place.as_str()]) {
                assert!(ended.log.contains(part), "{part} is not in:\n{}", ended.log);
            }
        }
    }
    assert!(site.probe().starts().is_empty());
    site.plugins(&entry(&site, "picky", "schema", "", "greeting = \"hello\""));
    let host = Host::start(&site);
    assert_eq!(ask(&host, "/x", "").status(), 200);
    host.stop(&site);
}

#[test]
fn the_metrics_page_tells_each_hook() {
    let site = with(&["two-in-one-set", "panic"]);
    let text = std::fs::read_to_string(site.app().join("plugins.toml")).expect("it was just written");
    let door = site.app().join("door");
    site.plugins(&format!("[host]\nadmin = \"unix:{}\"\n{text}", door.display()));
    let host = Launch::new(&site).args(&["--workers", "1"]).start();
    let mut client = host.client();
    for fields in ["", "", "X-Do: request\r\n"] {
        let answer = client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).response();
        assert_eq!(answer.status() == 200, fields.is_empty());
    }
    let page = host.metrics(&door);
    for series in [
        r#"gatelodge_wasm_hook_calls_total{plugin="two-in-one-set-0",hook="request-head"} 3"#,
        r#"gatelodge_wasm_hook_decisions_total{plugin="two-in-one-set-0",hook="request-head",decision="edit"} 3"#,
        r#"gatelodge_wasm_hook_seconds_count{plugin="two-in-one-set-0",hook="request-head"} 1"#,
        r#"gatelodge_wasm_hook_faults_total{plugin="panic-1",hook="request-head",kind="trap"} 1"#,
        r#"gatelodge_wasm_instances{plugin="two-in-one-set-0"} 1"#,
        r#"gatelodge_wasm_instances_ended_total{plugin="panic-1",reason="fault"} 1"#,
    ] {
        assert!(page.lines().any(|line| line == series), "{series} is not in:\n{page}");
    }
    host.stop(&site);
}
