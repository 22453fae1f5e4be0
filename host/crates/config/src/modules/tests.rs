use super::check;
use crate::source::{File, Source};
use crate::{Problems, plugins_toml};
use std::fs;

#[test]
fn files_that_plugins_toml_names_must_be_there_and_inside() {
    let outside = tempfile::tempdir().expect("a folder for the test");
    fs::write(outside.path().join("secret.wasm"), b"x").expect("a file can be written");
    let site = outside.path().join("site");
    fs::create_dir_all(site.join("plugins")).expect("a folder can be made");
    fs::write(site.join("plugins/good.wasm"), b"x").expect("a file can be written");
    fs::write(site.join("keys.json"), b"{}").expect("a file can be written");
    let linked = link(&outside.path().join("secret.wasm"), &site.join("plugins/linked.wasm"));
    let text = r#"
[[plugin]]
name = "good"
module = 'plugins\good.wasm'
[[plugin]]
name = "inside"
module = "builtin:request-log"
[[plugin]]
name = "missing"
module = "plugins/missing.wasm"
[[plugin]]
name = "folder"
module = "plugins"
[[plugin]]
name = "linked"
module = "plugins/linked.wasm"
[key_sets.there]
file = "keys.json"
[key_sets.gone]
file = "./gone.json"
[secrets.gone]
file = "secrets/gone"
[secrets.variable]
env = "NOT_LOOKED_AT"
"#;
    let source = Source::decode(&File::new("plugins.toml", text)).expect("plain text");
    let (document, problems) = plugins_toml::read(&source);
    assert!(problems.is_empty(), "{problems:?}");
    let told = Problems::new(check(&document, &site)).to_string();
    let mut expected = vec![
        "plugins.toml:10:10: error: plugin `missing`: there is no file `plugins/missing.wasm`",
        "plugins.toml:13:10: error: plugin `folder`: `plugins` is not a file",
        "plugins.toml:20:8: error: key set `gone`: there is no file `./gone.json`",
        "plugins.toml:22:8: error: secret `gone`: there is no file `secrets/gone`",
    ];
    if linked {
        expected.insert(2, "plugins.toml:16:10: error: plugin `linked`: `plugins/linked.wasm` leads out of the site's folder by a link");
    } else {
        expected.insert(2, "plugins.toml:16:10: error: plugin `linked`: there is no file `plugins/linked.wasm`");
    }
    let errors: Vec<&str> = told.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(errors, expected);
}

#[cfg(unix)]
fn link(target: &std::path::Path, link: &std::path::Path) -> bool {
    std::os::unix::fs::symlink(target, link).is_ok()
}

#[cfg(not(unix))]
fn link(_target: &std::path::Path, _link: &std::path::Path) -> bool {
    false
}
