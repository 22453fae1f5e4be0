//! What an example plugin costs by the host's own metrics, and the table of all languages.

use gatelodge_e2e::Host;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The lines between which the table stands.
const MARKS: [&str; 2] = ["<!-- languages: begin -->\n", "<!-- languages: end -->\n"];
/// The rows of the table, in its order.
const LANGUAGES: [&str; 7] = ["rust", "c", "zig", "go", "assemblyscript", "javascript", "python"];
/// Requests that are measured: the host takes the time of each sixteenth call.
const REQUESTS: u32 = 1_600;

/// What one language's example came to.
pub(super) struct Cost {
    bytes: usize,
    /// Of `gatelodge check`: compiled, and refused for its settings.
    pub(super) load: Duration,
    pooled_us: f64,
    fresh_us: f64,
    memory_kib: f64,
}

impl Cost {
    pub(super) fn of(component: &[u8]) -> Self {
        Self { bytes: component.len(), load: Duration::ZERO, pooled_us: 0.0, fresh_us: 0.0, memory_kib: 0.0 }
    }

    /// Asks many times for the path whose head is edited.
    pub(super) fn measure(&mut self, host: &Host, door: &Path, isolation: &str) {
        let times = |page: &str, hook: &str| {
            let value = |name: &str| sum(page, &format!("gatelodge_wasm_hook_seconds_{name}{{"), hook);
            (value("sum"), value("count"))
        };
        let before = host.metrics(door);
        let mut client = host.client();
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/edit").status(), 200);
        }
        let after = host.metrics(door);
        let mean_us = |hook: &str| {
            let ((sum_before, count_before), (sum, count)) = (times(&before, hook), times(&after, hook));
            assert!(count > count_before, "{hook} was timed: {after}");
            (sum - sum_before) / (count - count_before) * 1e6
        };
        let head = mean_us("request-head");
        if isolation == "instance" {
            self.pooled_us = head;
            let instances = sum(&after, "gatelodge_wasm_instances{", "");
            self.memory_kib = sum(&after, "gatelodge_wasm_instance_memory_bytes{", "") / instances / 1024.0;
        } else {
            self.fresh_us = mean_us("configure") + head;
        }
    }

    /// Leaves the row where the table is made from.
    pub(super) fn write(&self, name: &str) {
        let Self { bytes, load, pooled_us, fresh_us, memory_kib } = self;
        let (size, load) = (*bytes as f64 / 1024.0, load.as_millis());
        let row = format!(
            "| [{name}](../examples/plugins/{name}) | {size:.0} | {load} | {pooled_us:.1} | {fresh_us:.0} | {memory_kib:.0} |\n"
        );
        fs::create_dir_all(folder()).expect("the target directory is ours");
        fs::write(folder().join(format!("{name}.row")), row).expect("the target directory is ours");
    }
}

/// The sum of the values of one metric, of one hook if it is named.
fn sum(page: &str, metric: &str, hook: &str) -> f64 {
    let of_hook = |line: &&str| hook.is_empty() || line.contains(&format!("hook=\"{hook}\""));
    let lines = page.lines().filter(|line| line.starts_with(metric)).filter(of_hook);
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Where rows go: below cargo's target directory.
fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("the system tells where this program is");
    program.ancestors().nth(3).expect("cargo puts tests into TARGET/PROFILE/deps").join("languages")
}

/// With `GATELODGE_BLESS=1` the table is written from what the last run left; else it has to have
/// a row for each language.
#[test]
fn the_page_has_each_language() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugin-languages.md");
    let page = fs::read_to_string(&path).expect("the page is part of the repository");
    let (before, rest) = page.split_once(MARKS[0]).expect("the table has a beginning");
    let (table, after) = rest.split_once(MARKS[1]).expect("the table has an end");
    if std::env::var_os("GATELODGE_BLESS").is_some_and(|value| value == "1") {
        let mut rows =
            "| example | component, KiB | compiled and tried, ms | a hook, pooled, µs | a hook with fresh memory, µs \
                        | memory of an instance, KiB |\n|---|---|---|---|---|---|\n"
                .to_owned();
        for name in LANGUAGES {
            let row = fs::read_to_string(folder().join(format!("{name}.row")));
            // A `String` takes everything.
            let _ = write!(rows, "{}", row.unwrap_or_else(|error| panic!("{name} has not been measured: {error}")));
        }
        fs::write(&path, [before, MARKS[0], &rows, MARKS[1], after].concat())
            .expect("the repository is the developer's");
        return;
    }
    for name in LANGUAGES {
        let row = table.lines().find(|line| line.starts_with(&format!("| [{name}](")));
        let row = row.unwrap_or_else(|| panic!("{name} has no row: GATELODGE_BLESS=1 writes the table anew"));
        let figures: Vec<f64> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
        assert!(figures.len() == 5 && figures.iter().all(|figure| *figure > 0.0), "{row}");
    }
}
