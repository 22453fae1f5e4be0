//! Waking the backend: the first request starts it, one of it, with what it
//! must know.

use crate::{PROBE, site, web};
use gatelodge_e2e::{Host, Launch, Signal, Site, Web};

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

#[test]
fn arguments_are_split_as_on_windows_and_keep_the_port() {
    let site = Site::new(web().set("arguments", r#"one "two words" "a \"quoted\" b" --port=%ASPNETCORE_PORT%"#));
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let start = site.probe().only_start();
    let port = format!("--port={}", start.port);
    assert_eq!(start.argv[1..], ["one", "two words", "a \"quoted\" b", port.as_str()]);
    host.stop(&site);
}

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
