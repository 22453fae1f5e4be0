//! What is counted is told: when asked, and at a stop.

use crate::{site, web};
use gatelodge_e2e::{Host, Launch, Signal, Site};

/// The value of a counter in a line of the log.
fn value(line: &str, name: &str) -> u64 {
    let text = line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{name} is not in {line}"))
}

#[test]
fn counters_are_told_when_asked_and_at_the_stop() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    host.signal(Signal::USR1);
    let line = host.wait_line(" counters: ");
    for (name, expected) in
        [("host_requests_total", 1), ("host_backend_connects_total", 1), ("host_log_lines_dropped_total", 0)]
    {
        assert_eq!(value(&line, name), expected, "{name}");
    }
    assert_eq!(host.client().get("/").status(), 200);
    let ended = host.stop(&site);
    let last = ended.log.lines().rfind(|line| line.contains(" counters: ")).expect("a line at the stop");
    assert_eq!(value(last, "host_requests_total"), 2);
    assert_eq!(value(last, "host_connections_accepted_total"), value(last, "host_connections_closed_total"));
}

#[test]
fn a_connection_beyond_the_limit_is_closed_at_once_and_counted() {
    let site = Site::new(web());
    site.plugins("[host]\nworkers = 1\n[host.limits]\nconnections_max = 1\n");
    let host = Launch::new(&site).start();
    let mut kept = host.client();
    assert_eq!(kept.get("/").status(), 200);
    let beyond = std::net::TcpStream::connect(host.addr()).expect("the system accepts it");
    beyond.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("a time above zero");
    let read = std::io::Read::read(&mut &beyond, &mut [0; 1]);
    assert!(matches!(read, Ok(0)) || read.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock));
    assert_eq!(kept.get("/").status(), 200, "the one within the limit is served on");
    drop(kept);
    let ended = host.stop(&site);
    let last = ended.log.lines().rfind(|line| line.contains(" counters: ")).expect("a line at the stop");
    assert_eq!(value(last, "host_connections_over_budget_total"), 1);
}
