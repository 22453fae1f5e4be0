use crate::{Facts, File, read};

const SITE: &str = r#"<configuration><system.webServer>
<handlers><add name="a" path="*" verb="*" modules="AspNetCoreModuleV2" /></handlers>
<aspNetCore processPath="dotnet" arguments=".\App.dll" />
<rewrite><rules><rule name="r"><match url=".*" /><action type="None" /></rule></rules></rewrite>
</system.webServer></configuration>"#;

fn site(plugins_toml: Option<&str>) -> String {
    let plugins = plugins_toml.map(|text| File::new("plugins.toml", text));
    match read(Some(File::new("web.config", SITE)), plugins, &Facts::default()) {
        Ok(document) => format!("applied\n{}", document.warnings),
        Err(problems) => format!("refused\n{problems}"),
    }
}

#[test]
fn an_unapplied_section_is_refused_until_it_is_accepted_by_name() {
    let refused = site(None);
    assert!(refused.contains("web.config:4:1: error: `system.webServer/rewrite` is not applied"), "{refused}");
    assert!(refused.contains("\n    [host] accept_unapplied = [\"system.webServer/rewrite\"]"), "{refused}");
    let accepted = site(Some("[host]\naccept_unapplied = [\"system.webServer/rewrite\"]\n"));
    assert!(accepted.starts_with("applied\nweb.config:4:1: warning: `system.webServer/rewrite`"), "{accepted}");
}

#[test]
fn an_acceptance_that_accepts_nothing_is_told() {
    let names = "[host]\naccept_unapplied = [\"system.webServer/rewrite\", \"system.webServer/httpRedirect\"]\n";
    let told = site(Some(names));
    assert!(
        told.contains("plugins.toml:2:49: warning: accept_unapplied names \"system.webServer/httpRedirect\""),
        "{told}"
    );
    // A name that only begins like a section's accepts nothing of it.
    let told = site(Some("[host]\naccept_unapplied = [\"system.webServer/rewr\"]\n"));
    assert!(told.starts_with("refused"), "{told}");
}

#[test]
fn without_a_web_config_the_smallest_one_is_shown_and_works() {
    let problems = read(None, None, &Facts::default()).expect_err("there is no web.config");
    let text = problems.to_string();
    assert!(text.starts_with("web.config: error: there is no web.config"), "{text}");
    assert!(text.contains("<aspNetCore processPath=\"dotnet\""), "{text}");
    let smallest = File::new("web.config", crate::SMALLEST);
    let document = read(Some(smallest), None, &Facts::default()).expect("the smallest web.config is complete");
    assert!(document.warnings.as_slice().is_empty());
}

#[test]
fn problems_of_both_files_come_at_once_and_in_order() {
    let web = SITE.replace("dotnet", "");
    let plugins = File::new("plugins.toml", "[hosts]\n");
    let problems =
        read(Some(File::new("web.config", web)), Some(plugins), &Facts::default()).expect_err("both are wrong");
    let places: Vec<String> =
        problems.errors().map(|problem| format!("{}:{}:{}", problem.file, problem.line, problem.column)).collect();
    assert_eq!(places, ["plugins.toml:1:2", "web.config:3:26", "web.config:4:1"]);
}

#[test]
fn a_launcher_of_the_environment_stands_in_for_an_unpublished_file() {
    let text = crate::SMALLEST.replace("dotnet", "%LAUNCHER_PATH%").replace(".\\App.dll", "%launcher_args%");
    let file = || Some(File::new("web.config", text.clone()));
    let problems = read(file(), None, &Facts::default()).expect_err("nobody says what to launch");
    let told = problems.to_string();
    assert!(told.starts_with("web.config:6:30: error: `%LAUNCHER_PATH%` in processPath"), "{told}");
    assert!(told.contains("publish the app first"), "{told}");
    let facts = Facts { launcher_path: Some("dotnet".to_owned()), launcher_args: None };
    let document = read(file(), None, &facts).expect("the environment says what to launch");
    assert!(document.web_config.backend.uses_launcher);
    assert_eq!(document.web_config.backend.process_path.value, "%LAUNCHER_PATH%", "nothing is expanded here");
}

#[test]
fn the_document_is_plain_data_for_machines() {
    let document =
        read(Some(File::new("web.config", crate::SMALLEST)), None, &Facts::default()).expect("it is complete");
    let json = serde_json::to_value(&document).expect("documents are plain data");
    assert_eq!(
        json["web_config"]["backend"]["process_path"],
        serde_json::json!({ "value": "dotnet", "line": 6, "column": 17 })
    );
    assert_eq!(
        json["plugins_toml"]["host"]["limits"]["header_count_max"],
        serde_json::json!({ "value": 100, "at": null })
    );
}
