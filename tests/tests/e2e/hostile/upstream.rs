//! Calls to where a plugin has no business, and upstreams that mean harm themselves.

use super::act::{ISOLATIONS, Stage};
use crate::site;
use gatelodge_e2e::Response;
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_guests::component;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Longest wait that one other request may see beside hooks that wait.
const BESIDE_MAX: Duration = Duration::from_millis(700);

/// Somebody on this machine who listens.
struct Peer(TcpListener);

impl Peer {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener takes the option");
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }

    /// The next connection, once its request's head is there.
    fn asked(&self) -> TcpStream {
        let (mut stream, _) = until(SOON, "a connection", || self.0.accept().ok());
        stream.set_nonblocking(false).expect("a stream takes the option");
        stream.set_read_timeout(Some(SOON)).expect("a stream takes the option");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.extend(byte);
        }
        stream
    }

    /// Nobody has connected.
    fn assert_unseen(&self) {
        assert!(self.0.accept().is_err(), "somebody came");
    }
}

/// A stage whose plugin calls this upstream, in both isolation modes.
fn calling(url: &str, more: &str) -> Stage {
    let site = site();
    site.file("plugins/needs-http.wasm", component("needs-http"));
    let entries = ISOLATIONS.map(|isolation| {
        format!(
            "[[plugin]]\nname = \"caller-{isolation}\"\nmodule = \"plugins/needs-http.wasm\"\nwall_ms_max = 600\n\
             match = {{ path = [\"*-{isolation}\"] }}\nisolation = \"{isolation}\"\n\
             [plugin.grants]\nlog = true\nhttp = [\"thing\"]\n"
        )
    });
    Stage::set(site, &format!("[upstreams.thing]\nurl = \"{url}\"\n{more}\n{}", entries.concat()))
}

fn ask(stage: &Stage, isolation: &str) -> Response {
    stage.host.client().get(&format!("/act-{isolation}"))
}

/// Calls of this caller that failed for this reason.
fn failures(isolation: &str, reason: &str) -> String {
    let labels = format!("{{plugin=\"caller-{isolation}\",upstream=\"thing\",reason=\"{reason}\"}}");
    format!("gatelodge_wasm_http_failures_total{labels}")
}

/// The call is denied, nobody is connected to, and the plugin goes on.
fn denied(url: impl Fn(u16) -> String) {
    let peer = Peer::new();
    let stage = calling(&url(peer.port()), "");
    for isolation in ISOLATIONS {
        stage.beside(|| {
            for _ in 0..3 {
                let answer = ask(&stage, isolation);
                assert_eq!(answer.status(), 200);
                assert!(answer.text().contains("Denied"), "{}", answer.text());
            }
        });
        stage.counts(&failures(isolation, "denied"), 3);
        stage.no_faults(&format!("caller-{isolation}"));
        let told = || stage.host.lines_with(&format!("caller-{isolation}")).into_iter().find(|l| l.contains("private"));
        let line = until(SOON, "the denial, with the line that would allow it", told);
        assert!(line.contains("thing"), "{line}");
    }
    peer.assert_unseen();
    stage.host.stop(&stage.site);
}

#[test]
fn call_to_loopback() {
    denied(|port| format!("http://127.0.0.1:{port}"));
}

#[test]
fn call_to_loopback_in_ipv6() {
    denied(|port| format!("http://[::ffff:127.0.0.1]:{port}"));
}

#[test]
fn call_to_a_name_of_loopback() {
    denied(|port| format!("http://localhost:{port}"));
}

#[test]
fn call_to_any_address() {
    denied(|port| format!("http://0.0.0.0:{port}"));
}

#[test]
fn call_to_the_cloud_s_metadata() {
    denied(|_| "http://169.254.169.254".to_owned());
}

#[test]
fn call_to_a_private_network() {
    denied(|_| "http://10.0.0.1".to_owned());
}

#[test]
fn redirect_to_loopback() {
    let (peer, target) = (Peer::new(), Peer::new());
    let stage = calling(&format!("http://127.0.0.1:{}", peer.port()), "private = true");
    for isolation in ISOLATIONS {
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            target.port()
        );
        stage.beside(|| {
            let mut client = stage.host.client();
            client.send(format!("GET /act-{isolation} HTTP/1.1\r\nHost: a\r\n\r\n"));
            peer.asked().write_all(head.as_bytes()).expect("the host reads");
            assert_eq!(client.response().text(), "Ok(302)\n", "an answer like any other");
        });
        let calls = "gatelodge_wasm_http_calls_total";
        stage.counts(&format!("{calls}{{plugin=\"caller-{isolation}\",upstream=\"thing\"}}"), 1);
        stage.no_faults(&format!("caller-{isolation}"));
    }
    target.assert_unseen();
    stage.host.stop(&stage.site);
}

#[test]
fn upstream_that_never_answers() {
    let peer = Peer::new();
    let stage = calling(&format!("http://127.0.0.1:{}", peer.port()), "private = true");
    for isolation in ISOLATIONS {
        let times = stage.beside(|| {
            let mut client = stage.host.client();
            client.send(format!("GET /act-{isolation} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let held = peer.asked();
            let answer = client.response();
            assert_eq!(answer.status(), 500, "{}", answer.text());
            drop(held);
        });
        assert!(times.p99 < BESIDE_MAX, "one who waits holds up nobody: {times:?}");
        stage.faults(&format!("caller-{isolation}"), "request-head", "deadline", 1);
    }
    stage.host.stop(&stage.site);
}

#[test]
fn client_that_leaves_while_a_call_waits() {
    let peer = Peer::new();
    let stage = calling(&format!("http://127.0.0.1:{}", peer.port()), "private = true");
    for isolation in ISOLATIONS {
        stage.beside(|| {
            for _ in 0..5 {
                let mut client = stage.host.client();
                client.send(format!("GET /act-{isolation} HTTP/1.1\r\nHost: a\r\n\r\n"));
                let mut held = peer.asked();
                drop(client);
                assert_eq!(held.read(&mut [0]).expect("an end"), 0, "the call ends with its request");
            }
        });
        stage.counts(&failures(isolation, "left"), 5);
        // Leaving is nobody's fault.
        stage.no_faults(&format!("caller-{isolation}"));
    }
    stage.host.stop(&stage.site);
}
