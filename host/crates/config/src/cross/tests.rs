use crate::{Document, Facts, File, Problems, SMALLEST, read};

/// A site whose section carries these attributes and variables, and these lines of plugins.toml.
fn site(attributes: &str, variables: &str, toml: &str) -> Result<Document, Problems> {
    let children = format!(" {attributes}><environmentVariables>{variables}</environmentVariables></aspNetCore>");
    let text = SMALLEST.replace("arguments=\".\\App.dll\" />", &children);
    read(
        Some(File::new("web.config", text)),
        (!toml.is_empty()).then(|| File::new("plugins.toml", toml)),
        &Facts::default(),
    )
}

fn told(result: &Result<Document, Problems>) -> String {
    match result {
        Ok(document) => format!("applied\n{}", document.warnings),
        Err(problems) => format!("refused\n{problems}"),
    }
}

const PORT: &str = "<environmentVariable name=\"aspnetcore_port\" value=\"5000\" />";
const TWO: &str = "processesPerApplication=\"2\"";

#[test]
fn instances_of_plugins_toml_go_before_processes_per_application() {
    let table =
        [("", "", 1), (TWO, "", 2), ("", "instances = 3", 3), (TWO, "instances = 1", 1), (TWO, "instances = 100", 100)];
    for (attributes, line, expected) in table {
        let document = site(attributes, "", &format!("[host.backend]\n{line}\n")).expect("it is right");
        assert_eq!(document.instances(), expected, "{attributes} {line}");
        assert!(document.overlap());
        assert_eq!(document.warnings, Problems::default());
    }
}

#[test]
fn several_processes_cannot_share_a_fixed_port() {
    let web = told(&site(TWO, PORT, ""));
    assert!(
        web.starts_with(
            "refused\nweb.config:6:39: error: processesPerApplication = 2, but aspnetcore_port at web.config:6:89"
        ),
        "{web}"
    );
    let toml = told(&site("", PORT, "[host.backend]\ninstances = 2\n"));
    assert!(toml.contains("plugins.toml:2:1: error: instances = 2, but aspnetcore_port at web.config:6:62"), "{toml}");
    // One process, or no port: nothing to refuse.
    for (attributes, variables, toml) in [
        (TWO, PORT, "[host.backend]\ninstances = 1\noverlap = false\n"),
        (TWO, "<environmentVariable name=\"ASPNETCORE_PORT\" value=\"\" />", ""),
        (TWO, "<environmentVariable name=\"HTTP_PLATFORM_PORT\" value=\"5000\" />", ""),
    ] {
        assert_eq!(told(&site(attributes, variables, toml)), "applied\n");
    }
    // Whatever this stands for, it is the same for both.
    let expanded = "<environmentVariable name=\"ASPNETCORE_PORT\" value=\"%MY_PORT%\" />";
    assert!(told(&site(TWO, expanded, "")).starts_with("refused"));
}

#[test]
fn a_fixed_port_leaves_no_room_for_a_replacement_beside() {
    let unset = site("", PORT, "");
    let text = told(&unset);
    assert!(
        text.contains("web.config:6:62: warning: aspnetcore_port fixes the port: a replacement stops the app first"),
        "{text}"
    );
    let document = unset.expect("it is only warned about");
    assert!(!document.overlap() && document.instances() == 1);
    let shown = crate::effective::Effective::new(&document).to_string();
    assert!(shown.contains("false (the port is fixed)"), "{shown}");
    let asked = told(&site("", PORT, "[host.backend]\noverlap = true\n"));
    assert!(
        asked.contains("plugins.toml:2:1: error: overlap = true, but aspnetcore_port at web.config:6:62"),
        "{asked}"
    );
    let singleton = site("", PORT, "[host.backend]\noverlap = false\n");
    assert_eq!(told(&singleton), "applied\n");
    assert!(!singleton.expect("it is right").overlap());
}

#[test]
fn an_app_is_not_replaced_for_its_own_log() {
    const LOGS: &str = "stdoutLogEnabled=\"true\" stdoutLogFile=\".\\logs\\stdout\"";
    let watching =
        |attributes: &str, globs: &str| told(&site(attributes, "", &format!("[host.backend]\nwatch = {globs}\n")));
    for globs in ["[\"*.dll\", \"**\"]", "[\"*.dll\", \"logs/*\"]", "[\"*.dll\", \"**/*.log\"]"] {
        let text = watching(LOGS, globs);
        assert!(
            text.starts_with("refused\nplugins.toml:2:19: error: ")
                && text.contains("logs/stdout_20260101000000_1.log"),
            "{text}"
        );
    }
    assert_eq!(watching(LOGS, "[\"*.dll\", \"*\", \"wwwroot/**\"]"), "applied\n");
    assert_eq!(watching("", "[\"**\"]"), "applied\n", "no log is written");
}
