//! Guests that behave.

use crate::harness::{Line, guest, guest_with, house, lines, request, response_lines, told};
use gatelodge_plugin::{Isolation, Level, MetricValue, PluginSettings};
use http::HeaderValue;
use std::time::{Duration, Instant};
use wire::exchange::{Credential, Source};
use wire::ports::{Ending, Plugins as _, Step, Summary};

fn configured(name: &str, json: &str) -> PluginSettings {
    guest_with(name, |settings| settings.config_json = json.to_owned())
}

#[test]
fn pass() {
    let house = house(vec![guest("pass")]);
    assert!(house.plane.any() && !house.plane.wants_completion());
    let (exchange, step) = house.way_in(request("/", &[("a", "1")]));
    assert_eq!(told(&step), "continue");
    assert_eq!(exchange.shared.ran, 1);
    assert_eq!(exchange.request.headers.len(), 1);
    let (_, step) = house.way_out(exchange);
    assert_eq!(told(&step), "continue");
}

#[test]
fn two_in_one_set() {
    let house = house(vec![guest("two-in-one-set")]);
    for (fields, expected) in [
        (&[("user-agent", "x"), ("accept", "y")][..], "both"),
        (&[("user-agent", "x")], "one"),
        (&[("x-seen", "forged")], "none"),
    ] {
        let (exchange, step) = house.way_in(request("/", fields));
        assert_eq!(told(&step), "continue");
        assert_eq!(lines(&exchange, "x-seen"), [expected]);
    }
}

#[test]
fn edits() {
    let json = r#"{"apply":["set x-applied=1"],
        "request":["slot 1=s","append x-a=1","append x-a=2","lines x-l=1|2","remove gone","target /new%20x?q=1",
                   "method PUT","authority other.example"],
        "response":["status 203","set x-back=1"]}"#;
    let house = house(vec![configured("edits", json)]);
    let (exchange, step) = house.round(request("/old", &[("gone", "1")]), 200);
    assert_eq!(told(&step), "continue");
    for (name, expected) in
        [("x-applied", &["1"][..]), ("x-slot-1", &["s"]), ("x-a", &["1", "2"]), ("x-l", &["1", "2"]), ("gone", &[])]
    {
        assert_eq!(lines(&exchange, name), expected, "{name}");
    }
    assert_eq!((exchange.request.target.as_str(), exchange.request.path()), ("/new%20x?q=1", "/new x"));
    assert_eq!(
        (exchange.request.method.as_str(), exchange.request.authority.as_bytes()),
        ("PUT", &b"other.example"[..])
    );
    assert_eq!(exchange.response.as_ref().map(|head| head.status.as_u16()), Some(203));
    assert_eq!(response_lines(&exchange, "x-back"), ["1"]);
}

#[test]
fn answer() {
    let early = r#"{"on":"request","status":451,"body":"no","headers":["x-a=1"],"path":"/no","reason":"be\ncause"}"#;
    let late = r#"{"on":"response","status":502,"body":"late","path":"/late"}"#;
    let named = |name: &str, json: &str| {
        let mut settings = configured("answer", json);
        settings.name = name.to_owned();
        settings
    };
    let order = |name: &str| {
        let mut settings = configured("order", &format!(r#"{{"name":"{name}"}}"#));
        settings.name = name.to_owned();
        settings
    };
    let house = house(vec![order("outer"), named("early", early), named("late", late), order("inner")]);

    let (mut exchange, step) = house.way_in(request("/no", &[]));
    assert_eq!(told(&step), "answer 451 by early: no");
    let Step::Answer(answer) = step else { panic!("no answer") };
    assert_eq!(answer.headers["x-a"], "1");
    assert_eq!(answer.reason.as_deref(), Some("be\\ncause"));
    assert_eq!(lines(&exchange, "x-order"), ["outer"], "later plugins do not run");
    // As the pipeline does it: those that ran see the answer, the others do not.
    let mut head = wire::ResponseHead::new(answer.status);
    head.headers = answer.headers;
    exchange.response = Some(head);
    exchange.source = Source::Plugin(answer.plugin);
    let (exchange, step) = house.way_out(exchange);
    assert_eq!(told(&step), "continue");
    assert_eq!(response_lines(&exchange, "x-order"), ["outer"]);

    let (exchange, step) = house.round(request("/late", &[]), 200);
    assert_eq!(told(&step), "answer 502 by late: late");
    let Step::Answer(answer) = step else { panic!("no answer") };
    assert_eq!(answer.headers.get_all("x-order").iter().collect::<Vec<_>>(), ["outer"], "outer ones see the answer");
    assert_eq!(exchange.source, Source::Plugin("late".into()));
}

#[test]
fn order() {
    let plugins = ["a", "b", "c"].map(|name| {
        let mut settings = configured("order", &format!(r#"{{"name":"{name}"}}"#));
        settings.name = name.to_owned();
        if name == "b" {
            settings.matches.paths = vec!["/b/*".to_owned()];
        }
        settings
    });
    let house = house(plugins.into());
    for (path, way_in, way_out) in
        [("/b/x", &["a", "b", "c"][..], &["c", "b", "a"][..]), ("/other", &["a", "c"], &["c", "a"])]
    {
        let (exchange, step) = house.round(request(path, &[]), 200);
        assert_eq!(told(&step), "continue");
        assert_eq!(lines(&exchange, "x-order"), way_in);
        assert_eq!(response_lines(&exchange, "x-order"), way_out);
    }
    // A response without a request that they saw.
    let mut exchange = request("/", &[]);
    exchange.response = Some(wire::ResponseHead::new(http::StatusCode::OK));
    let (exchange, _) = house.way_out(exchange);
    assert_eq!(response_lines(&exchange, "x-order"), [""; 0]);
}

#[test]
fn note() {
    let later = configured("views", r#"{"request":["attribute:stage"],"response":["note"]}"#);
    for isolation in [Isolation::Instance, Isolation::Request] {
        let mut noter = configured("note", r#"{"attribute":"other"}"#);
        noter.isolation = isolation;
        let house = house(vec![noter, later.clone()]);
        let (exchange, step) = house.round(request("/mine", &[]), 200);
        assert_eq!(told(&step), "continue");
        let note = response_lines(&exchange, "x-note");
        assert!(note.len() == 1 && note[0].starts_with("/mine Err(") && note[0].contains("enied"), "{note:?}");
        assert_eq!(lines(&exchange, "x-view-0"), ["noted"], "attributes are shared");
        assert_eq!(response_lines(&exchange, "x-view-0"), ["(none)"], "notes are private");
    }
}

#[test]
fn views() {
    let json = r#"{"request":["method","path","query","header:accept","cookie:sid","client-ip","header:none"],
        "read":["header:accept","header:ms-aspnetcore-token","named:x","status"],"lines":["accept","none"],
        "response":["status","response-header:vary","response-source","header:accept"]}"#;
    let house = house(vec![configured("views", json)]);
    let mut exchange =
        request("/caf%C3%A9?a=1", &[("accept", "x"), ("accept", "y"), ("cookie", "a=b; sid=7"), ("connection", "x")]);
    exchange.request.headers.insert("ms-aspnetcore-token", HeaderValue::from_static("secret"));
    let (exchange, step) = house.round(exchange, 404);
    assert_eq!(told(&step), "continue");
    for (at, expected) in ["GET", "/café", "a=1", "x, y", "7", "203.0.113.7", "(none)"].iter().enumerate() {
        assert_eq!(lines(&exchange, &format!("x-view-{at}")), [*expected], "selector {at}");
    }
    assert_eq!(lines(&exchange, "x-read-0"), ["x, y"]);
    assert!(lines(&exchange, "x-read-1")[0].contains("enied"));
    assert!(lines(&exchange, "x-read-2")[0].contains("nvalid") && lines(&exchange, "x-read-3")[0].contains("nvalid"));
    assert_eq!(lines(&exchange, "x-lines-0"), ["x|y"]);
    assert_eq!(lines(&exchange, "x-lines-1"), [""]);
    for (at, expected) in ["404", "(none)", "upstream", "x, y"].iter().enumerate() {
        assert_eq!(response_lines(&exchange, &format!("x-view-{at}")), [*expected], "selector {at}");
    }
}

#[test]
fn identity_setter_and_claim_reader() {
    let proved = r#"{"subject":"alice","claims":"{\"role\":[\"a\",\"b\"]}","bearer":"inner"}"#;
    let none = "(none)";
    for (json, subject, role, principal) in
        [(proved, "alice", "[\"a\",\"b\"]", "alice test test 0 {\"role\":[\"a\",\"b\"]}"), ("{}", none, none, none)]
    {
        let house = house(vec![configured("identity-setter", json), guest("claim-reader")]);
        let (exchange, step) = house.way_in(request("/", &[]));
        assert_eq!(told(&step), "continue");
        assert_eq!(lines(&exchange, "x-subject"), [subject]);
        assert_eq!(lines(&exchange, "x-role"), [role]);
        assert_eq!(lines(&exchange, "x-principal"), [principal]);
    }
}

#[test]
fn identity_setter_and_credentials() {
    let kind = |credential: &Credential| match credential {
        Credential::Original => "original".to_owned(),
        Credential::None => "none".to_owned(),
        Credential::Field(name, value) => {
            assert!(value.is_sensitive());
            format!("{name}: {}", value.to_str().expect("text"))
        }
    };
    for (json, expected) in [
        ("{}", "original"),
        (r#"{"none":true}"#, "none"),
        (r#"{"bearer":"inner"}"#, "authorization: Bearer inner"),
        (r#"{"user":"Aladdin","password":"open sesame"}"#, "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    ] {
        let house = house(vec![configured("identity-setter", json)]);
        let (exchange, step) = house.way_in(request("/", &[("authorization", "Bearer outer")]));
        assert_eq!(told(&step), "continue");
        assert_eq!(kind(&exchange.shared.credential), expected);
    }
    for json in
        [r#"{"bearer":"a\r\nb"}"#, r#"{"user":"a:b"}"#, r#"{"subject":"x","claims":"[1]"}"#, r#"{"subject":"a\nb"}"#]
    {
        let house = house(vec![configured("identity-setter", json)]);
        let (exchange, step) = house.way_in(request("/", &[]));
        let Step::Answer(answer) = &step else { panic!("{json}: {}", told(&step)) };
        assert!(answer.reason.as_deref().is_some_and(|reason| reason.contains("nvalid")), "{json}");
        assert_eq!(kind(&exchange.shared.credential), "original");
        assert!(exchange.shared.principal.is_none());
    }
}

#[test]
fn counts() {
    let house = house(vec![guest("counts")]);
    for expected in ["1", "3", "5"] {
        let (exchange, _) = house.round(request("/", &[]), 200);
        assert_eq!(lines(&exchange, "x-calls"), [expected], "one pooled instance serves all");
    }
    let snapshot = house.metrics.snapshot();
    let of = |name: &str| snapshot.iter().find(|metric| metric.name == name).expect(name).series.clone();
    assert_eq!(of("calls_total"), [(Vec::new(), MetricValue::Counter(6))]);
    let by_phase = [("in", 6), ("out", 6)].map(|(phase, n)| (vec![phase.to_owned()], MetricValue::Counter(n)));
    assert_eq!(of("phase_total"), by_phase);
    assert_eq!(of("last"), [(Vec::new(), MetricValue::Gauge(6.0))]);
    assert_eq!(of("sizes"), [(Vec::new(), MetricValue::Histogram { buckets: vec![1, 5, 0], sum: 21.0 })]);
}

#[test]
fn counts_with_fresh_memory_for_each_request() {
    let house = house(vec![guest_with("counts", |settings| settings.isolation = Isolation::Request)]);
    for _ in 0..3 {
        let (exchange, _) = house.round(request("/", &[]), 200);
        assert_eq!(lines(&exchange, "x-calls"), ["1"], "nothing of an earlier request");
        assert_eq!(response_lines(&exchange, "x-calls"), ["2"], "the same instance on the way out");
    }
}

#[test]
fn counts_with_more_exchanges_than_held_instances() {
    let house = house(vec![guest_with("counts", |settings| {
        settings.isolation = Isolation::Request;
        settings.instances_max = 2;
    })]);
    let exchanges: Vec<_> = (0..3).map(|_| house.way_in(request("/", &[])).0).collect();
    let calls: Vec<_> = exchanges
        .into_iter()
        .map(|mut exchange| {
            exchange.response = Some(wire::ResponseHead::new(http::StatusCode::OK));
            response_lines(&house.way_out(exchange).0, "x-calls")
        })
        .collect();
    assert_eq!(calls, [["1"], ["2"], ["2"]], "the oldest one's instance was dropped");
}

#[test]
fn counts_are_recycled() {
    let house = house(vec![guest_with("counts", |settings| settings.recycle_requests = 2)]);
    let calls: Vec<_> = (0..5).map(|_| lines(&house.way_in(request("/", &[])).0, "x-calls")).collect();
    assert_eq!(calls, [["1"], ["2"], ["1"], ["2"], ["1"]]);
}

#[test]
fn manifests_say_what_is_asked_for() {
    let manifest = gatelodge_plugin::Manifest::read(gatelodge_guests::component("counts")).expect("readable");
    let asked = gatelodge_plugin::Grants::asked_by(&manifest.expect("a manifest"));
    assert_eq!((asked.log, asked.metrics, asked.identity, asked.written), (true, true, false, false));
}

#[test]
fn talks() {
    let house = house(vec![guest("talks")]);
    for what in ["escapes", "long", "fields"] {
        let (_, step) = house.way_in(request("/", &[("x-say", what)]));
        assert_eq!(told(&step), "continue");
    }
    let heard = house.ears.lines.lock().expect("no test panics with it").clone();
    let [escapes, long, many] = &heard[..] else { panic!("{} lines", heard.len()) };
    let expected = Line {
        plugin: "talks".to_owned(),
        level: Level::Warn,
        message: "a\\u{1b}[31mb\\r\\nforged".to_owned(),
        fields: vec![("ke\\ny".to_owned(), "va\\u{0}lue".to_owned())],
    };
    assert_eq!(*escapes, expected);
    assert_eq!(long.message.len(), 8 * 1024 + "…".len());
    assert_eq!(many.fields.len(), 32);
}

#[test]
fn log_flood() {
    let house = house(vec![configured("log-flood", r#"{"lines":5000,"bytes":6}"#)]);
    let (_, step) = house.way_in(request("/", &[]));
    assert_eq!(told(&step), "continue");
    // The plugin says no more, and its drops are told all the same.
    let until = Instant::now() + Duration::from_secs(10);
    while house.lines().len() < 1_001 {
        assert!(Instant::now() < until, "{} lines", house.lines().len());
        std::thread::yield_now();
    }
    let lines = house.lines();
    assert_eq!(
        (lines.len(), lines[1_000].as_str()),
        (1_001, "4000 log lines were dropped: more than 1000 in a second")
    );
}

fn summary() -> Summary {
    Summary {
        status: Some(http::StatusCode::NOT_FOUND),
        ending: Ending::BackendGone,
        duration: Duration::from_micros(1_500),
        first_byte: Some(Duration::from_millis(1)),
        bytes_in: 7,
        bytes_out: 1 << 40,
        upstream: Some("127.0.0.1:5000".parse().expect("an address")),
        detail: Some("reset".into()),
    }
}

#[test]
fn completion_log() {
    let house = house(vec![guest("pass"), guest("completion-log")]);
    assert!(house.plane.wants_completion());
    let (exchange, _) = house.round(request("/", &[]), 404);
    assert_eq!(exchange.shared.ran, 3);
    house.plane.complete(exchange, &summary());
    crate::harness::let_others_run();
    let heard = house.ears.lines.lock().expect("no test panics with it").clone();
    assert_eq!(heard.len(), 1);
    let field = |name: &str| heard[0].fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    assert_eq!(field("method").as_deref(), Some("GET"));
    assert_eq!(field("source").as_deref(), Some("upstream"));
    assert_eq!(field("status").as_deref(), Some("Some(404)"));
    assert_eq!(field("bytes_out").as_deref(), Some("1099511627776"));
    assert!(field("ending").is_some_and(|ending| ending.contains("UpstreamGone")));
    // An exchange that it did not see.
    house.plane.complete(request("/", &[]), &summary());
    crate::harness::let_others_run();
    assert_eq!(house.lines().len(), 1);
}

#[test]
fn a_response_is_kept_for_who_reads_its_fields() {
    for (name, json, reads) in [
        ("completion-log", "{}", false),
        ("completion-log", r#"{"field":"vary"}"#, true),
        // By host calls, which nobody declares.
        ("shows", r#"{"completion":["method"]}"#, true),
    ] {
        let house = house(vec![guest("pass"), configured(name, json)]);
        assert!(house.plane.wants_completion());
        assert_eq!(house.plane.completion_reads_response(), reads, "{name} {json}");
    }
    assert!(!house(vec![guest("views")]).plane.completion_reads_response());
}

#[test]
fn shows() {
    let json = r#"{"request":["header:authorization"],"response":["status"],
        "completion":["method","status","response-header:vary","header:x-gone","response-source"]}"#;
    let house = house(vec![configured("shows", json)]);
    let mut exchange = request("/", &[("authorization", "Bearer t"), ("a", "1")]);
    exchange.request.headers.insert("ms-aspnetcore-token", HeaderValue::from_static("secret"));
    let (mut exchange, step) = house.round(exchange, 200);
    assert_eq!(told(&step), "continue");
    if let Some(head) = &mut exchange.response {
        head.headers.insert("vary", HeaderValue::from_static("a"));
    }
    house.plane.complete(exchange, &summary());
    crate::harness::let_others_run();
    assert_eq!(house.ears.faults.lock().expect("no test panics with it").len(), 0);
    let lines = house.lines();
    assert_eq!(lines.first().map(String::as_str), Some("request: Bearer t"));
    assert!(lines.contains(&"fields: authorization=Bearer t | a=1".to_owned()), "{lines:?}");
    assert!(lines.contains(&"completion: GET | 200 | a | - | upstream".to_owned()), "{lines:?}");
    let last = lines.last().expect("a line");
    assert!(last.contains("1500") && last.contains("127.0.0.1:5000") && last.contains("reset"), "{last}");
    assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:?}");
}
