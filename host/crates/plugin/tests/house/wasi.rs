//! Components as `cargo build --target wasm32-wasip2` makes them, with the standard library.

use crate::harness::{House, guest, guest_with, house, lines, load, request, told};
use gatelodge_plugin::{KeySets, Level};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the guest came to by doing this.
fn done(house: &House, act: &str) -> String {
    let (exchange, step) = house.way_in(request("/", &[("x-do", act)]));
    assert_eq!(told(&step), "continue", "{act}");
    lines(&exchange, "x-out").concat()
}

/// How doing this failed.
fn failed(house: &House, act: &str) -> String {
    let (_, step) = house.way_in(request("/", &[("x-do", act)]));
    let text = told(&step);
    assert!(text.starts_with("fault trap of wasi-std: "), "{act}: {text}");
    assert_eq!(done(house, "no-sleep"), "awake", "the next request is served");
    text
}

fn heard(house: &House) -> Vec<(Level, String)> {
    let lines = house.ears.lines.lock().expect("no test panics with it");
    lines.iter().map(|line| (line.level, line.message.clone())).collect()
}

#[test]
fn prints_to_the_log() {
    let house = house(vec![guest("wasi-std")]);
    assert_eq!(done(&house, "print"), "Ok(())");
    let expected = [
        (Level::Info, "first"),
        (Level::Info, "second"),
        (Level::Warn, "to the error stream"),
        (Level::Info, "no line end"),
    ];
    assert_eq!(heard(&house), expected.map(|(level, line)| (level, line.to_owned())));

    done(&house, "long");
    let line = heard(&house).pop().expect("a line").1;
    assert!(line.starts_with("xxx") && line.ends_with('…'), "cut and marked");
    assert_eq!(line.trim_end_matches('…').len(), 8 * 1024);
}

#[test]
fn printing_needs_no_grant_to_load() {
    let error = load(vec![guest_with("wasi-std", |settings| settings.grants.log = false)], KeySets::new())
        .err()
        .expect("refused");
    assert_eq!(error.len(), 1, "only the contract's own log needs a grant: {error:?}");
    assert_eq!(error[0].import.as_deref(), Some("gatelodge:plugin/log@0.1.0"));
}

#[test]
fn a_panic_is_in_the_log() {
    let house = house(vec![guest("wasi-std")]);
    failed(&house, "panic");
    let heard = heard(&house);
    assert!(heard.iter().any(|(level, line)| *level == Level::Warn && line == "the guest gave up"), "{heard:?}");
    assert!(heard.iter().any(|(_, line)| line.contains("wasi-std.rs")), "{heard:?}");
}

#[test]
fn exits_are_faults_with_their_status() {
    let house = house(vec![guest("wasi-std")]);
    let text = failed(&house, "exit");
    assert!(text.contains("it called exit with status 1"), "{text}");
    failed(&house, "abort");
}

#[test]
fn the_world_outside_is_empty() {
    let house = house(vec![guest("wasi-std")]);
    assert_eq!(done(&house, "environment"), "0 0 true");
    assert_eq!(done(&house, "stdin"), "Ok(0)");
}

#[test]
fn time_and_chance() {
    let house = house(vec![guest("wasi-std")]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let clock = done(&house, "clock");
    let (passed, unix) = clock.split_once(' ').expect("two numbers");
    assert_eq!(passed, "0", "time stands still in a hook");
    assert!(unix.parse::<u64>().is_ok_and(|unix| unix.abs_diff(now) < 60), "{clock}");

    // The second of two instances hashes with another seed.
    let (first, second) = (done(&house, "random"), done(&crate::harness::house(vec![guest("wasi-std")]), "random"));
    assert!(first.starts_with("3 ") && second.starts_with("3 ") && first != second, "{first} {second}");
}

#[test]
fn a_hook_never_sleeps() {
    let house = house(vec![guest("wasi-std")]);
    assert_eq!(done(&house, "no-sleep"), "awake");
    let text = failed(&house, "sleep");
    assert!(text.contains("a hook never waits"), "{text}");
}

#[test]
fn files_are_refused_by_name() {
    let errors = load(vec![guest("wasi-file")], KeySets::new()).err().expect("refused");
    let imports: Vec<_> = errors.iter().filter_map(|error| error.import.as_deref()).collect();
    assert!(imports.iter().any(|import| import.starts_with("wasi:filesystem/types@0.2.")), "{imports:?}");
    assert!(errors.iter().all(|error| error.message == "plugins have no file system"), "{errors:?}");
}

/// Compilers name the version of WASI they were built with.
#[test]
fn every_0_2_release_links() {
    let whole = gatelodge_guests::component("wasi-std");
    let built_for = b"@0.2.6";
    for version in [b"@0.2.1", b"@0.2.6", b"@0.2.9"] {
        // The same length, so that all sizes stay right.
        let mut bytes = whole.to_vec();
        let mut renamed = 0;
        for at in 0..bytes.len() - version.len() {
            if bytes[at..].starts_with(built_for) {
                bytes[at..at + version.len()].copy_from_slice(version);
                renamed += 1;
            }
        }
        assert!(renamed > 0, "the compiler names another version now: change this test");
        let house = house(vec![guest_with("wasi-std", |settings| settings.module.bytes = bytes.into())]);
        assert_eq!(done(&house, "stdin"), "Ok(0)");
    }
}
