//! Waking the backend: the first request starts it, one of it, with what it
//! must know.

use crate::{PROBE, site, web};
use gatelodge_e2e::{Host, Launch, Signal, Site, Web};

/// L01: no backend exists before the first request.
/// L02: the first request starts exactly one and is answered by it.
#[test]
fn the_first_request_wakes_one_backend() {
    let site = site();
    let host = Host::start(&site);
    assert!(site.probe().starts().is_empty(), "a backend was started before any request");
    assert_eq!(host.client().get("/").text(), "ok");
    let start = site.probe().only_start();
    assert_eq!(start.cwd, site.app().canonicalize().expect("the site exists"));
    assert!((10_000..=48_000).contains(&start.port), "{}", start.port);
    host.stop(&site);
}

/// L03: requests at once wake one backend, and all are answered.
/// L26: they wait for as long as it needs to listen.
#[test]
fn twenty_requests_at_once_wake_one_backend_and_are_all_answered() {
    let site = Site::new(web().set("arguments", "gate listen"));
    let host = Host::start(&site);
    let mut clients: Vec<_> = (0..20).map(|_| host.client()).collect();
    for client in &mut clients {
        client.send("GET /who HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    site.probe().wait_starts(1);
    site.probe().open("listen");
    let answers: Vec<String> = clients.iter_mut().map(|client| client.response().text()).collect();
    assert!(answers.iter().all(|answer| answer.starts_with("start 1 ")), "{answers:?}");
    site.probe().only_start();
    host.stop(&site);
}

/// L07: port, path, token, authentication and websockets are told.
/// L12: path and authentication of web.config are discarded.
/// L13: assemblies of web.config arrive unchanged.
/// L14: a variable of the host is expanded, an unknown one stays as written.
/// L15: the last of two spellings wins, and there is one variable.
/// L17: a long value arrives whole.
#[test]
fn the_environment_has_what_a_paired_app_reads() {
    let site = Site::new(
        web()
            .env("ASPNETCORE_APPL_PATH", "/discarded")
            .env("ASPNETCORE_IIS_HTTPAUTH", "discarded;")
            .env("Twice", "first")
            .env("TWICE", "last")
            .env("EXPANDED", "%TestVariable%;%NOPE%;port %aspnetcore_port%")
            .env("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "Asm2")
            .env("LONG", "v".repeat(10_000)),
    );
    let host = Launch::new(&site).env("TestVariable", "W").env("INHERITED", "yes").start();
    assert_eq!(host.client().get("/").status(), 200);
    let start = site.probe().only_start();
    let value = |name: &str| start.env.get(name).map_or("(unset)", String::as_str);
    assert_eq!(value("ASPNETCORE_PORT"), start.port.to_string());
    assert_eq!(value("ASPNETCORE_APPL_PATH"), "/");
    assert_eq!(value("ASPNETCORE_IIS_HTTPAUTH"), "anonymous;");
    assert!(matches!(value("ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED"), "true" | "false"));
    assert!(start.token.len() >= 32, "the token has less than 128 bits");
    assert_eq!(value("EXPANDED"), format!("W;%NOPE%;port {}", start.port));
    assert_eq!(value("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"), "Asm2");
    assert_eq!(value("LONG").len(), 10_000);
    assert_eq!(value("INHERITED"), "yes");
    let twice: Vec<_> = start.env.iter().filter(|(name, _)| name.eq_ignore_ascii_case("twice")).collect();
    assert_eq!(twice.len(), 1, "{twice:?}");
    assert_eq!(twice[0].1, "last");
    host.stop(&site);
}

/// L04: arguments by Windows' rules of quoting, in the app's folder, in this system's spelling.
#[test]
fn arguments_are_split_as_on_windows_and_keep_the_port() {
    let line = r#"one "two words" "a \"quoted\" b" .\App.dll --port=%ASPNETCORE_PORT%"#;
    let site = Site::new(web().set("arguments", line));
    site.file("App.dll", "what `dotnet` would load");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let start = site.probe().only_start();
    let port = format!("--port={}", start.port);
    assert_eq!(start.cwd, site.app().canonicalize().expect("the site exists"));
    assert_eq!(start.argv[1..], ["one", "two words", "a \"quoted\" b", "./App.dll", port.as_str()]);
    host.stop(&site);
}

/// L06: `App.exe` starts `App` where only that is there.
#[test]
fn a_program_of_the_site_is_found_under_its_windows_name() {
    for name in [r".\app.exe", r".\app", r".\tools\app.exe"] {
        let site = Site::new(Web::asp(name));
        let plain = name.trim_start_matches(r".\").replace('\\', "/").replace(".exe", "");
        let copy = site.file(&plain, std::fs::read(PROBE).expect("cargo built it"));
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(copy, executable).expect("the file is ours");
        let host = Host::start(&site);
        assert_eq!(host.client().get("/").status(), 200, "{name}");
        host.stop(&site);
    }
}

/// L08: the port of web.config is told and used.
/// L11: the token of web.config is sent.
#[test]
fn a_port_and_a_token_of_web_config_are_honoured() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    // The range that the module accepts ends at 48,000; ephemeral ports may lie above.
    let port = if free.port() <= 48_000 { free.port() } else { free.port() - 20_000 };
    let site = Site::new(web().env("ASPNETCORE_PORT", port).env("ASPNETCORE_TOKEN", "fixed-by-the-operator"));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/x").status(), 200);
    assert_eq!(site.probe().only_start().port, port);
    assert!(site.probe().head_of("/x").to_lowercase().contains("ms-aspnetcore-token: fixed-by-the-operator\r\n"));
    drop(host);
}

/// L39: below a path, the shutdown request goes there.
#[test]
fn an_app_below_a_path_is_told_so_and_nothing_outside_reaches_it() {
    let site = site();
    let host = Launch::new(&site).args(&["--path-base", "/app"]).start();
    assert_eq!(host.client().get("/app/a%20b/%3F?x=%2F&y=?").status(), 200);
    assert_eq!(site.probe().only_start().env["ASPNETCORE_APPL_PATH"], "/app");
    assert!(site.probe().head_of("/app/a%20b/%3F?x=%2F&y=?").starts_with("GET "));
    assert_eq!(host.client().get("/elsewhere").status(), 404);
    assert_eq!(host.client().get("/apple").status(), 404);
    assert!(!site.probe().everything().contains("elsewhere"));
    host.signal(Signal::TERM);
    site.probe().wait_mark("asked-to-stop");
    assert!(site.probe().everything().contains("POST /app/iisintegration HTTP/1.1\r\n"));
    assert_eq!(host.wait().code, Some(0));
}

/// L18: one port in arguments and variables, and no name of the other module.
/// L19: no shutdown request.
#[test]
fn an_http_platform_app_gets_its_own_variables() {
    let web =
        Web::platform(PROBE).set("arguments", "serve --port %HTTP_PLATFORM_PORT%").env("PORT", "%HTTP_PLATFORM_PORT%");
    let site = Site::new(web);
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let start = site.probe().only_start();
    assert_eq!(start.env["PORT"], start.port.to_string());
    assert_eq!(start.argv.last(), Some(&start.port.to_string()));
    assert!(!start.token.is_empty());
    let foreign: Vec<_> = start.env.keys().filter(|name| name.starts_with("ASPNETCORE_")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    host.stop(&site);
    assert!(!site.probe().everything().contains("iisintegration"), "httpPlatform apps get the signal only");
    assert!(site.probe().has_mark("sigterm"));
}

/// L10: an empty port is none: one is chosen.
#[test]
fn an_empty_port_is_chosen_as_if_none_was_named() {
    let site = Site::new(web().env("ASPNETCORE_PORT", ""));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let port = site.probe().only_start().port;
    assert!((10_000..=48_000).contains(&port), "{port}");
    host.stop(&site);
}

/// Copies the scripted backend to a path, executable.
fn install(path: &std::path::Path) {
    std::fs::copy(PROBE, path).expect("cargo built it");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("the file is ours");
}

/// L05: a bare name is looked for on `PATH`; a file of that name in the app's folder wins.
#[test]
fn a_bare_name_is_found_in_the_apps_folder_before_path() {
    let tools = tempfile::tempdir().expect("a temporary folder can be made");
    install(&tools.path().join("runtime"));
    let site = Site::new(Web::asp("runtime"));
    let path = format!("/usr/bin:{}", tools.path().display());
    let started = || {
        let host = Launch::new(&site).env("PATH", &path).start();
        assert_eq!(host.client().get("/").status(), 200);
        let start = site.probe().starts().pop().expect("it was started");
        let program = std::fs::read_link(format!("/proc/{}/exe", start.pid)).expect("the backend lives");
        host.stop(&site);
        program
    };
    assert_eq!(started(), tools.path().join("runtime").canonicalize().expect("it is there"));
    let own = site.app().join("runtime");
    install(&own);
    assert_eq!(started(), own.canonicalize().expect("it is there"));
}

/// L16: web.config wins over the host's own environment, unless the switch turns that round.
#[test]
fn web_config_wins_over_the_hosts_environment_unless_told_otherwise() {
    for (switch, expected) in [("", "from web.config"), ("true", "from the host"), ("1", "from the host")] {
        let site = Site::new(web().env("SHARED", "from web.config").env("OWN", "kept"));
        let host =
            Launch::new(&site).env("SHARED", "from the host").env("ANCM_PREFER_ENVIRONMENT_VARIABLES", switch).start();
        assert_eq!(host.client().get("/").status(), 200);
        let start = site.probe().only_start();
        assert_eq!((start.env["SHARED"].as_str(), start.env["OWN"].as_str()), (expected, "kept"), "{switch:?}");
        host.stop(&site);
    }
}

/// L13: the assembly that pairs is added to what the host's environment has.
#[test]
fn the_startup_assembly_is_added_to_the_hosts_own() {
    let site = site();
    let host = Launch::new(&site).env("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "Asm1").start();
    assert_eq!(host.client().get("/").status(), 200);
    let start = site.probe().only_start();
    let value = start.env["ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"].as_str();
    assert_eq!(value, "Asm1;Microsoft.AspNetCore.Server.IISIntegration");
    host.stop(&site);
}
