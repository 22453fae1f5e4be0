//! What docs/configuration.md says is what this room reads.

use gatelodge_config::effective::Effective;
use gatelodge_config::plugins_toml::{LIMITS, limits_table};
use gatelodge_config::{Facts, File, SMALLEST, read};
use std::path::PathBuf;

fn page() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../docs/configuration.md");
    std::fs::read_to_string(path).expect("the page is there").replace("\r\n", "\n")
}

/// After a change: `cargo run -p gatelodge-config --example limits_table`, and put it in.
#[test]
fn the_table_of_limits_is_the_generated_one() {
    let (page, table) = (page(), limits_table());
    assert!(page.contains(&format!("\n\n{table}\n")), "docs/configuration.md lacks this table as it stands:\n{table}");
    assert_eq!(table.lines().count(), LIMITS.len() + 2, "one line each");
    assert!(table.contains("\n| `head_bytes_max` | 65_536 B | 8_192 | 1_048_576 | Bytes"), "{table}");
}

#[test]
fn every_setting_that_check_shows_is_documented() {
    let page = page();
    let toml = include_str!("samples/full.toml");
    let document =
        read(Some(File::new("web.config", SMALLEST)), Some(File::new("plugins.toml", toml)), &Facts::default())
            .expect("the sample is right");
    let effective = Effective::new(&document);
    let mut seen = 0;
    for group in effective.groups().iter().filter(|group| group.title != "handlers") {
        for line in &group.lines {
            // `trust.proxies` stands as `proxies` below `[host.trust]`, `verbs allowUnlisted` as its attribute.
            let name = line.name.rsplit([' ', '.']).next().expect("a split has a part");
            let name = if line.name.starts_with("match.header.") { "header" } else { name };
            let name = if line.name.starts_with("hiddenSegment") { "hiddenSegments" } else { name };
            assert!(page.contains(&format!("`{name}`")), "`{name}` of {} is not documented", group.title);
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen} settings");
}
