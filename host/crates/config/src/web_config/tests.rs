use super::{Backend, HostingModel};
use crate::{Facts, File, SMALLEST, read};

/// The section as read, with these attributes and children.
fn backend(inside: &str) -> Result<Backend, String> {
    let text = SMALLEST.replace("arguments=\".\\App.dll\" />", inside);
    let document = read(Some(File::new("web.config", text)), None, &Facts::default());
    document.map(|document| document.web_config.backend).map_err(|problems| problems.to_string())
}

/// L20: every known word in any case runs out of process; another one is refused with the known ones.
#[test]
fn hosting_models_in_any_case() {
    let table = [
        ("", HostingModel::OutOfProcess),
        ("hostingModel=\"\"", HostingModel::OutOfProcess),
        ("hostingModel=\"outofprocess\"", HostingModel::OutOfProcess),
        ("hostingModel=\"OutOfProcess\"", HostingModel::OutOfProcess),
        ("hostingModel=\"OUTOFPROCESS\"", HostingModel::OutOfProcess),
        ("hostingModel=\"inprocess\"", HostingModel::InProcess),
        ("hostingModel=\"InProcess\"", HostingModel::InProcess),
        ("hostingModel=\"inPROCESS\"", HostingModel::InProcess),
    ];
    for (attribute, expected) in table {
        let backend = backend(&format!("{attribute} />")).expect("the word is known");
        assert_eq!(backend.hosting_model.value, expected, "{attribute}");
    }
    for word in ["in process", "inprocess ", "both"] {
        let told = backend(&format!("hostingModel=\"{word}\" />")).expect_err("the word is not known");
        assert!(told.contains("write \"inprocess\" or \"outofprocess\""), "{told}");
    }
}

/// L22: each number at its limit is read, and one beyond it refused.
#[test]
fn numbers_at_their_limits() {
    let table = [
        ("startupTimeLimit", "3600", "3601"),
        ("startupTimeLimit", "0", "-1"),
        ("shutdownTimeLimit", "600", "601"),
        ("rapidFailsPerMinute", "100", "101"),
        ("requestTimeout", "15.00:00:00", "15.00:00:01"),
        ("requestTimeout", "00:00:00", "00:00:60"),
        ("processesPerApplication", "100", "101"),
        ("processesPerApplication", "1", "0"),
    ];
    for (name, within, beyond) in table {
        backend(&format!("{name}=\"{within}\" />")).unwrap_or_else(|told| panic!("{name}={within}: {told}"));
        let told = backend(&format!("{name}=\"{beyond}\" />")).expect_err(name);
        assert!(told.starts_with("web.config:6:") && told.contains(name), "{told}");
    }
}

#[test]
fn a_failed_start_is_repeated_once_unless_the_file_says_otherwise() {
    assert_eq!(backend("/>").expect("it is complete").attempts_max(), 2);
    let platform = |attribute: &str| {
        let text = SMALLEST
            .replace("aspNetCore processPath=\"dotnet\"", &format!("httpPlatform processPath=\"node\" {attribute}"));
        let document = read(Some(File::new("web.config", text)), None, &Facts::default()).expect("it is right");
        document.web_config.backend.attempts_max()
    };
    assert_eq!(platform(""), 2);
    assert_eq!(platform("startupRetryCount=\"0\""), 1);
    assert_eq!(platform("startupRetryCount=\"100\""), 101);
}

#[test]
fn handler_settings_that_are_applied() {
    let settings = |inside: &str| backend(&format!("><handlerSettings>{inside}</handlerSettings></aspNetCore>"));
    let one = |name: &str, value: &str| settings(&format!("<handlerSetting name=\"{name}\" value=\"{value}\" />"));
    let plain = settings("").expect("it is complete");
    assert_eq!(plain.shutdown_delay_ms.value, 0);
    assert!(plain.console_redirection.value && !plain.disallow_rotation_on_config_change.value);
    for (value, expected) in [("0", Some(0)), ("1000", Some(1000)), ("600000", Some(600_000))] {
        assert_eq!(
            one("ShutdownDelay", value).ok().map(|backend| backend.shutdown_delay_ms.value),
            expected,
            "{value}"
        );
    }
    for value in ["-1", "600001", "", "1s", " 1", "99999999999999999999"] {
        let told = one("shutdownDelay", value).expect_err(value);
        assert!(told.contains("is not a number of milliseconds"), "{told}");
    }
    assert!(
        one("disallowRotationOnConfigChange", "True").expect("it is right").disallow_rotation_on_config_change.value
    );
    assert!(!one("enableOutOfProcessConsoleRedirection", "FALSE").expect("it is right").console_redirection.value);
    // The first one of a name counts, and `clear` forgets.
    let twice =
        "<handlerSetting name=\"shutdownDelay\" value=\"1\" /><handlerSetting name=\"SHUTDOWNDELAY\" value=\"2\" />";
    assert_eq!(settings(twice).expect("it is right").shutdown_delay_ms.value, 1);
    let cleared = twice.replacen("/>", "/><clear />", 1);
    assert_eq!(settings(&cleared).expect("it is right").shutdown_delay_ms.value, 2);
}

/// L21: without a program nothing could be started, so the file is refused.
#[test]
fn a_program_must_be_named() {
    for path in ["", "processPath=\"\"", "processPath=\" \t\""] {
        let text = SMALLEST.replace("processPath=\"dotnet\"", path);
        let problems = read(Some(File::new("web.config", text)), None, &Facts::default()).expect_err("no program");
        let told = problems.to_string();
        assert!(told.contains("there is no program to start"), "{told}");
        assert!(told.contains("write the program to start"), "{told}");
    }
}

/// L22: what nobody knows is refused with its place, attribute or child.
#[test]
fn unknown_names_are_refused() {
    for (inside, place) in [
        ("startupRetryCount=\"1\" />", "web.config:6:38: error: attribute `startupRetryCount` is not known"),
        ("Arguments=\"a\" />", "web.config:6:38: error: attribute `Arguments` is not known"),
        (
            "><environmentVariable name=\"A\" value=\"\" /></aspNetCore>",
            "web.config:6:39: error: `<environmentVariable>` is not known",
        ),
        (
            "><environmentVariables><add name=\"A\" value=\"\" /></environmentVariables></aspNetCore>",
            "web.config:6:61: error: `<add>` is not known",
        ),
    ] {
        let told = backend(inside).expect_err(inside);
        assert!(told.contains(place), "{told}");
    }
}

/// L23: a name stands once among the mappings, unless it is removed before.
#[test]
fn a_mapping_is_added_once() {
    const ADD: &str = "<add name=\"aspNetCore\" path=\"*\" verb=\"*\" modules=\"AspNetCoreModuleV2\" />";
    let site = |between: &str| {
        let text = SMALLEST.replace(ADD, &format!("{ADD}{between}{ADD}"));
        read(Some(File::new("web.config", text)), None, &Facts::default())
            .map(drop)
            .map_err(|problems| problems.to_string())
    };
    let told = site("").expect_err("it is there already");
    assert!(told.contains("a handler named `aspNetCore` is in line 4 already"), "{told}");
    assert_eq!(site("<remove name=\"aspNetCore\" />"), Ok(()));
    assert_eq!(site("<clear />"), Ok(()));
}
