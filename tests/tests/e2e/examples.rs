//! The example sites, end to end.

use gatelodge_e2e::{Client, Host, Launch, Response, Signal, Site, tree};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of an example, copied: logs and pid files stay out of the repository.
fn example(name: &str) -> Site {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let site = Site::empty();
    copy(&source, &site.app());
    site
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap_or_else(|e| panic!("{}: {e}", from.display())).flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let target = to.join(&name);
        if name == "node_modules" {
            std::os::unix::fs::symlink(&path, &target).expect("a link can be made");
        } else if path.is_dir() {
            if name != "logs" && name != "bin" {
                std::fs::create_dir_all(&target).expect("the site is ours");
                copy(&path, &target);
            }
        } else {
            std::fs::copy(&path, &target).expect("a file of the repository can be read");
        }
    }
}

/// The backend's process: whoever listens among the host's descendants.
fn token_of(host: &Host) -> String {
    let environments = host
        .descendants()
        .into_iter()
        .filter_map(|process| std::fs::read(format!("/proc/{}/environ", process.pid)).ok());
    for environment in environments {
        for variable in environment.split(|byte| *byte == 0) {
            let variable = String::from_utf8_lossy(variable);
            for name in ["ASPNETCORE_TOKEN=", "HTTP_PLATFORM_TOKEN="] {
                if let Some(token) = variable.strip_prefix(name) {
                    return token.to_owned();
                }
            }
        }
    }
    panic!("no descendant of the host has a token");
}

fn port_of(host: &Host) -> u16 {
    for process in host.descendants() {
        let Ok(environment) = std::fs::read(format!("/proc/{}/environ", process.pid)) else { continue };
        for variable in environment.split(|byte| *byte == 0) {
            let variable = String::from_utf8_lossy(variable);
            for name in ["ASPNETCORE_PORT=", "HTTP_PLATFORM_PORT="] {
                if let Some(port) = variable.strip_prefix(name) {
                    return port.parse().expect("a port is a number");
                }
            }
        }
    }
    panic!("no descendant of the host has a port");
}

fn logs(site: &Site) -> String {
    site.files()
        .iter()
        .filter(|(path, _)| path.components().any(|part| part.as_os_str() == "logs"))
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect()
}

/// Asserts that this token is nowhere outside: not in the host's log, the
/// site's files, or these answers.
fn assert_nowhere(token: &str, host: &Host, site: &Site, answers: &[&Response]) {
    assert!(token.len() >= 32, "a token has at least 128 bits");
    assert!(!host.log().contains(token), "the host's log holds the token");
    for answer in answers {
        assert!(!answer.text().contains(token), "an answer holds the token");
        assert!(!format!("{:?}", answer.head).contains(token), "an answer's head holds the token");
    }
    for (path, bytes) in site.files() {
        assert!(!gatelodge_e2e::host::holds(&bytes, token.as_bytes()), "{} holds the token", path.display());
    }
}

/// What every example backend does: pairs, counts an upload, streams events.
fn serves_like_a_backend(site: &Site, greeting: &str) {
    let host = Host::start(site);
    let mut client = host.client();
    let hello = client.get("/");
    assert_eq!(hello.status(), 200, "{}", hello.text());
    assert!(hello.text().starts_with(greeting), "{}", hello.text());
    assert_eq!(client.post("/upload", &[0; 100_000]).text(), "100000 bytes\n");
    let chunked = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(client.send(chunked).response().text(), "5 bytes\n");
    client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    let events = client.response();
    assert_eq!(events.value("content-type"), Some("text/event-stream"));
    assert!(events.text().starts_with("data: event 1\n\n") && events.text().contains("data: event 3\n\n"));
    let direct =
        Client::connect(([127, 0, 0, 1], port_of(&host)).into(), gatelodge_e2e::client::Transcript::default()).get("/");
    assert_eq!(direct.status(), 400, "straight to the backend there is no answer without the token");
    assert_nowhere(&token_of(&host), &host, site, &[&hello, &events, &direct]);
    host.stop(site);
}

#[test]
fn the_node_example_works() {
    let site = example("node");
    serves_like_a_backend(&site, "hello from node v");
    assert!(logs(&site).contains("stopped"), "{}", logs(&site));
}

#[test]
fn the_python_example_works() {
    let site = example("python");
    serves_like_a_backend(&site, "hello from python 3");
    assert!(logs(&site).contains("SIGTERM: stopped"), "{}", logs(&site));
}

fn hello() -> Site {
    let site = example("hello");
    // The harness's folder of binaries has the example's, too.
    let target = Path::new(crate::PROBE).parent().expect("a binary has a folder").to_owned();
    let program = built(&target);
    std::fs::create_dir_all(site.app().join("bin")).expect("the site is ours");
    std::fs::copy(program, site.app().join("bin/hello")).expect("cargo built it");
    site
}

/// The example's program; built now where nobody built the whole workspace.
fn built(target: &Path) -> PathBuf {
    let program = target.join("gatelodge-hello");
    if !program.exists() {
        let status = std::process::Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "gatelodge-hello"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(status.is_ok_and(|status| status.success()), "the example does not build");
    }
    program
}

#[test]
fn the_hello_example_works() {
    let site = hello();
    serves_like_a_backend(&site, "hello from process ");
    assert!(logs(&site).contains("hello: stopped"), "{}", logs(&site));
}

#[test]
fn the_hello_example_shows_a_proven_identity_and_no_claimed_one() {
    let site = hello();
    let host = Host::start(&site);
    let token =
        String::from_utf8(std::fs::read(site.app().join("demo-token.txt")).expect("it is there")).expect("ASCII");
    let token = token.trim();
    let ask = |fields: &str| host.client().send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).response();
    let claimed = ask("X-MS-CLIENT-PRINCIPAL-NAME: admin\r\nX-MS-CLIENT-PRINCIPAL: e30=\r\n");
    assert_eq!(claimed.status(), 200);
    assert!(!claimed.text().to_lowercase().contains("x-ms-client-principal"), "{}", claimed.text());
    let proven = ask(&format!("X-MS-CLIENT-PRINCIPAL-NAME: admin\r\nAuthorization: Bearer {token}\r\n"));
    assert_eq!(proven.status(), 200, "{}", proven.text());
    let text = proven.text().to_lowercase();
    assert!(text.contains("x-ms-client-principal-id: ada"), "{text}");
    assert!(!text.contains("admin"), "{text}");
    let mut forged = token.to_owned();
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let refused = ask(&format!("Authorization: Bearer {forged}\r\n"));
    assert_eq!(refused.status(), 401);
    assert!(refused.value("www-authenticate").is_some_and(|v| v.starts_with("Bearer")), "{:?}", refused.head);
    let log = host.log();
    assert!(!log.contains(token) && !log.contains(&forged), "the log holds a credential");
    host.stop(&site);
}

/// The real ASP.NET Core application, if this machine can run it.
pub(crate) fn kestrel() -> Site {
    let site = example("aspnetcore");
    let program = site.app().join("node_modules/@azure/mcp-linux-x64/dist/azmcp");
    assert!(program.exists(), "run examples/aspnetcore/setup.sh first (tests/run.sh does)");
    site
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"e2e","version":"1"}}}"#;

pub(crate) fn initialize(client: &mut Client, target: &str) {
    let length = INITIALIZE.len();
    client.send(format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {length}\r\n\r\n{INITIALIZE}"
    ));
}

#[test]
fn a_real_aspnetcore_app_is_paired_streams_and_stops_gracefully() {
    let site = kestrel();
    let host = Host::start(&site);
    let mut client = host.client();
    initialize(&mut client, "/");
    let answer = client.response();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(
        answer.value("content-type").map(|v| v.split(';').next().unwrap_or_default()),
        Some("text/event-stream")
    );
    assert!(answer.text().contains("data: {") && answer.text().contains("serverInfo"), "{}", answer.text());
    // Straight to its port, without the token: the IIS middleware refuses.
    let addr = ([127, 0, 0, 1], port_of(&host)).into();
    let mut direct = Client::connect(addr, gatelodge_e2e::client::Transcript::default());
    initialize(&mut direct, "/");
    let direct = direct.response();
    assert_eq!(direct.status(), 400);
    let token = token_of(&host);
    assert!(token.len() >= 32);
    assert!(!host.log().contains(&token), "the host's log holds the token");
    assert!(!answer.text().contains(&token) && !direct.text().contains(&token));
    host.stop(&site);
    let log = logs(&site);
    assert!(log.contains("Application is shutting down"), "no graceful stop in its log: {log}");
    // This very application names the expected token in its own log when a request
    // comes without it; the host scrubs what it captures.
    assert!(!log.contains(&token), "the captured output holds the token");
}

#[test]
fn a_real_aspnetcore_app_does_not_survive_a_killed_host() {
    let site = kestrel();
    let host = Launch::new(&site).start();
    let mut client = host.client();
    initialize(&mut client, "/");
    assert_eq!(client.response().status(), 200);
    let family: Vec<tree::Process> = host.descendants();
    assert!(!family.is_empty());
    host.signal(Signal::KILL);
    for process in family {
        process.wait_gone(Duration::from_secs(1));
    }
    drop(host);
}
