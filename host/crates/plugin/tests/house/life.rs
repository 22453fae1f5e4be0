//! Plugins come and go: compiled once, kept, taken up again, and given back.

use crate::harness::{guest, load_on, own_engine, request, told};
use gatelodge_plugin::{
    CodeCache, CodeCounts, KeySets, Level, PluginEngine, PluginSettings, SMALL_COMPONENT_BYTES_MAX, Slots,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Set in a process that runs one test alone: see [`alone`].
const ALONE: &str = "GATELODGE_TEST_ALONE";

/// A host's start with this cache: what its plugins told, and how their code was come by.
fn start(cache: &Path, plugins: Vec<PluginSettings>) -> (CodeCounts, Vec<(Level, String)>) {
    let engine = own_engine(4);
    engine.use_cache(Some(Arc::new(
        CodeCache::open(cache, gatelodge_plugin::CACHE_BYTES_MAX).expect("a private folder"),
    )));
    let house = load_on(Arc::clone(&engine), plugins, KeySets::new()).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(told(&house.way_in(request("/", &[])).1), "continue", "it works");
    let lines = house.ears.lines.lock().expect("no test panics with it");
    (engine.code_counts(), lines.iter().map(|line| (line.level, line.message.clone())).collect())
}

fn code_file(cache: &Path) -> PathBuf {
    let entries = std::fs::read_dir(cache).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "code")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

const COMPILED: CodeCounts = CodeCounts { compiled: 1, cached: 0, shared: 0, rejected: 0 };
const CACHED: CodeCounts = CodeCounts { compiled: 0, cached: 1, shared: 0, rejected: 0 };

#[test]
fn the_second_start_does_not_compile() {
    let root = tempfile::tempdir().expect("a folder");
    let cache = root.path().join("cache");
    let (counts, lines) = start(&cache, vec![guest("pass")]);
    assert_eq!((counts, lines), (COMPILED, Vec::new()));
    for _ in 0..2 {
        let (counts, lines) = start(&cache, vec![guest("pass")]);
        assert_eq!((counts, lines), (CACHED, Vec::new()));
    }
    // The same file under another name is the same code; another file is not.
    let twin = PluginSettings { name: "twin".to_owned(), ..guest("pass") };
    assert_eq!(start(&cache, vec![guest("pass"), twin]).0, CodeCounts { shared: 1, ..CACHED });
    assert_eq!(start(&cache, vec![another("pass", 1)]).0, COMPILED);
}

/// The same behaviour in other bytes: with a custom section at the end.
fn another(name: &str, number: u32) -> PluginSettings {
    let mut settings = guest(name);
    let mut bytes = settings.module.bytes.to_vec();
    bytes.extend([0, 6, 1, b'n']);
    bytes.extend(number.to_le_bytes());
    settings.module.bytes = bytes.into();
    settings
}

#[test]
fn spoiled_code_is_told_and_compiled_anew() {
    let root = tempfile::tempdir().expect("a folder");
    let cache = root.path().join("cache");
    start(&cache, vec![guest("pass")]);
    let file = code_file(&cache);
    let whole = std::fs::read(&file).expect("the file");
    let mut bent = whole.clone();
    *bent.last_mut().expect("not empty") ^= 0x80;
    let acts: [(&str, &[u8]); 3] =
        [("bent", &bent), ("cut", &whole[..whole.len() / 2]), ("somebody's machine code", b"\x7fELF\x02\x01\x01")];
    for (act, bytes) in acts {
        std::fs::write(&file, bytes).expect("ours");
        let (counts, lines) = start(&cache, vec![guest("pass")]);
        assert_eq!(counts, CodeCounts { rejected: 1, ..COMPILED }, "{act}");
        let warned = |(level, message): &&(Level, String)| *level == Level::Warn && message.contains("is not loaded");
        assert_eq!(lines.iter().filter(warned).count(), 1, "{act}: {lines:?}");
        assert_eq!(start(&cache, vec![guest("pass")]).0, CACHED, "{act}: it is kept anew");
    }
}

/// A reload of unchanged files costs no compilation, with the cache or without; and
/// code lives no longer than what runs it.
#[test]
fn generations_share_their_code() {
    let engine = own_engine(8);
    let load = |settings| load_on(Arc::clone(&engine), vec![settings], KeySets::new());
    let mut generation = load(guest("pass"));
    for _ in 0..5 {
        let next = load(guest("pass"));
        assert!(next.is_ok());
        generation = next;
    }
    assert_eq!(engine.code_counts(), CodeCounts { shared: 5, ..COMPILED });
    drop(generation);
    drop(load(guest("pass")));
    assert_eq!(engine.code_counts(), CodeCounts { shared: 5, compiled: 2, ..COMPILED }, "nobody ran it any more");
}

/// An interpreter's size, not its behaviour: the same hooks, other slots.
#[test]
fn a_big_component_lives_in_large_slots() {
    const PADDING: usize = SMALL_COMPONENT_BYTES_MAX;
    let mut big = PluginSettings { name: "big".to_owned(), ..guest("pass") };
    let mut bytes = big.module.bytes.to_vec();
    // A custom section without a name; its length as LEB128 in four bytes.
    bytes.push(0);
    bytes.extend([0x80, 0x80, 0x80, u8::try_from(PADDING >> 21).expect("short")]);
    bytes.extend(std::iter::repeat_n(0, PADDING));
    big.module.bytes = bytes.into();

    let engine = own_engine(4);
    let house = load_on(Arc::clone(&engine), vec![guest("pass"), big], KeySets::new())
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(told(&house.way_in(request("/", &[])).1), "continue");
    assert_eq!((engine.instances_in(Slots::Small), engine.instances_in(Slots::Large)), (Some(1), Some(1)));
    let lines = house.ears.lines.lock().expect("no test panics with it");
    assert!(lines.iter().any(|line| line.plugin == "big" && line.message.contains("large slots")), "{lines:?}");
    drop(lines);
    drop(house);
    assert_eq!(engine.instances(), Some(0));
}

/// Runs this test by itself in a process of its own, where nothing else moves the memory.
/// True in that process.
fn alone(test: &str, argument: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    assert!(another_process(test, argument).wait().expect("a child").success(), "{test} failed by itself");
    false
}

fn another_process(test: &str, argument: &str) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ALONE, argument);
    // A thread more may take an arena more from glibc, 64 MiB of address space at once.
    command.env("MALLOC_ARENA_MAX", "1");
    command.spawn().expect("a process")
}

#[test]
fn processes_that_start_at_once_share_the_cache() {
    const NAME: &str = "life::processes_that_start_at_once_share_the_cache";
    if let Some(cache) = std::env::var_os(ALONE) {
        let (counts, lines) = start(Path::new(&cache), vec![guest("pass")]);
        assert_eq!((counts.compiled + counts.cached, counts.rejected), (1, 0), "{lines:?}");
        return;
    }
    let root = tempfile::tempdir().expect("a folder");
    let cache = root.path().join("cache");
    let argument = cache.to_str().expect("text").to_owned();
    let children: Vec<_> = (0..4).map(|_| another_process(NAME, &argument)).collect();
    for mut child in children {
        assert!(child.wait().expect("a child").success());
    }
    assert_eq!(start(&cache, vec![guest("pass")]).0, CACHED);
}

/// Pages of address space and of resident memory.
#[cfg(target_os = "linux")]
fn memory() -> (usize, usize) {
    let text = std::fs::read_to_string("/proc/self/statm").expect("it is there");
    let mut numbers = text.split(' ').map(|number| number.parse().expect("a number"));
    (numbers.next().expect("size"), numbers.next().expect("resident"))
}

/// Loads generation after generation, each with a hook run, each dropped when the next one serves.
#[cfg(target_os = "linux")]
fn replace(engine: &Arc<PluginEngine>, generations: u32, settings: impl Fn(u32) -> PluginSettings) {
    let mut last = None;
    for number in 0..generations {
        let house = load_on(Arc::clone(engine), vec![settings(number)], KeySets::new())
            .unwrap_or_else(|errors| panic!("generation {number}: {errors:?}"));
        assert_eq!(told(&house.way_in(request("/", &[])).1), "continue");
        assert!(engine.instances().is_some_and(|count| count <= 2), "the old and the new");
        last = Some(house);
    }
    drop(last);
    assert_eq!(engine.instances(), Some(0), "all slots are free");
}

#[cfg(target_os = "linux")]
#[test]
fn replacements_leave_no_memory_behind() {
    const PAGES_PER_MIB: usize = 256;
    if !alone("life::replacements_leave_no_memory_behind", "1") {
        return;
    }
    let engine = own_engine(8);
    for (what, warm_up, generations, changed) in [("unchanged", 20, 200, false), ("changed", 10, 30, true)] {
        let settings = |number| if changed { another("pass", number) } else { guest("pass") };
        replace(&engine, warm_up, settings);
        let before = memory();
        replace(&engine, generations, settings);
        let after = memory();
        let grown = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
        assert!(grown.1 <= 2 * PAGES_PER_MIB, "{what}: resident pages {before:?} -> {after:?}");
        assert!(grown.0 <= 32 * PAGES_PER_MIB, "{what}: pages of address space {before:?} -> {after:?}");
    }
}
