//! Plugins in every language: each example is built by one command and does the same.
//!
//! The languages' tools come by `examples/plugins/tools.sh`, which leaves alone what is there.
//! What each example costs is measured on the way, and goes to the table of the documentation.

mod cost;

use crate::site;
use gatelodge_e2e::host::binary;
use gatelodge_e2e::{Host, Launch, Site};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A row of the table of languages.
struct Language {
    /// Name of its folder, of its component, and what it calls itself.
    name: &'static str,
    /// Further keys of its entry in plugins.toml, each with the end of its line.
    keys: &'static str,
}

impl Language {
    /// A language that needs no more than any plugin has.
    const fn small(name: &'static str) -> Self {
        Self { name, keys: "" }
    }

    fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins").join(self.name)
    }

    /// Builds the example as its README says, and gives the component.
    fn build(&self) -> Vec<u8> {
        let mut tools = Command::new(self.folder().join("../tools.sh"));
        finish(tools.arg(self.name).env("GATELODGE_TOOLS", tools_folder()), "tools.sh");
        let before = std::env::var_os("PATH").unwrap_or_default();
        let mut path = OsString::from(tools_folder().join("bin"));
        path.push(":");
        path.push(before);
        let mut build = Command::new(binary());
        build.args(["plugin", "build"]).arg(self.folder()).env("PATH", path);
        // What builds the tests must not reach a guest's build.
        build.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
        build.env("ZIG_GLOBAL_CACHE_DIR", tools_folder().join("zig-cache"));
        finish(&mut build, "gatelodge plugin build");
        let component = self.folder().join("dist").join(format!("{}.wasm", self.name));
        std::fs::read(&component).unwrap_or_else(|error| panic!("{}: {error}", component.display()))
    }

    /// A site with the example as its plugin.
    fn site(&self, component: &[u8], isolation: &str, settings: &str) -> Site {
        let (name, keys) = (self.name, self.keys);
        let site = site();
        site.file("plugins/example.wasm", component);
        site.plugins(&format!(
            "[host]\nadmin = \"unix:{}\"\n[stores.battery]\n[[plugin]]\nname = \"{name}\"\nmodule = \"plugins/example.wasm\"\n\
             isolation = \"{isolation}\"\n{keys}[plugin.config]\n{settings}\n\
             [plugin.grants]\nlog = true\nstate = [\"battery\"]\n",
            door(&site).display()
        ));
        site
    }
}

/// The admin socket of its host.
fn door(site: &Site) -> PathBuf {
    site.app().join("door")
}

/// Where the tools of all languages are kept: beside what cargo builds, or where the developer has them.
fn tools_folder() -> PathBuf {
    std::env::var_os("GATELODGE_TOOLS").map_or_else(
        || {
            let program = std::env::current_exe().expect("the system tells where this program is");
            program.ancestors().nth(3).expect("cargo puts tests into TARGET/PROFILE/deps").join("tools")
        },
        PathBuf::from,
    )
}

/// Runs a command to its end, which the test runner's own limit guards.
fn finish(command: &mut Command, what: &str) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}: {}{}", text(&output.stdout), text(&output.stderr));
}

/// Builds a language's example and shows everything that it does, pooled and fresh.
fn battery(language: &Language) {
    let component = language.build();
    let mut cost = cost::Cost::of(&component);
    cost.load = refuses_without_settings(language, &component);
    for isolation in ["instance", "request"] {
        let site = language.site(&component, isolation, "greeting = \"good morning\"");
        // An interpreter is compiled for seconds, and other tests want the processor too.
        let host = Launch::new(&site).args(&["--workers", "1"]).patience(Duration::from_secs(120)).start();
        let ready = host.wait_line(&format!("{} is ready", language.name));
        assert!(ready.to_lowercase().contains("info"), "{ready}");
        edits(language, &host, &site);
        answers(language, &host);
        bodies(&host);
        stores_and_logs(&host, &site);
        fails(language, &host);
        passes(&host, &site);
        cost.measure(&host, &door(&site), isolation);
        host.stop(&site);
    }
    cost.write(language.name);
}

/// Gives the time that it took, which is that of compiling: `check` keeps no code.
fn refuses_without_settings(language: &Language, component: &[u8]) -> Duration {
    let site = language.site(component, "instance", "");
    let begun = Instant::now();
    let ended = Launch::new(&site).check();
    let took = begun.elapsed();
    assert_eq!(ended.code, Some(3), "{}", ended.log);
    let reason = "set greeting = \"...\" for this plugin";
    assert!(ended.log.contains(reason) || ended.log.contains(&reason.replace('"', "\\\"")), "{}", ended.log);
    took
}

fn edits(language: &Language, host: &Host, site: &Site) {
    for path in ["/edit", "/edit/deep"] {
        let answer = host.client().get(path);
        assert_eq!((answer.status(), answer.value("x-language")), (200, Some(language.name)), "{path}");
        let head = site.probe().head_of(path).to_lowercase();
        assert_eq!(head.matches("\r\nx-greeting: good morning\r\n").count(), 1, "{head}");
    }
}

fn answers(language: &Language, host: &Host) {
    let answer = host.client().get("/answer");
    assert_eq!((answer.status(), answer.value("x-language")), (418, Some(language.name)));
    assert_eq!(answer.text(), format!("hello from {}", language.name));
}

fn bodies(host: &Host) {
    let answer = host.client().get("/body");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "OK"), "the backend said: ok");
}

fn stores_and_logs(host: &Host, site: &Site) {
    for hits in 1..=2 {
        let target = format!("/kv?time={hits}");
        assert_eq!(host.client().get(&target).status(), 200);
        let head = site.probe().head_of(&target).to_lowercase();
        assert!(head.contains(&format!("\r\nx-hits: {hits}\r\n")), "{head}");
    }
    assert_eq!(host.client().get("/log").status(), 200);
    let line = host.wait_line("seen /log");
    assert!(line.to_lowercase().contains("info"), "{line}");
}

fn fails(language: &Language, host: &Host) {
    let answer = host.client().get("/trap");
    assert_eq!(answer.status(), 500);
    assert!(answer.text().contains(language.name), "loopback clients are told who failed: {}", answer.text());
    let _line = host.wait_line("asked to trap");
    let _line = host.wait_line("fault=trap");
    assert_eq!(host.client().get("/between").status(), 200);
    assert_eq!(host.client().get("/loop").status(), 500);
    let _line = host.wait_line("fault=deadline");
}

fn passes(host: &Host, site: &Site) {
    let answer = host.client().get("/other");
    assert_eq!((answer.status(), answer.text().as_str(), answer.value("x-language")), (200, "ok", None));
    let head = site.probe().head_of("/other").to_lowercase();
    assert!(!head.contains("x-greeting") && !head.contains("x-hits"), "{head}");
}

#[test]
fn assemblyscript_does_all_of_it() {
    battery(&Language::small("assemblyscript"));
}

#[test]
fn go_does_all_of_it() {
    battery(&Language::small("go"));
}

#[test]
fn javascript_does_all_of_it() {
    battery(&Language { name: "javascript", keys: "memory_bytes_max = \"64 MiB\"\n" });
}

/// Its interpreter brings more memory than a plugin gets by default.
#[test]
fn python_does_all_of_it() {
    battery(&Language { name: "python", keys: "memory_bytes_max = \"64 MiB\"\n" });
}

#[test]
fn rust_does_all_of_it() {
    battery(&Language::small("rust"));
}

#[test]
fn zig_does_all_of_it() {
    battery(&Language::small("zig"));
}

#[test]
fn c_does_all_of_it() {
    battery(&Language::small("c"));
}
