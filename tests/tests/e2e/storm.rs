//! The kill storm: under steady load instances are killed at moments that
//! chance chooses, and each request must have the end that it can have.
//!
//! The full storm, 1,000 kills in about five minutes:
//! `GATELODGE_STORM_KILLS=1000 cargo test -p gatelodge-e2e --test e2e storm`.

use crate::web;
use gatelodge_e2e::tree::Process;
use gatelodge_e2e::verdict::{Kill, Verdict, judge};
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Host, Load, Mix, Random, Seed, Site, Web, probe};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Kills of all fronts together, where nobody asks for more.
const KILLS: usize = 60;

/// Kills before anything is measured: by then all is allocated that stays.
const WARM_UP_KILLS: usize = 4;

/// Shortest time between two kills of one front. `rapidFailsPerMinute` may be
/// 100 at most, and a storm must stay below it.
const PACE_MS: u64 = 650;

/// Memory that may come and go with the load, bytes.
const BYTES_MORE: u64 = 24 << 20;

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// The only backend.
    Only,
    /// One of three instances.
    OneOfThree,
    /// The descendant of the started program that listens.
    Descendant,
}

impl Target {
    fn web(self) -> Web {
        let web = web().set("rapidFailsPerMinute", 100).env(probe::SILENT, 1);
        match self {
            Self::Only => web,
            Self::OneOfThree => web.set("processesPerApplication", 3),
            Self::Descendant => web.set("arguments", "child"),
        }
    }
}

/// A host under load, and its killer.
struct Front {
    site: Site,
    host: Host,
    random: Random,
    seed: Seed,
    kills: Vec<Kill>,
}

impl Front {
    /// Kills one instance after the other while clients are at work; gives the verdict.
    fn storm(&mut self, name: &str, kills: usize) -> Verdict {
        let mix = Mix::default();
        let clients = mix.clients as u64;
        let load = Load::start(self.host.addr(), name, &mix, &self.seed);
        load.wait_whole(clients * 10);
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(PACE_MS + self.random.below(150)));
            self.kill();
            // Each client has one request at a time: one of so many began after the kill.
            load.wait_whole(clients + 1);
        }
        let records = load.stop();
        judge(&records, &self.site.probe().seen(), &self.kills).unwrap_or_else(|complaints| {
            panic!("{} of {} requests:\n{}", complaints.len(), records.len(), complaints.join("\n"))
        })
    }

    fn kill(&mut self) {
        let instances = until(SOON, "an instance that listens", || {
            let listening = self.site.probe().listening();
            (!listening.is_empty()).then_some(listening)
        });
        let choice = usize::try_from(self.random.below(instances.len() as u64)).unwrap_or(0);
        let victim: Process = instances[choice];
        let at = Instant::now();
        victim.kill();
        self.kills.push(Kill { pid: victim.pid, at, gone: Instant::now() });
    }
}

/// Storms one front; panics where something was lost or left behind.
fn front(target: Target, number: u64, kills: usize) -> Verdict {
    let seed = Seed::choose();
    let site = Site::new(target.web());
    let host = Host::start(&site);
    let mut front = Front { site, host, random: seed.source(number), seed, kills: Vec::new() };
    front.storm("warm-up", WARM_UP_KILLS);
    let before = front.host.footprint();
    let verdict = front.storm("storm", kills);
    before.wait_back(front.host.pid(), Mix::default().clients + 8, BYTES_MORE);
    let Front { site, host, .. } = front;
    host.stop_unsearched();
    let nobody = || site.probe().alive().is_empty().then_some(());
    until(Duration::from_secs(1), "the end of everything that was ever started for the site", nobody);
    verdict
}

#[test]
fn a_kill_storm_loses_no_request_that_could_be_finished() {
    let kills = std::env::var("GATELODGE_STORM_KILLS").map_or(KILLS, |text| text.parse().expect("a number of kills"));
    let targets = [Target::Only, Target::OneOfThree, Target::Descendant];
    let begin = Instant::now();
    let fronts = targets.into_iter().zip(1..).map(|(target, number)| {
        let share = kills.div_ceil(targets.len());
        (target, std::thread::spawn(move || front(target, number, share)))
    });
    for (target, front) in fronts.collect::<Vec<_>>() {
        let verdict = front.join().unwrap_or_else(|_| panic!("{target:?}: see above"));
        assert!(verdict.whole > kills, "{target:?}: hardly any load: {verdict:?}");
        let _ = writeln!(std::io::stderr(), "{target:?}: {verdict:?} after {:?}", begin.elapsed());
    }
}
