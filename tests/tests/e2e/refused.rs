//! Wrong usage and wrong configuration: everything told at once, nothing started.

use crate::{site, web};
use gatelodge_e2e::host::binary;
use gatelodge_e2e::{Host, Launch, Site};
use std::process::Command;

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [&["run", "--no-such-flag"][..], &["no-such-command"], &["run", "--workers", "0"], &[]] {
        let output = Command::new(binary()).args(args).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?} is refused without a word");
    }
}

#[test]
fn version_is_told_to_people_and_machines() {
    let output = Command::new(binary()).arg("version").output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains(env!("CARGO_PKG_VERSION")));
    let output = Command::new(binary()).args(["version", "--format", "json"]).output().expect("the binary runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON was asked for");
    assert_eq!(json["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_site_without_files_is_told_the_smallest_web_config() {
    let ended = Launch::new(&Site::empty()).refused();
    assert_eq!(ended.code, Some(3), "{}", ended.log);
    for part in ["web.config", "processPath", "<aspNetCore"] {
        assert!(ended.log.contains(part), "{part} is not in: {}", ended.log);
    }
}

/// L22: unknown attributes and values out of range are refused with their place.
#[test]
fn all_problems_of_both_files_are_told_at_once_with_their_places() {
    let site = Site::empty();
    let config = concat!(
        "<configuration>\n",
        "  <system.webServer>\n",
        "    <handlers>\n",
        "      <add name=\"a\" path=\"*\" verb=\"*\" modules=\"AspNetCoreModuleV2\" />\n",
        "    </handlers>\n",
        "    <aspNetCore processPath=\"x\" startupTimelimit=\"5\" shutdownTimeLimit=\"601\" />\n",
        "    <rewrite><rules><rule name=\"r\"><match url=\".*\" /><action type=\"None\" /></rule></rules></rewrite>\n",
        "  </system.webServer>\n",
        "</configuration>\n",
    );
    site.file("web.config", config);
    site.plugins(
        "[host]\nlisen = []\n\n[[plugin]]\nname = \"p\"\nmodule = \"builtin:request-log\"\nisolation = \"none\"\n\n[[plugin]]\nname = \"gone\"\nmodule = \"gone.wasm\"\n\n[[plugin]]\nname = \"b\"\nmodule = \"builtin:request-lag\"\n",
    );
    let ended = Launch::new(&site).refused();
    assert_eq!(ended.code, Some(3), "{}", ended.log);
    for part in [
        "web.config:6:",
        "startupTimelimit",
        "startupTimeLimit",
        "600",
        "web.config:7:",
        "accept_unapplied",
        "system.webServer/rewrite",
        "plugins.toml:2:1",
        "lisen",
        "listen",
        "plugins.toml:7:",
        "isolation",
        "plugins.toml:11:10: error: plugin `gone`: there is no file `gone.wasm`",
        "plugins.toml:15:10: error: there is no builtin plugin `request-lag`",
    ] {
        assert!(ended.log.contains(part), "{part} is not in:\n{}", ended.log);
    }
    assert!(!ended.log.contains("listening on"), "{}", ended.log);
}

/// L22: malformed XML is refused with its place.
#[test]
fn broken_files_are_refused_with_a_place() {
    for (name, text, part) in [
        ("web.config", "<configuration><system.webServer></configuration>", "web.config:1:"),
        ("web.config", "<!DOCTYPE a [<!ENTITY b \"c\">]><configuration/>", "web.config:1:"),
        ("plugins.toml", "[host]\nlisten = \"not a list\"\n", "plugins.toml:2:"),
        ("plugins.toml", "[host\n", "plugins.toml:1:"),
        (
            "plugins.toml",
            "[[plugin]]\nname = \"a\"\nmodule = \"builtin:request-log\"\n[plugin.grants]\nlog = true\n\
                          [[plugin]]\nname = \"a\"\nmodule = \"builtin:request-log\"\n",
            "plugins.toml:7:",
        ),
        ("plugins.toml", "[[plugin]]\nname = \"a\"\nmodule = \"../outside.wasm\"\n", "plugins.toml:3:"),
        ("plugins.toml", "[[plugin]]\nname = \"a\"\nmodule = \"builtin:nothing\"\n", "plugins.toml:3:"),
    ] {
        let site = site();
        site.file(name, text);
        let ended = Launch::new(&site).refused();
        assert_eq!(ended.code, Some(3), "{text:?}: {}", ended.log);
        assert!(ended.log.contains(part), "{part} is not in:\n{}", ended.log);
    }
}

#[test]
fn harmless_sections_are_a_warning_with_a_place() {
    let site = Site::new(web().beside("<urlCompression doDynamicCompression=\"true\" />"));
    let ended = Launch::new(&site).check();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.log.contains("urlCompression") && ended.log.contains("web.config:"), "{}", ended.log);
}

#[test]
fn a_section_that_guards_access_is_refused_until_it_is_accepted() {
    let site = Site::new(web().beside(
        "<rewrite><rules><rule name=\"r\"><match url=\".*\" /><action type=\"None\" /></rule></rules></rewrite>",
    ));
    assert_eq!(Launch::new(&site).check().code, Some(3));
    site.plugins("[host]\naccept_unapplied = [\"system.webServer/rewrite\"]\n");
    let ended = Launch::new(&site).check();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn check_shows_what_is_in_force() {
    let site = site();
    let ended = Launch::new(&site).check();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    for part in ["processPath", "startupTimeLimit", "120", "probe-backend"] {
        assert!(ended.log.contains(part), "{part} is not in:\n{}", ended.log);
    }
    let ended = Launch::new(&site).args(&["--format", "json"]).check();
    let json = ended.log.find('{').map(|at| &ended.log[at..]).unwrap_or_default();
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<serde_json::Value>();
    assert!(values.next().is_some_and(|value| value.is_ok()), "{}", ended.log);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", taken.local_addr().expect("it is bound"));
    let site = site();
    let ended = Launch::new(&site).listen(&url).refused();
    assert!(matches!(ended.code, Some(1 | 3)), "{:?}", ended.code);
    assert!(ended.log.contains(&url[7..]), "{}", ended.log);
    assert!(site.probe().starts().is_empty());
}

/// L20: every known hosting model runs out of process; another word is refused with the known ones.
#[test]
fn every_hosting_model_runs_out_of_process() {
    for model in ["InProcess", "inprocess", "OutOfProcess", "outofprocess"] {
        let site = Site::new(web().set("hostingModel", model));
        let host = Host::start(&site);
        assert_eq!(host.client().get("/").status(), 200, "{model}");
        let start = site.probe().only_start();
        assert_ne!(start.pid, host.pid(), "{model}");
        let told = host.log().matches("hostingModel").count();
        assert_eq!(told, usize::from(model.eq_ignore_ascii_case("inprocess")), "{model}: {}", host.log());
        host.stop(&site);
    }
    let ended = Launch::new(&Site::new(web().set("hostingModel", "beside"))).refused();
    assert_eq!(ended.code, Some(3), "{}", ended.log);
    for part in ["beside", "inprocess", "outofprocess", "web.config:"] {
        assert!(ended.log.to_lowercase().contains(part), "{part} is not in: {}", ended.log);
    }
}

/// L21: without `processPath` nothing is started.
/// L22: the edges of the ranges are refused with their place.
#[test]
fn what_cannot_run_is_refused_before_anything_starts() {
    let handlers = r#"<handlers><add name="a" path="*" verb="*" modules="AspNetCoreModuleV2" /></handlers>"#;
    for (section, part) in [
        ("<aspNetCore arguments=\"x\" />", "processPath"),
        ("<aspNetCore processPath=\"x\" startupTimeLimit=\"3601\" />", "3600"),
        ("<aspNetCore processPath=\"x\" requestTimeout=\"00:00:60\" />", "requestTimeout"),
        ("<aspNetCore processPath=\"x\" unknown=\"1\" />", "unknown"),
        ("<aspNetCore processPath=\"x\"><unknown /></aspNetCore>", "unknown"),
        ("<aspNetCore processPath=\"x\" rapidFailsPerMinute=\"101\" />", "100"),
    ] {
        let site = Site::empty();
        let text = format!("<configuration><system.webServer>{handlers}\n{section}</system.webServer></configuration>");
        site.file("web.config", text);
        let ended = Launch::new(&site).refused();
        assert_eq!(ended.code, Some(3), "{section}: {}", ended.log);
        assert!(ended.log.contains(part) && ended.log.contains("web.config:2:"), "{section}: {}", ended.log);
        assert!(!ended.log.contains("listening on"), "{section}: {}", ended.log);
    }
}

/// L23: a mapping's name stands once, unless it is removed before; what children inherit changes nothing here.
#[test]
fn a_handler_stands_once_unless_it_is_removed_before() {
    const ADD: &str = r#"<add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2" />"#;
    let twice = Launch::new(&Site::new(web().handlers(&format!("{ADD}\n{ADD}")))).check();
    assert_eq!(twice.code, Some(3), "{}", twice.log);
    assert!(twice.log.contains("<remove name=\"aspNetCore\" />"), "{}", twice.log);
    let removed = format!("{ADD}\n<remove name=\"aspNetCore\" />\n{ADD}");
    let removed = Launch::new(&Site::new(web().handlers(&removed))).check();
    assert_eq!(removed.code, Some(0), "{}", removed.log);
    let site = Site::empty();
    let text = web().text();
    let text = text
        .replace("<system.webServer>", "<location path=\".\" inheritInChildApplications=\"false\"><system.webServer>")
        .replace("</system.webServer>", "</system.webServer></location>");
    site.file("web.config", text);
    let inherited = Launch::new(&site).check();
    assert_eq!(inherited.code, Some(0), "{}", inherited.log);
}

/// Who and what the system grants is asked before anything starts.
#[test]
fn what_the_system_will_not_grant_is_refused() {
    let site = site();
    site.plugins(concat!(
        "[host.backend.identity]\n",
        "user = \"no-such-user\"\n",
        "umask = \"027\"\n",
        "nice = 1\n",
        "open_files_max = 1073741816\n",
    ));
    let parts = ["plugins.toml:2:8: ", "/etc/passwd has no such user", "plugins.toml:5:1: ", "Write at most "];
    let ends =
        [(Launch::new(&site).check(), "refused: 2 errors"), (Launch::new(&site).refused(), "nothing was started")];
    for (ended, verdict) in ends {
        assert_eq!(ended.code, Some(3), "{}", ended.log);
        for part in parts.into_iter().chain([verdict]) {
            assert!(ended.log.contains(part), "{part} is not in:\n{}", ended.log);
        }
    }
    site.plugins("[host.backend.identity]\numask = \"027\"\nnice = 1\nopen_files_max = 64\n");
    let ended = Launch::new(&site).check();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(site.probe().starts().is_empty());
}
