//! Plugins that do not load: each is refused with its name, the import, and what to write.

use crate::harness::{guest, guest_with, load};
use gatelodge_plugin::{Grants, KeySets, LoadError};

fn refusal(settings: gatelodge_plugin::PluginSettings) -> LoadError {
    let errors = load(vec![settings], KeySets::new()).err().expect("refused");
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().expect("one")
}

#[test]
fn missing_grant() {
    let error = refusal(guest_with("pass", |settings| settings.grants = Grants::default()));
    assert_eq!(error.plugin, "pass");
    assert_eq!(error.import.as_deref(), Some("gatelodge:plugin/log@0.1.0"));
    assert!(error.help.expect("help").ends_with("[plugin.grants]\nlog = true"));
}

#[test]
fn unused_grant() {
    let written = Grants { log: true, metrics: true, identity: false, written: true };
    let error = refusal(guest_with("pass", |settings| settings.grants = written));
    assert!(error.message.contains("metrics"), "{error}");
}

#[test]
fn needs_what_is_not_offered_yet() {
    let error = refusal(guest("needs-http"));
    assert_eq!(error.import.as_deref(), Some("gatelodge:plugin/http-out@0.1.0"));
    assert!(error.message.contains("not granted"), "{error}");
    let error = refusal(guest_with("identity-setter", |settings| settings.grants.identity = false));
    assert!(error.help.is_some_and(|help| help.ends_with("[plugin.grants]\nidentity = true")));
}

#[test]
fn needs_a_name() {
    for (name, interface, line) in [
        ("needs-kv", "kv", "state = [\"NAME\"] # with [stores.NAME]"),
        ("needs-rate-limit", "rate-limit", "limits = [\"NAME\"] # with [limiters.NAME]"),
        ("needs-keys", "keys", "keys = [\"NAME\"] # with [secrets.NAME]"),
        ("needs-secrets", "secrets", "secrets = [\"NAME\"] # with [secrets.NAME]"),
    ] {
        let error = refusal(guest(name));
        assert_eq!(error.import, Some(format!("gatelodge:plugin/{interface}@0.1.0")));
        assert!(error.help.is_some_and(|help| help.ends_with(&format!("[plugin.grants]\n{line}"))), "{name}");
    }
    let error = refusal(guest_with("needs-kv", |settings| settings.names.state = vec!["things".to_owned()]));
    assert!(error.message.contains("there is no [stores.things]"), "{error}");
}

#[test]
fn bytes_that_are_no_component() {
    for (bytes, word) in [
        (&b"<html>"[..], "not a WebAssembly file"),
        (b"\0asm\x01\0\0\0", "core module"),
        (b"\x7fELF", "precompiled"),
        (b"\0asm\x0d\0\x01\0\xff\xff\xff", "not a valid component"),
        (b"\0asm\x0d\0\x01\0", "lifecycle"),
    ] {
        let error = refusal(guest_with("pass", |settings| settings.module.bytes = bytes.into()));
        assert!(error.message.contains(word), "{error}");
    }
}

#[test]
fn cut_and_bent_components_never_panic() {
    let whole = gatelodge_guests::component("pass");
    for at in (8..whole.len()).step_by(whole.len() / 12) {
        let cut = guest_with("pass", |settings| settings.module.bytes = whole[..at].into());
        assert!(load(vec![cut], KeySets::new()).is_err(), "cut at {at}");
        let mut bent = whole.to_vec();
        bent[at] ^= 0x55;
        let bent = guest_with("pass", |settings| settings.module.bytes = bent.into());
        // A bent byte may be in a name or in data: then it loads.
        drop(load(vec![bent], KeySets::new()));
    }
}

#[test]
fn wrong_version() {
    // The same length, so that all sizes stay right.
    let bytes = gatelodge_guests::component("pass");
    let (old, new) = (b"@0.1.0", b"@0.2.0");
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() - old.len() {
        if &bytes[at..at + old.len()] == old {
            bytes[at..at + old.len()].copy_from_slice(new);
        }
    }
    let settings = guest_with("pass", |settings| settings.module.bytes = bytes.into());
    let errors = load(vec![settings], KeySets::new()).err().expect("refused");
    assert!(errors.iter().all(|error| error.message.contains("@0.2.0")), "{errors:?}");
    assert!(errors.iter().any(|error| error.import.as_deref() == Some("gatelodge:plugin/log@0.2.0")), "{errors:?}");
    let told = errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(told.iter().all(|text| text.starts_with("plugin \"pass\" (pass.wasm): ")), "{told:?}");
    assert!(told.iter().all(|text| text.contains(gatelodge_plugin::CONTRACT)), "both versions are named: {told:?}");
}

#[test]
fn a_file_that_is_too_large() {
    let padded = |length: usize| {
        let mut bytes = vec![0; length];
        bytes[..8].copy_from_slice(b"\0asm\x0d\0\x01\0");
        refusal(guest_with("pass", |settings| settings.module.bytes = bytes.into())).message
    };
    let most = gatelodge_plugin::MODULE_BYTES_MAX;
    let told = padded(most);
    assert!(told.contains("not a valid component"), "it is read at the limit: {told}");
    for length in [most + 1, 200 * 1024 * 1024 + 1] {
        assert_eq!(padded(length), format!("the file has {length} bytes; a plugin has at most {most}"));
    }
}

#[test]
fn names_and_numbers() {
    let errors = load(vec![guest("pass"), guest("pass")], KeySets::new()).err().expect("refused");
    assert_eq!((errors.len(), errors[0].index), (1, 1));
    for (settings, word) in [
        (guest_with("pass", |settings| settings.name = "a b".to_owned()), "name"),
        (guest_with("pass", |settings| settings.deadline = std::time::Duration::ZERO), "deadline_ms"),
        (guest_with("pass", |settings| settings.instances_max = 0), "instances_max"),
        (guest_with("pass", |settings| settings.config_json = "{".to_owned()), "JSON"),
        (guest_with("pass", |settings| settings.matches.paths = vec!["api".to_owned()]), "match.path"),
        (guest_with("pass", |settings| settings.memory_bytes_max = 65_536), "memory"),
    ] {
        let error = refusal(settings);
        assert!(error.message.contains(word), "{error}");
    }
}

#[test]
fn more_plugins_than_bits() {
    let many = (0..65).map(|n| guest_with("pass", |settings| settings.name = format!("p{n}")));
    let errors = load(many.collect(), KeySets::new()).err().expect("refused");
    assert_eq!((errors.len(), errors[0].index), (1, 64));
    let most = (0..64).map(|n| guest_with("pass", |settings| settings.name = format!("p{n}")));
    assert!(load(most.collect(), KeySets::new()).is_ok());
}

#[test]
fn settings_that_its_schema_does_not_allow() {
    let refusals = |json: &str| {
        let settings = guest_with("schema", |settings| settings.config_json = json.to_owned());
        load(vec![settings], KeySets::new()).err().unwrap_or_default()
    };
    let told = |json: &str| -> Vec<(String, String)> {
        let errors = refusals(json).into_iter();
        errors.map(|error| (error.setting.clone().unwrap_or_default(), error.to_string())).collect()
    };
    assert_eq!(told(r#"{"greeting":"hello","limits":{"rate":-1}}"#), []);
    let wrong = told(r#"{"greting":"hello","limits":{"rate":-2}}"#);
    let places: Vec<&str> = wrong.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, ["", "/greting", "/limits/rate"], "{wrong:?}");
    assert!(wrong.iter().all(|(_, text)| text.starts_with("plugin \"schema\" (schema.wasm): ")), "{wrong:?}");
    let wrong = told(r#"{"greeting":"no"}"#);
    assert!(wrong[0].1.contains("configure was called"), "what the schema allows is the plugin's to judge: {wrong:?}");
}
