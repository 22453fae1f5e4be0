use super::{Cause, Done, Refused, fixed};
use crate::load::tests::loaded;
use crate::prepare::Found;
use crate::settle::{Overrides, settle};
use std::time::Duration;

fn found(toml: &str) -> Found {
    let loaded = loaded(toml);
    let settled = settle(&loaded, Overrides::default());
    Found { loaded, settled }
}

#[test]
fn what_cannot_change_live_is_refused_with_its_line() {
    let old = found("[host]\nworkers = 2\n");
    for (toml, refused) in [
        ("[host]\nworkers = 2\npath_base = \"/app\"\n", None),
        ("[host]\nworkers = 2\n[host.limits]\ndrain_ms_max = 5000\n", None),
        ("[host]\nworkers = 2\n[host.backend]\ninstances = 4\n", None),
        ("[host]\nworkers = 3\n", Some("plugins.toml:2:1: error: `workers` can't change")),
        ("[host]\nworkers = 2\nlisten = [\"http://127.0.0.1:1\"]\n", Some("plugins.toml:3:1: error: `listen`")),
        ("[host]\nworkers = 2\nadmin = \"off\"\n", Some("plugins.toml:3:9: error: `admin`")),
        ("[host]\nworkers = 2\n[host.log]\nlevel = \"debug\"\n", Some("plugins.toml:4:9: error: `level`")),
        ("[host]\nworkers = 2\n[host.plugins]\ncache = \"off\"\n", Some("plugins.toml:4:9: error: `cache`")),
        ("[host]\nworkers = 2\n[host.plugins]\nslots_max = 9\n", Some("plugins.toml:4:1: error: `slots_max`")),
        ("[host]\nworkers = 2\n[host.log]\nformat = \"json\"\n", Some("plugins.toml:4:10: error: `format`")),
    ] {
        let told = config::Problems::new(fixed(&old, &found(toml))).to_string();
        match refused {
            None => assert_eq!(told, "", "{toml}"),
            Some(start) => {
                assert!(told.starts_with(start), "{toml}: {told}");
                assert!(told.contains("put the old value back"), "{told}");
            }
        }
    }
}

#[test]
fn outcomes_are_sentences() {
    let elapsed = Duration::from_millis(12);
    let done = |instances| Done { generation: 3, instances, elapsed }.to_string();
    assert_eq!(done(0), "generation 3 serves after 12 ms; no instance of the application was replaced");
    assert_eq!(done(2), "generation 3 serves after 12 ms; instances replaced: 2");
    let refused = Refused::App("the new instance did not start".to_owned()).to_string();
    assert_eq!(refused, "the new instance did not start\nnothing was changed: what ran before runs on");
    assert_eq!(Cause::Watched("/srv/app/App.dll".into()).file().as_deref(), Some("/srv/app/App.dll"));
}
