//! What plugins keep, and what becomes of it when the host ends.

use crate::site;
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Host, Signal, Site};
use gatelodge_guests::component;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

const FILE: &str = "state/things.redb";

/// A site with a store on disk, a plugin that does with it what requests say, and one whose timer counts in it.
fn keeping() -> Site {
    let site = site();
    let mut text = format!(
        "[host]\nadmin = \"unix:{}\"\n[stores.things]\nkind = \"disk\"\npath = \"{FILE}\"\nflush_ms = 10\n",
        door(&site).display()
    );
    for (guest, more) in [("stores", ""), ("ticks", "identity = true\n")] {
        site.file(&format!("plugins/{guest}.wasm"), component(guest));
        text += &format!(
            "[[plugin]]\nname = \"{guest}\"\nmodule = \"plugins/{guest}.wasm\"\n[plugin.grants]\nlog = true\n\
             state = [\"things\"]\n{more}"
        );
    }
    site.plugins(&text);
    site
}

/// What came of it, as the plugin told the application. `name`: of this request alone.
fn ask(site: &Site, host: &Host, name: &str, what: &str) -> String {
    let target = format!("/{name}");
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Do: {what}\r\n\r\n");
    assert_eq!(host.client().send(request).response().status(), 200);
    let head = site.probe().head_of(&target);
    let result = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-result: ").map(str::to_owned));
    result.unwrap_or_else(|| panic!("no result: {head}"))
}

/// Ticks that the store has counted so far.
fn ticks(site: &Site, host: &Host, name: &str) -> u64 {
    let result = ask(site, host, name, "get ticks");
    result.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

/// Waits until the timer has counted beyond this; gives how far.
fn ticks_beyond(site: &Site, host: &Host, name: &str, count: u64) -> u64 {
    let mut asked = 0;
    until(SOON, "further ticks", || {
        asked += 1;
        let seen = ticks(site, host, &format!("{name}-{asked}"));
        (seen > count).then_some(seen)
    })
}

fn door(site: &Site) -> PathBuf {
    site.app().join("door")
}

/// Times that the store was written to disk.
fn flushes(site: &Site) -> u64 {
    let mut stream = UnixStream::connect(door(site)).expect("the admin door is open");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("it takes a request");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("a page of text");
    let series = "gatelodge_store_flushes_total{store=\"things\"} ";
    let number = page.lines().find_map(|line| line.strip_prefix(series)?.parse().ok());
    number.unwrap_or_else(|| panic!("{series} is not in: {page}"))
}

fn file(site: &Site) -> PathBuf {
    site.app().join(FILE)
}

#[test]
fn timer_and_store_on_disk_go_on_after_a_restart_and_a_kill() {
    let site = keeping();
    let host = Host::start(&site);
    assert_eq!(ask(&site, &host, "set", "set a kept"), "true");
    let before = ticks_beyond(&site, &host, "first", 2);
    host.stop(&site);

    let host = Host::start(&site);
    assert_eq!(ask(&site, &host, "get", "get a"), "ok(some(\"kept\"))");
    let after = ticks_beyond(&site, &host, "second", before);
    assert_eq!(ask(&site, &host, "set-b", "set b killed"), "true");
    // One that was under way may have begun before; the next has all.
    let flushed = flushes(&site) + 2;
    until(SOON, "two more flushes", || (flushes(&site) >= flushed).then_some(()));
    host.signal(Signal::KILL);
    let ended = host.wait();
    assert_eq!(ended.code, None, "{}", ended.log);

    let host = Host::start(&site);
    assert_eq!(ask(&site, &host, "get-b", "get b"), "ok(some(\"killed\"))");
    let _later = ticks_beyond(&site, &host, "fourth", after);
    host.stop(&site);
}

#[test]
fn a_store_whose_file_is_damaged_is_told_and_serves_from_memory() {
    let site = keeping();
    let host = Host::start(&site);
    assert_eq!(ask(&site, &host, "set", "set a kept"), "true");
    host.stop(&site);
    let mut bytes = std::fs::read(file(&site)).expect("it was written");
    bytes.iter_mut().skip(4096).for_each(|byte| *byte = !*byte);
    std::fs::write(file(&site), &bytes).expect("the site is ours");

    let host = Host::start(&site);
    let line = host.wait_line("it is in memory only while its file");
    assert!(line.contains(FILE) && line.contains("error") && line.contains("things"), "{line}");
    assert_eq!(ask(&site, &host, "get", "get a"), "ok(none)");
    assert_eq!(ask(&site, &host, "set-again", "set a anew"), "true");
    assert_eq!(ask(&site, &host, "get-again", "get a"), "ok(some(\"anew\"))");
    let ended = host.stop(&site);
    assert!(ended.log.contains("changed entries are not on disk"), "{}", ended.log);
    assert_eq!(std::fs::read(file(&site)).expect("it is there"), bytes, "for whoever wants to save what it held");

    std::fs::remove_file(file(&site)).expect("the site is ours");
    let host = Host::start(&site);
    assert_eq!(ask(&site, &host, "set-new", "set a new"), "true");
    host.stop(&site);
    let host = Host::start(&site);
    assert_eq!(ask(&site, &host, "get-new", "get a"), "ok(some(\"new\"))");
    host.stop(&site);
}
