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

/// The names of a group of source lines such as `"backend-ready"`, each once.
fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|word| word.starts_with("backend-") || *word == "stdout-log-failed")
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn every_event_of_the_applications_life_is_documented() {
    let page = page();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../src/tell");
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("the host's own words are there");
    let told = read(folder.join("fleet.rs")) + &read(folder.with_extension("rs"));
    let names = names(&told);
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("\n| `{name}` |")), "the event {name} is not documented");
    }
}

#[test]
fn every_link_within_the_page_leads_somewhere() {
    let page = page();
    let anchor = |title: &str| -> String {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let titles: Vec<String> = page
        .lines()
        .filter_map(|line| {
            line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with("##")).map(anchor)
        })
        .collect();
    let links: Vec<&str> = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 10, "{links:?}");
    for link in links {
        assert!(titles.iter().any(|title| title == link), "#{link} is no heading of {titles:?}");
    }
}
