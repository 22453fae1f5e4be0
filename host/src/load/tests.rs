use super::{FILE_BYTES_MAX, Loaded, flag, load};
use crate::cli::SiteArgs;
use config::{Facts, File, SMALLEST};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn args(folder: &Path) -> SiteArgs {
    SiteArgs {
        app_dir: folder.to_owned(),
        path_base: None,
        listen: Vec::new(),
        plugins: None,
        plugin: Vec::new(),
        workers: None,
        admin: None,
    }
}

/// A site of the smallest web.config and this plugins.toml.
pub(crate) fn loaded(toml: &str) -> Loaded {
    let (web_config, toml) = (File::new("web.config", SMALLEST), File::new("plugins.toml", toml));
    let document = config::read(Some(web_config), Some(toml), &Facts::default()).expect("the test's files are right");
    Loaded {
        document,
        root: PathBuf::from("/srv/app"),
        app_dir: PathBuf::from("/srv/app"),
        toml_path: PathBuf::from("/srv/app/plugins.toml"),
        folder: PathBuf::new(),
        listen: Vec::new(),
        path_base: None,
        admin: None,
    }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("the temporary folder is ours");
    }
    folder
}

fn told(result: Result<Loaded, config::Problems>) -> String {
    match result {
        Ok(loaded) => format!("applied\n{}", loaded.document.warnings),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn a_folder_that_is_missing_or_a_file_is_told_by_name() {
    let site = folder(&[("web.config", SMALLEST)]);
    for name in ["gone", "web.config"] {
        let path = site.path().join(name);
        let told = told(load(&args(&path)));
        let expected = format!("APP_DIR: error: {} is not a folder\n", path.display());
        assert!(told.starts_with(&expected), "{told}");
    }
}

#[test]
fn web_config_is_found_in_any_case_and_missed_with_an_example() {
    for name in ["web.config", "Web.config", "WEB.CONFIG"] {
        assert_eq!(told(load(&args(folder(&[(name, SMALLEST)]).path()))), "applied\n", "{name}");
    }
    let told = told(load(&args(folder(&[]).path())));
    assert!(told.starts_with("web.config: error: there is no web.config"), "{told}");
    assert!(told.contains("<aspNetCore processPath=\"dotnet\""), "{told}");
}

#[test]
fn plugins_toml_may_be_missing_unless_it_was_named() {
    let site = folder(&[("web.config", SMALLEST)]);
    assert_eq!(told(load(&args(site.path()))), "applied\n");
    let path = site.path().join("other.toml");
    let named = SiteArgs { plugins: Some(path.clone()), ..args(site.path()) };
    let said = told(load(&named));
    assert!(said.starts_with(&format!("{}: error: can't be read: ", path.display())), "{said}");
    std::fs::write(&path, "[host]\nworkers = 3\n").expect("the site is ours");
    assert_eq!(told(load(&named)), "applied\n");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let site = folder(&[("web.config", SMALLEST)]);
    let path = site.path().join("plugins.toml");
    std::fs::create_dir(&path).expect("the site is ours");
    let said = told(load(&args(site.path())));
    assert!(said.starts_with(&format!("{}: error: can't be read: ", path.display())), "{said}");

    std::fs::remove_dir(&path).expect("the site is ours");
    let file = std::fs::File::create(&path).expect("the site is ours");
    file.set_len(FILE_BYTES_MAX + 1).expect("a sparse file");
    let said = told(load(&args(site.path())));
    assert!(said.contains(&format!("it is larger than {FILE_BYTES_MAX} bytes")), "{said}");
}

#[test]
fn flags_are_told_without_a_line_and_all_at_once() {
    let site = folder(&[("web.config", SMALLEST)]);
    let wrong = SiteArgs {
        listen: vec!["http://example.com".to_owned(), "http://127.0.0.1:0".to_owned()],
        path_base: Some("app".to_owned()),
        admin: Some("10.0.0.1:1".to_owned()),
        ..args(site.path())
    };
    let said = told(load(&wrong));
    for flag in ["--listen: error: \"http://example.com\"", "--path-base: error: ", "--admin: error: \"10.0.0.1:1\""] {
        assert!(said.contains(flag), "{flag} is not in:\n{said}");
    }
    let problem = flag("--plugin x.wasm", "can't be read".to_owned(), "name a component");
    assert_eq!(problem.to_string(), "--plugin x.wasm: error: can't be read\n    name a component");

    let right = SiteArgs { admin: Some("off".to_owned()), path_base: Some("/app/".to_owned()), ..args(site.path()) };
    let loaded = load(&right).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.path_base.as_deref(), Some("/app"));
}
