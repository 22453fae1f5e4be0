//! What is refused before anything is served: exit 3, the plugin's name, its line, and advice.

use super::act::Stage;
use super::beside::Beside;
use crate::site;
use gatelodge_e2e::{Launch, Site};
use gatelodge_guests::component;
use std::fs::File;

/// Something that is no plugin for this host.
pub(super) struct Refused {
    /// Name of its test.
    pub(super) name: &'static str,
    /// The guest, or what lies in its place.
    pub(super) source: &'static str,
    /// Puts the file `plugins/sick.wasm` there.
    put: fn(&Site, &'static str),
    /// Its settings.
    config: &'static str,
    /// What the refusal says.
    says: &'static [&'static str],
}

macro_rules! refused {
    ($($name:ident = $source:literal, $put:expr, $config:literal, $says:expr;)+) => {
        pub(super) const ACTS: &[Refused] = &[$(Refused {
            name: stringify!($name), source: $source, put: $put, config: $config, says: $says,
        }),+];
        $(#[test]
        fn $name() {
            show(stringify!($name));
        })+
    };
}

refused! {
    import_of_a_store = "needs-kv", guest, "", &["kv", "state = [\"NAME\"]"];
    import_of_upstreams = "needs-http", guest, "", &["http-out", "http = [\"NAME\"]"];
    import_of_secrets = "needs-secrets", guest, "", &["secrets", "secrets = [\"NAME\"]"];
    import_of_keys = "needs-keys", guest, "", &["keys", "keys = [\"NAME\"]"];
    import_of_limits = "needs-rate-limit", guest, "", &["rate-limit", "limits = [\"NAME\"]"];
    import_of_files = "wasi-file", guest, "", &["wasi:filesystem", "plugins have no file system"];
    loop_in_start = "raw-start-loop", guest, "", &["deadline"];
    loop_in_configure = "bad-configure", guest, "how = \"loop\"", &["deadline"];
    panic_in_configure = "bad-configure", guest, "how = \"panic\"", &["trap"];
    another_version = "pass", of_another_version, "", &["@7.1.0", "@0.1.0"];
    a_core_module = "(bytes)", |site, _| sick(site, b"\0asm\x01\0\0\0"), "", &["core module", "gatelodge plugin build"];
    a_page_of_text = "(bytes)", |site, _| sick(site, b"<html>"), "", &["not a WebAssembly file"];
    no_bytes = "(bytes)", |site, _| sick(site, b""), "", &["not a WebAssembly file"];
    half_a_file = "pass", |site, name| sick(site, &component(name)[..1000]), "", &["not a valid component"];
    corrupt_bytes = "pass", corrupt, "", &["not a valid component"];
    a_file_of_200_mib = "(bytes)", large, "", &["has 209715200 bytes; a plugin has at most 67108864"];
    precompiled_code = "(bytes)", precompiled, "", &["precompiled"];
}

fn sick(site: &Site, bytes: &[u8]) {
    site.file("plugins/sick.wasm", bytes);
}

fn guest(site: &Site, name: &'static str) {
    sick(site, component(name));
}

fn of_another_version(site: &Site, name: &'static str) {
    let mut bytes = component(name).to_vec();
    let (own, other) = (b"@0.1.0", b"@7.1.0");
    for at in 0..bytes.len() - own.len() {
        if bytes[at..].starts_with(own) {
            bytes[at..at + other.len()].copy_from_slice(other);
        }
    }
    sick(site, &bytes);
}

/// The same bytes, but for a hundred in the middle.
fn corrupt(site: &Site, name: &'static str) {
    let mut bytes = component(name).to_vec();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 100].fill(0xff);
    sick(site, &bytes);
}

/// Begins as a component does, and takes no room on the disk.
fn large(site: &Site, _: &'static str) {
    let path = site.file("plugins/sick.wasm", b"\0asm\x0d\0\x01\0");
    let file = File::options().write(true).open(path).expect("it was just written");
    file.set_len(200 << 20).expect("a file may have a hole");
}

/// What this very host has compiled and kept, put where plugins lie.
fn precompiled(site: &Site, _: &'static str) {
    let other = site.beside("compiled");
    other.file("plugins/pass.wasm", component("pass"));
    other.web(crate::web());
    other.plugins("[[plugin]]\nname = \"pass\"\nmodule = \"plugins/pass.wasm\"\n[plugin.grants]\nlog = true\n");
    let cache = site.app().join("cache");
    let host = Launch::new(&other).env("CACHE_DIRECTORY", cache.to_str().expect("a plain name")).start();
    host.stop(&other);
    let largest = site.files().into_iter().filter(|(path, _)| path.starts_with(&cache)).max_by_key(|(_, b)| b.len());
    let (_, kept) = largest.expect("the host keeps what it compiled");
    let elf = kept.windows(4).position(|window| window == b"\x7fELF").expect("machine code for the engine");
    sick(site, &kept[elf..]);
}

fn show(name: &str) {
    let act = ACTS.iter().find(|act| act.name == name).expect("the table has each test");
    let site = site();
    (act.put)(&site, act.source);
    let Refused { config, .. } = act;
    site.plugins(&format!(
        "[[plugin]]\nname = \"sick\"\nmodule = \"plugins/sick.wasm\"\n[plugin.config]\n{config}\n[plugin.grants]\nlog = true\n"
    ));
    for ended in [Launch::new(&site).refused(), Launch::new(&site).check()] {
        assert_eq!(ended.code, Some(3), "{}", ended.log);
        for part in act.says.iter().chain(&["sick", "plugins.toml:"]) {
            let quoted = part.replace('"', "\\\"");
            assert!(ended.log.contains(part) || ended.log.contains(&quoted), "{part} is not in:\n{}", ended.log);
        }
        assert!(!ended.log.contains("thread '"), "{}", ended.log);
    }
    assert!(site.probe().starts().is_empty(), "nothing is served");
    live(act, site);
}

/// A host that serves refuses it as well, and goes on with what it had.
fn live(act: &Refused, site: Site) {
    let sick = std::fs::read_to_string(site.app().join("plugins.toml")).expect("it was just written");
    let app = site.app();
    let stage = Stage::set(site, "");
    let good = std::fs::read_to_string(app.join("plugins.toml")).expect("it was just written");
    let (head, _) = good.split_once("[[plugin]]").expect("an entry");
    let memory = stage.host.memory_bytes("VmRSS");
    let beside = Beside::begin(&stage.host);
    beside.wait(5);
    stage.site.swap("plugins.toml", format!("{head}{sick}"));
    let ended = stage.host.order("reload", &[]);
    beside.wait(5);
    beside.end();
    assert!(ended.code.is_some_and(|code| code != 0), "{}", ended.log);
    for part in act.says {
        assert!(ended.log.contains(part), "{part} is not in:\n{}", ended.log);
    }
    stage.good();
    stage.assert_no_growth(memory, 1);
    stage.host.stop(&stage.site);
}
