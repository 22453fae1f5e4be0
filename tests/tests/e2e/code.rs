//! What plugins run on: compiled code that is kept, slots, and what `status` says of both.

use crate::web;
use gatelodge_e2e::{Host, Launch, Site};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const TWO: &str = r#"
[[plugin]]
name = "log"
module = "builtin:request-log"
[plugin.grants]
log = true
"#;

/// A site with a plugin, and a folder beside it for compiled code.
fn site_with_cache(more: &str) -> (Site, PathBuf) {
    let site = Site::new(web());
    let cache = site.app().parent().expect("it is not the root").join("cache");
    site.plugins(&format!("[host.plugins]\ncache = {:?}\n{more}{TWO}", cache.display().to_string()));
    (site, cache)
}

/// How often code was compiled, taken from the cache, and refused there.
fn codes(host: &Host) -> [u64; 3] {
    let engine = &host.status()["engine"];
    ["compiled", "from_cache", "cache_rejected"].map(|key| engine[key].as_u64().expect("a count"))
}

fn files(cache: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(cache).expect("the host made it");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "code")).collect()
}

#[test]
fn a_second_start_compiles_nothing_and_a_bent_file_is_compiled_anew() {
    let (site, cache) = site_with_cache("");
    let start = |expected: [u64; 3]| {
        let host = Host::start(&site);
        assert_eq!(host.client().get("/").status(), 200);
        assert_eq!(codes(&host), expected);
        let said = host.lines_with("compiled plugins are kept in").len();
        assert_eq!(said, 1, "told once, also over a reload");
        host.stop(&site)
    };
    start([1, 0, 0]);
    assert_eq!(std::fs::metadata(&cache).expect("it is there").permissions().mode() & 0o777, 0o700);
    start([0, 1, 0]);
    let kept = files(&cache);
    assert_eq!(kept.len(), 1, "{kept:?}");
    let mut bytes = std::fs::read(&kept[0]).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&kept[0], bytes).expect("writable");
    let ended = start([1, 0, 1]);
    assert!(ended.log.contains("its digest is wrong: it was changed or cut"), "{}", ended.log);
    start([0, 1, 0]);
}

#[test]
fn a_cache_that_others_can_write_is_refused_with_its_line() {
    let (site, cache) = site_with_cache("");
    std::fs::create_dir(&cache).expect("the folder is ours");
    std::fs::set_permissions(&cache, PermissionsExt::from_mode(0o777)).expect("ours");
    let ended = Launch::new(&site).refused();
    assert_eq!(ended.code, Some(3), "{}", ended.log);
    for part in ["plugins.toml:2:9: error: the code cache", "nothing was started", "or write cache = \"off\""] {
        assert!(ended.log.contains(part), "{part} is not in {}", ended.log);
    }
}

#[test]
fn without_a_cache_each_start_compiles_and_says_so() {
    let site = Site::new(web());
    site.plugins(&format!("[host.plugins]\ncache = \"off\"\nslots_max = 7\n{TWO}"));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let page = host.status();
    let engine = &page["engine"];
    assert_eq!((&engine["code_cache"], &engine["compiled"]), (&serde_json::Value::Null, &1.into()), "{engine}");
    assert_eq!(engine["code_cache_off"], "cache = \"off\"");
    assert_eq!(engine["small_slots"]["reserved"], 7, "slots_max");
    assert_eq!(engine["concurrency"], false);
    let plugin = &page["plugins"][0];
    assert_eq!((&plugin["name"], &plugin["module"]), (&"log".into(), &"builtin:request-log".into()), "{plugin}");
    assert!(plugin["calls"].as_u64() >= Some(1) && plugin["instances"].as_u64() >= Some(1), "{plugin}");
    assert_eq!(plugin["sha256"].as_str().map(str::len), Some(64));
    let table = host.order("status", &[]).log;
    for part in ["PLUGIN", "completion", "plugins run in 7 slots", "compiled code is not kept: cache = \"off\""] {
        assert!(table.contains(part), "{part} is not in:\n{table}");
    }
    host.stop(&site);
}

/// Where there is no address space for slots, the host serves, slower, and says so.
#[test]
fn too_little_address_space_is_no_reason_to_stay_out() {
    let site = Site::new(web());
    site.plugins(TWO);
    // 48 GiB: room for an instance on each worker, but not for 16 slots of 4 GiB.
    let host = Launch::new(&site).through(&["prlimit", "--as=51539607552"]).start();
    assert_eq!(host.client().get("/").status(), 200);
    let page = host.status();
    assert_eq!(page["engine"]["small_slots"]["reserved"], serde_json::Value::Null, "{}", page["engine"]);
    assert_eq!(page["engine"]["reset"], "unmap");
    let table = host.order("status", &[]).log;
    assert!(table.contains("this system has too little address space"), "{table}");
    host.stop(&site);
}
