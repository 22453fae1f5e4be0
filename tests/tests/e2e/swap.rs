//! Live replacements of a plugin under load: no request fails, and nothing is left behind.
//!
//! In full, 10,000 of them: `GATELODGE_PLUGIN_REPLACEMENTS=10000 cargo test -p gatelodge-e2e --test e2e swap::`.

use crate::web;
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Client, Host, Load, Mix, Outcome, Seed, Site, probe};
use gatelodge_guests::component;
use std::fmt::Write as _;

/// Replacements where nobody asks for more.
const REPLACEMENTS: usize = 50;
/// Replacements before the first look at memory: caches, pools and the allocator fill up.
const WARM_UP: usize = 20;
/// Looks at memory over a run.
const LOOKS: usize = 10;
/// Memory that may come and go with the load, bytes.
const BYTES_MORE: u64 = 8 << 20;

/// The guest says its name in this field; each version says it in another one.
const FIELD: &[u8] = b"x-order";

fn field(version: usize) -> String {
    format!("x-{version:05}")
}

/// A component that was never seen before, and shows in its answers which one it is.
fn version(number: usize) -> Vec<u8> {
    let mut bytes = component("order").to_vec();
    let places: Vec<usize> =
        bytes.windows(FIELD.len()).enumerate().filter(|(_, found)| *found == FIELD).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the guest holds the field's name");
    for at in places {
        bytes[at..at + FIELD.len()].copy_from_slice(field(number).as_bytes());
    }
    bytes
}

/// A site with the first version, which keeps compiled code beside it.
fn swapped() -> Site {
    let site = Site::new(web().env(probe::SILENT, 1));
    site.file("plugins/order.wasm", version(0));
    let cache = site.app().parent().expect("it is not the root").join("cache");
    site.plugins(&format!(
        "[host.backend]\nwatch_settle_ms = 50\n[host.plugins]\ncache = {:?}\ncache_bytes_max = \"4MiB\"\n\
         [[plugin]]\nname = \"order\"\nmodule = \"plugins/order.wasm\"\nconfig = {{ name = \"v\" }}\ngrants = {{ log = true }}\n",
        cache.display().to_string()
    ));
    site
}

/// Puts a version in place and waits until an answer comes from it.
fn replace(site: &Site, client: &mut Client, number: usize) {
    site.swap("plugins/order.wasm", version(number));
    until(SOON, &format!("an answer of version {number}"), || {
        let answer = client.get("/who");
        assert_eq!(answer.status(), 200, "version {number}: {}", answer.text());
        answer.value(&field(number)).map(|_| ())
    });
}

fn times() -> usize {
    std::env::var("GATELODGE_PLUGIN_REPLACEMENTS").map_or(REPLACEMENTS, |text| text.parse().expect("a number"))
}

#[test]
fn live_replacements_of_a_plugin_cost_no_request_and_no_memory() {
    let times = times();
    let seed = Seed::choose();
    let site = swapped();
    let host = Host::start(&site);
    let mut client = host.client();
    let mix = Mix { manners: &["quick", "quick", "chunked", "slow-20", "events-3-100"], ..Mix::default() };
    let load = Load::start(host.addr(), "swap", &mix, &seed);
    load.wait_whole(30);
    for number in 1..=WARM_UP {
        replace(&site, &mut client, number);
    }
    let before = host.footprint();
    let mut told = format!("resident after 0: {} KiB", before.resident_bytes >> 10);
    for number in 1..=times {
        replace(&site, &mut client, WARM_UP + number);
        if number % times.div_ceil(LOOKS) == 0 {
            // A String takes everything.
            let _ = write!(told, ", {number}: {} KiB", host.footprint().resident_bytes >> 10);
        }
    }
    let records = load.stop();
    let failed: Vec<_> = records.iter().filter(|record| record.outcome != Outcome::Whole).collect();
    println!("{times} replacements, {} requests, {} failed; {told}", records.len(), failed.len());
    assert!(failed.is_empty(), "{} of {} failed, first: {:?}", failed.len(), records.len(), failed.first());
    assert!(records.len() > times, "hardly any load: {}", records.len());
    let status = host.status();
    let reloads = &status["host"]["reloads"];
    assert_eq!(host.lines_with("reload-refused"), Vec::<String>::new(), "{reloads}");
    assert_eq!(site.probe().listening().len(), 1, "the application was left alone");
    assert_eq!(host.lines_with("backend-ready").len(), 1, "the application was left alone");
    before.wait_back(host.pid(), 2 * mix.clients, BYTES_MORE);
    host.stop(&site);
}
