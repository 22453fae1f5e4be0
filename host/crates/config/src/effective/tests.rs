use super::Effective;
use crate::plugins_toml::LIMITS;
use crate::{Facts, File, SMALLEST, read};

#[test]
fn defaults_are_marked_and_the_rest_has_its_place() {
    let document = read(Some(File::new("web.config", SMALLEST)), None, &Facts::default()).expect("it is complete");
    let effective = Effective::new(&document);
    let text = effective.to_string();
    for line in [
        "  processPath                                          \"dotnet\"               web.config:6",
        "  startupTimeLimit                                     120                    (default)",
        "  stdoutLogFile                                        \".\\aspnetcore-stdout\"  (default)",
        "  requestTimeout                                       120 s                  (default)",
        "  handlerSetting enableOutOfProcessConsoleRedirection  true                   (default)",
        "  handlerSetting shutdownDelay                         0                      (default)",
        "  instances         1 (processesPerApplication)  (default)",
        "  StaticFile          * * -> files (none are served)  (default)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    let limits = effective.groups().iter().find(|group| group.title == "[host.limits]").expect("limits are shown");
    assert_eq!(limits.lines.len(), LIMITS.len());
    let json = effective.json();
    assert_eq!(json[0]["title"], "aspNetCore");
    assert_eq!(json[0]["lines"][0]["origin"], serde_json::json!({ "file": "web.config:6" }));
    assert_eq!(json[0]["lines"][2]["origin"], "default");
}

#[test]
fn values_of_variables_and_of_plugin_config_are_not_shown() {
    let web = SMALLEST.replace(
        "arguments=\".\\App.dll\" />",
        "arguments=\"\"><environmentVariables><environmentVariable name=\"KEY\" value=\"hunter2\" /></environmentVariables></aspNetCore>",
    );
    let plugins = "[[plugin]]\nname = \"a\"\nmodule = \"builtin:request-log\"\n[plugin.config]\nkey = \"hunter2\"\n";
    let document =
        read(Some(File::new("web.config", web)), Some(File::new("plugins.toml", plugins)), &Facts::default());
    let document = document.expect("both files are right");
    let effective = Effective::new(&document);
    assert!(effective.to_string().contains("KEY  7 characters"));
    assert!(!effective.to_string().contains("hunter2") && !effective.json().to_string().contains("hunter2"));
}
