//! Rolling replacements under load: no request fails, no stream is cut.
//!
//! In full, 200 of them: `GATELODGE_REPLACEMENTS=200 cargo test -p gatelodge-e2e --test e2e replace`.

use crate::web;
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Host, Load, Mix, Outcome, Record, Seed, Site, probe};

/// Replacements where nobody asks for more.
const REPLACEMENTS: usize = 20;

/// Memory that may come and go with the load, bytes.
const BYTES_MORE: u64 = 24 << 20;

/// Requests that did not end whole.
fn failed(records: &[Record]) -> Vec<&Record> {
    records.iter().filter(|record| record.outcome != Outcome::Whole).collect()
}

/// Replaces so many times under load, and gives how many requests were answered.
fn replace(site: &Site, host: &Host, name: &str, times: usize, seed: &Seed) -> usize {
    let short = Load::start(host.addr(), name, &Mix::default(), seed);
    let streams = Mix { clients: 3, manners: &["events-12-40", "events-3-200"], post_percent: 0, ..Mix::default() };
    let streams = Load::start(host.addr(), &format!("{name}-stream"), &streams, seed);
    short.wait_whole(30);
    for _ in 0..times {
        let before = site.probe().listening();
        host.reload();
        for process in before {
            process.wait_gone(SOON);
        }
        short.wait_whole(5);
    }
    let (short, streams) = (short.stop(), streams.stop());
    for records in [&short, &streams] {
        let failed = failed(records);
        assert!(failed.is_empty(), "{} of {} failed, first: {:?}", failed.len(), records.len(), failed.first());
    }
    short.len() + streams.len()
}

fn roll(instances: usize, times: usize) {
    let seed = Seed::choose();
    let site = Site::new(web().set("processesPerApplication", instances).env(probe::SILENT, 1));
    let host = Host::start(&site);
    replace(&site, &host, "warm-up", 3, &seed);
    let before = host.footprint();
    let starts = host.lines_with("backend-ready").len();
    let answered = replace(&site, &host, "roll", times, &seed);
    assert!(answered > times * 5, "hardly any load: {answered}");
    let started = host.lines_with("backend-ready").len();
    assert_eq!(started, starts + times * instances, "each replacement is a new process");
    until(SOON, "nothing but the newest", || (site.probe().listening().len() == instances).then_some(()));
    before.wait_back(host.pid(), Mix::default().clients + 12, BYTES_MORE);
    host.stop_unsearched();
    assert!(site.probe().alive().is_empty());
}

fn times() -> usize {
    std::env::var("GATELODGE_REPLACEMENTS").map_or(REPLACEMENTS, |text| text.parse().expect("a number"))
}

#[test]
fn rolling_replacements_cost_no_request_and_no_stream() {
    roll(1, times());
}

#[test]
fn rolling_replacements_of_several_instances_cost_nothing_either() {
    roll(2, times() / 2);
}
