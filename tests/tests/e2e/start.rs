//! Starts that fail: what the client, the log and the operator get, and that
//! nothing is left behind.

use crate::{PROBE, web};
use gatelodge_e2e::{Host, Launch, Response, Site, Web, wait};
use std::time::{Duration, Instant};

fn get_as(host: &Host, accept: &str) -> Response {
    let head = format!("GET / HTTP/1.1\r\nHost: test\r\nAccept: {accept}\r\n\r\n");
    host.client().send(head).response()
}

/// Asserts the 502.5 page with these words, and that the log has a line too.
fn fails(web: Web, words: &[&str]) -> (Site, Host) {
    let site = Site::new(web);
    let host = Host::start(&site);
    let page = get_as(&host, "text/html");
    assert_eq!(page.status(), 502, "{}", page.text());
    assert!(page.value("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{:?}", page.head);
    for word in words.iter().chain(&["502.5"]) {
        assert!(page.text().contains(word), "{word} is not in {}", page.text());
    }
    (site, host)
}

#[test]
fn a_missing_program_is_named() {
    let (site, host) = fails(Web::asp(r".\no\such\program"), &["no-program", "program"]);
    let _line = host.wait_line("no-program");
    host.stop(&site);
}

/// L29: two attempts with different ports, and the page says what the program said.
#[test]
fn an_exit_is_told_with_code_command_and_last_output() {
    let (site, host) =
        fails(web().set("arguments", "exit 3 boom went the app"), &["boom went the app", "exit code 3", PROBE]);
    let starts = site.probe().starts();
    assert_eq!(starts.len(), 2, "two attempts are made");
    assert_ne!(starts[0].port, starts[1].port);
    assert_ne!(starts[0].token, starts[1].token);
    for (attempt, start) in (1..).zip(&starts) {
        let line = host.wait_line(&format!("attempt={attempt} "));
        for part in ["backend-attempt-failed", "boom went the app", "exit code 3", PROBE, &start.port.to_string()] {
            assert!(line.contains(part), "{part} is not in: {line}");
        }
    }
    host.stop(&site);
}

#[test]
fn the_page_comes_as_json_for_whoever_prefers_it() {
    let site = Site::new(web().set("arguments", "exit 3 boom"));
    let host = Host::start(&site);
    let answer = get_as(&host, "application/json");
    assert_eq!(answer.status(), 502);
    let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON was asked for");
    assert_eq!((json["status"].as_u64(), json["sub_status"].as_u64()), (Some(502), Some(5)), "{json}");
    assert!(json.to_string().contains("boom") && json.to_string().contains("exit code 3"), "{json}");
    host.stop(&site);
}

/// L31: `disableStartUpErrorPage` leaves the status only.
#[test]
fn a_turned_off_page_is_an_empty_502() {
    let site = Site::new(web().set("arguments", "exit 3 boom").set("disableStartUpErrorPage", true));
    let host = Host::start(&site);
    let answer = get_as(&host, "text/html");
    assert_eq!((answer.status(), answer.text().as_str()), (502, ""));
    host.stop(&site);
}

#[test]
fn strangers_see_no_details_but_developers_do() {
    let Some(stranger) = own_address() else { return };
    for (environment, shown) in [("Production", false), ("Development", true)] {
        let site = Site::new(web().set("arguments", "exit 3 boom").env("ASPNETCORE_ENVIRONMENT", environment));
        let host = Launch::new(&site).listen("http://0.0.0.0:0").start();
        let mut client = host.client_at((stranger, host.addr().port()).into());
        let answer = client.get("/");
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.text().contains("boom"), shown, "{environment}: {}", answer.text());
        assert_eq!(answer.text().contains(PROBE), shown, "{environment}: {}", answer.text());
        host.stop(&site);
    }
}

/// An address of this machine that is not its loopback, if it has one.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only chooses the route (RFC 5737 address).
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

/// L30: one limit for both attempts, and both processes are gone.
#[test]
fn an_app_that_never_listens_is_given_up_at_the_limit() {
    let begin = Instant::now();
    let (site, host) = fails(web().set("arguments", "never").set("startupTimeLimit", 2), &["timed-out"]);
    let took = begin.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&took), "{took:?}");
    // The answer may be here before the system has buried the last of them.
    let gone = || host.descendants().is_empty().then_some(());
    wait::until(Duration::from_secs(1), "the process that was given up is gone", gone);
    host.stop(&site);
}

#[test]
fn an_app_that_listens_at_another_port_is_told_so() {
    let (site, host) = fails(web().set("arguments", "wrong-port").set("startupTimeLimit", 2), &["wrong-port"]);
    host.stop(&site);
}

/// L09: a port out of range starts nothing.
#[test]
fn a_port_out_of_range_is_refused_without_an_attempt() {
    for port in ["80", "48001", "abc"] {
        let site = Site::new(web().env("ASPNETCORE_PORT", port));
        // Refused at start, or at the first request: in no case is a process started.
        let ended = Launch::new(&site).check();
        if ended.code == Some(0) {
            let host = Host::start(&site);
            assert_eq!(host.client().get("/").status(), 502, "{port}");
        } else {
            assert_eq!(ended.code, Some(3), "{}", ended.log);
        }
        assert!(site.probe().starts().is_empty(), "{port}");
    }
}

/// L35: starts that fail are bounded, however many requests come.
#[test]
fn failing_starts_are_bounded_by_back_off() {
    let site = Site::new(web().set("arguments", "exit 1"));
    let host = Host::start(&site);
    let statuses: Vec<u16> = (0..20).map(|_| host.client().get("/").status()).collect();
    assert_eq!(statuses[0], 502);
    assert!(statuses.contains(&503), "no answer was held back: {statuses:?}");
    assert!(site.probe().starts().len() <= 10, "{} starts for 20 requests", site.probe().starts().len());
    let held_back = host.client().get("/");
    if held_back.status() == 503 {
        let seconds = held_back.value("retry-after").and_then(|v| v.parse::<u32>().ok());
        assert!(seconds.is_some_and(|s| s >= 1), "{:?}", held_back.head);
    }
    host.stop(&site);
}

/// L54: 100 MB of output stay out of memory.
#[test]
fn a_flood_of_output_stays_out_of_memory() {
    let site = Site::new(web().set("arguments", "flood 100000000"));
    let host = Host::start(&site);
    let before = host.memory_bytes("VmRSS");
    assert_eq!(host.client().get("/").status(), 502);
    let after = host.memory_bytes("VmRSS");
    assert!(after < before + (16 << 20), "{before} -> {after} bytes");
    host.stop(&site);
}

/// L52: folder, name and content of the file are those of the module.
#[test]
fn output_goes_to_a_file_where_web_config_says_so() {
    let site = Site::new(
        web().set("arguments", "lines 3").set("stdoutLogEnabled", true).set("stdoutLogFile", r".\logs\stdout"),
    );
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let pid = host.pid();
    host.stop(&site);
    let logs: Vec<_> = site.files().into_iter().filter(|(path, _)| path.starts_with(site.app().join("logs"))).collect();
    let [(path, bytes)] = logs.as_slice() else { panic!("one log file was expected: {logs:?}") };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.strip_prefix("stdout_").and_then(|rest| rest.strip_suffix(&format!("_{pid}.log")));
    assert!(digits.is_some_and(|d| d.len() == 14 && d.bytes().all(|b| b.is_ascii_digit())), "{name}");
    let text = String::from_utf8_lossy(bytes);
    assert!(text.contains("line 1\nline 2\nline 3\n") && text.contains("probe: stopped"), "{text}");
}

/// L53: the app starts without its log, and that is told.
#[test]
fn a_log_path_that_cannot_be_made_does_not_stop_the_app() {
    let site = Site::new(web().set("stdoutLogEnabled", true).set("stdoutLogFile", r".\taken\stdout"));
    site.file("taken", "a file where a folder should be");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let _line = host.wait_line("taken");
    host.stop(&site);
}

/// L28: a descendant may listen while the program waits for it.
#[test]
fn a_grandchild_may_be_the_one_that_listens() {
    let site = Site::new(web().set("arguments", "child"));
    let host = Host::start(&site);
    let answer = host.client().get("/who").text();
    assert!(answer.starts_with("start 2 "), "the child of the program answers: {answer}");
    let family = host.descendants();
    host.stop(&site);
    assert!(family.iter().all(|process| !process.lives()));
}

/// L27: somebody else's listener is not the app.
#[test]
fn a_foreign_listener_is_not_taken_for_the_app() {
    // The app never binds; somebody else already listens at the port it was told.
    let foreign = (20_000..48_000u16).find_map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok());
    let foreign = foreign.expect("a free port in the range");
    let port = foreign.local_addr().expect("it is bound").port();
    let site = Site::new(web().set("arguments", "never").set("startupTimeLimit", 2).env("ASPNETCORE_PORT", port));
    let host = Host::start(&site);
    let page = get_as(&host, "text/html");
    assert_eq!(page.status(), 502);
    foreign.set_nonblocking(true).expect("a listener takes the option");
    while let Ok((mut stream, _)) = foreign.accept() {
        use std::io::Read as _;
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a stream takes the option");
        let mut seen = Vec::new();
        let _ = stream.read_to_end(&mut seen);
        let seen = String::from_utf8_lossy(&seen).to_lowercase();
        assert!(!seen.contains("token"), "a stranger was given the token: {seen}");
    }
    host.stop(&site);
}
