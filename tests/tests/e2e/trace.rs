//! Tracing a request over real sockets: who is told, what, and who never sees that anybody asked.

use crate::site;
use gatelodge_e2e::{Host, Launch, Response, Site};
use gatelodge_guests::component;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A site with a key and these plugins.
fn with(guests: &[(&str, &str)]) -> Site {
    let site = site();
    site.file("secrets/trace", format!("{KEY}\n"));
    let mut text = "[host]\ntrace_key = \"tracing\"\n[secrets.tracing]\nfile = \"secrets/trace\"\n".to_owned();
    for (guest, more) in guests {
        site.file(&format!("plugins/{guest}.wasm"), component(guest));
        text.push_str(&format!(
            "[[plugin]]\nname = \"{guest}\"\nmodule = \"plugins/{guest}.wasm\"\n{more}\n[plugin.grants]\nlog = true\n"
        ));
    }
    site.plugins(&text);
    site
}

fn ask(host: &Host, target: &str, fields: &str) -> Response {
    host.client().send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).response()
}

fn asked(key: &str) -> String {
    format!("Gatelodge-Trace: {key}\r\n")
}

/// Names and descriptions of the metrics; each has its time in milliseconds.
fn metrics(timing: &str) -> Vec<String> {
    let metric = |text: &str| {
        let mut parts = text.split(';');
        let name = parts.next().expect("a name");
        let took = parts.next().and_then(|part| part.strip_prefix("dur=")).expect("a time");
        assert!(took.parse::<f64>().is_ok_and(|took| took >= 0.0) && took.contains('.'), "{text}");
        parts.next().map_or_else(|| name.to_owned(), |what| format!("{name} {what}"))
    };
    timing.split(", ").map(metric).collect()
}

#[test]
fn who_has_the_key_is_told_what_became_of_the_request() {
    let site = with(&[("two-in-one-set", ""), ("order", ""), ("body-upper", "")]);
    let host = Host::start(&site);
    let reply = ask(&host, "/traced?q=1", &asked(KEY));
    assert_eq!((reply.status(), reply.text().as_str()), (200, "OK"));
    let told = metrics(reply.value("server-timing").expect("a trace"));
    let wanted = [
        "total",
        "two-in-one-set.request-head desc=\"edit\"",
        "order.request-head desc=\"edit\"",
        "body-upper.request-head desc=\"stream\"",
        "wake",
        "backend",
        "body-upper.response-head desc=\"stream\"",
        "body-upper.response-body desc=\"open\"",
        "order.response-head desc=\"edit\"",
    ];
    assert_eq!(told, wanted);
    assert_eq!(reply.value("cache-control"), Some("no-store"));
    // The line has the whole story, the hooks of bodies too.
    let line = host.wait_line("request-traced");
    assert!(
        line.contains("path=/traced ") && line.contains("status=200") && line.contains("ending=complete"),
        "{line}"
    );
    assert!(line.contains("body-upper.response-body;dur="), "{line}");
    assert!(line.contains("open replace pass close"), "{line}");
    assert!(!line.contains("q=1"), "a query may hold secrets: {line}");
    // Nobody else has seen the key: not the backend, no log, no reply.
    for text in [site.probe().everything(), host.log(), format!("{:?}", reply.head)] {
        assert!(!text.contains(KEY) && !text.to_lowercase().contains("gatelodge-trace"), "{text}");
    }
    host.stop(&site);
}

#[test]
fn whoever_has_no_key_is_told_nothing() {
    let site = with(&[("order", "")]);
    let host = Host::start(&site);
    let wrong = KEY.replace('f', "F");
    for (case, fields) in [
        ("none", String::new()),
        ("wrong", asked(&wrong)),
        ("short", asked(&KEY[1..])),
        ("long", asked(&format!("{KEY}0"))),
        ("empty", asked("")),
        ("of another name", format!("Gatelodge_Trace: {KEY}\r\n")),
        ("a lie first", asked(&wrong) + &asked(KEY)),
    ] {
        let reply = ask(&host, &format!("/{}", case.replace(' ', "-")), &fields);
        assert_eq!(reply.status(), 200, "{case}");
        assert_eq!((reply.value("server-timing"), reply.value("cache-control")), (None, None), "{case}");
    }
    assert!(!site.probe().everything().to_lowercase().contains("trace"), "it goes no further, whatever it says");
    assert_eq!(host.lines_with("request-traced").len(), 0);
    // One connection: the trace is of one request, and nothing of it is kept for the next.
    let mut client = host.client();
    client.send(format!("GET /a HTTP/1.1\r\nHost: a\r\n{}\r\n", asked(KEY)));
    assert!(client.response().value("server-timing").is_some());
    assert!(client.get("/b").value("server-timing").is_none());
    host.stop(&site);
}

#[test]
fn faults_and_answers_are_told_too() {
    let answer = "config = { on = \"request\", status = 403, path = \"/no\" }";
    let site = with(&[("trap", "on_fault = \"refuse\""), ("answer", answer)]);
    let host = Host::start(&site);
    for (target, fields, status, told) in [
        ("/", "X-Do: request\r\n", 500, &["total", "trap.request-head desc=\"fault:trap\""][..]),
        ("/no", "", 403, &["total", "trap.request-head desc=\"pass\"", "answer.request-head desc=\"answer\""]),
    ] {
        let reply = ask(&host, target, &format!("{fields}{}", asked(KEY)));
        assert_eq!(reply.status(), status, "{}", reply.text());
        let all = metrics(reply.value("server-timing").expect("a trace"));
        assert_eq!(all.iter().take(told.len()).collect::<Vec<_>>(), told.iter().collect::<Vec<_>>(), "{all:?}");
        assert!(!all.iter().any(|metric| metric == "backend"), "it was not asked: {all:?}");
        assert_eq!(reply.value("cache-control"), Some("no-store"));
    }
    host.stop(&site);
}

#[test]
fn a_key_that_no_request_could_carry_is_refused_with_its_line() {
    let site = with(&[]);
    for (bytes, why) in [("short", "it has 5 bytes; a key has 16 to 1024"), ("0123456789 abcdef", "visible ASCII")] {
        site.file("secrets/trace", bytes);
        let ended = Launch::new(&site).refused();
        assert_eq!(ended.code, Some(3), "{}", ended.log);
        assert!(ended.log.contains("plugins.toml:2:13") && ended.log.contains(why), "{}", ended.log);
        assert!(!ended.log.contains(bytes) || bytes == "short", "{}", ended.log);
    }
}
