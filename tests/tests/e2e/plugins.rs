//! Plugins from files: what they do to requests, and what refuses to load.

use crate::site;
use gatelodge_e2e::{Host, Launch, Site};
use gatelodge_guests::component;

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
        ("missing", None, &["no.wasm"][..]),
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
