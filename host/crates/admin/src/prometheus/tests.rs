use super::{Kind, Metric, Writer, render};
use std::collections::{BTreeMap, BTreeSet};

/// Reads a page as strictly as Prometheus does; the samples by name and labels.
fn parse(page: &str) -> BTreeMap<String, f64> {
    assert!(page.ends_with('\n'));
    let (mut samples, mut kinds, mut seen) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut current = String::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(seen.insert(name.to_owned()), "{name} twice");
            assert!(!text.is_empty());
            current = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, current);
            assert!(["counter", "gauge"].contains(&kind));
            kinds.insert(name.to_owned(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert_eq!(name, current, "a sample outside its family");
            assert_eq!(name.ends_with("_total"), kinds[name] == "counter");
            assert!(
                name.starts_with("gatelodge_") && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            );
            assert!(!name.contains("__"));
            read_labels(&series[name.len()..]);
            assert!(samples.insert(series.to_owned(), value.parse::<f64>().unwrap()).is_none(), "{series} twice");
        }
    }
    samples
}

/// `{name="value",…}` or nothing, with `\\`, `\"` and `\n` as the only escapes.
fn read_labels(text: &str) {
    if text.is_empty() {
        return;
    }
    let mut rest = text.strip_prefix('{').unwrap();
    loop {
        let (name, after) = rest.split_once("=\"").unwrap();
        assert!(name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_')), "{name}");
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (end, '"') => break end,
                (_, '\\') => assert!(['\\', '"', 'n'].contains(&chars.next().unwrap().1)),
                (_, c) => assert_ne!(c, '\n'),
            }
        };
        match &after[end + 1..] {
            "}" => return,
            more => rest = more.strip_prefix(',').unwrap(),
        }
    }
}

#[test]
fn a_strict_reader_takes_the_whole_page() {
    let mut status = crate::table::sample();
    status.host.version = "1\"\\\n2".to_owned();
    let samples = parse(&render(&status, &[]));
    for (series, wanted) in [
        (r#"gatelodge_build_info{version="1\"\\\n2"}"#, 1.0),
        ("gatelodge_uptime_seconds", 266_400.0),
        ("gatelodge_last_reload_successful", 0.0),
        (r#"gatelodge_app_state{state="ready"}"#, 1.0),
        (r#"gatelodge_app_state{state="down"}"#, 0.0),
        ("gatelodge_app_starts_total", 6.0),
        ("gatelodge_app_crashes_total", 2.0),
        (r#"gatelodge_instance_requests_total{instance="1",start="5"}"#, 1_234_567.0),
        (r#"gatelodge_instance_state{instance="2",start="6",state="waiting"}"#, 1.0),
        (r#"gatelodge_instance_memory_bytes{instance="1",start="5"}"#, 89_338_675.0),
        ("gatelodge_connections_accepted_total", 42.0),
    ] {
        assert_eq!(samples.get(series), Some(&wanted), "{series} in {samples:#?}");
    }
    assert!(!samples.contains_key(r#"gatelodge_instance_memory_bytes{instance="2",start="6"}"#));
}

#[test]
fn what_would_spoil_the_page_is_left_out() {
    let good = Metric { name: "gatelodge_a_total", help: "A.", kind: Kind::Counter, value: 1.0, labels: &[("l", "v")] };
    let mut writer = Writer::default();
    assert!(writer.add(&good));
    for bad in [
        Metric { name: "other_a_total", ..good.clone() },
        Metric { name: "gatelodge_a-b_total", ..good.clone() },
        Metric { name: "gatelodge_A_total", ..good.clone() },
        Metric { name: "gatelodge_a", ..good.clone() },
        Metric { kind: Kind::Gauge, ..good.clone() },
        Metric { value: f64::NAN, ..good.clone() },
        Metric { labels: &[("1l", "v")], ..good.clone() },
        Metric { labels: &[("l\"", "v")], ..good.clone() },
        Metric { labels: &[("", "v")], ..good.clone() },
    ] {
        assert!(!writer.add(&bad), "{bad:?}");
    }
    assert_eq!(
        writer.finish(),
        "# HELP gatelodge_a_total A.\n# TYPE gatelodge_a_total counter\ngatelodge_a_total{l=\"v\"} 1\n"
    );
}

#[test]
fn help_and_labels_are_escaped_and_a_series_is_there_once() {
    let mut writer = Writer::default();
    let labels = [("path", "C:\\a \"b\"\nc")];
    for value in [1.0, f64::INFINITY] {
        let metric = Metric { name: "gatelodge_x", help: "a\\b\n\"c\"", kind: Kind::Gauge, value, labels: &labels };
        assert!(writer.add(&metric));
    }
    let page = writer.finish();
    let wanted = "# HELP gatelodge_x a\\\\b\\n\"c\"\n# TYPE gatelodge_x gauge\ngatelodge_x{path=\"C:\\\\a \\\"b\\\"\\nc\"} +Inf\n";
    assert_eq!(page, wanted);
    assert_eq!(parse(&page).len(), 1);
}

#[test]
fn counters_of_the_host_get_the_products_name() {
    let mut status = crate::status::StatusPage::default();
    for name in ["host_a_total", "gatelodge_b_total", "c", "host_bad-name_total"] {
        status.counters.insert(name.to_owned(), 1);
    }
    let samples = parse(&render(&status, &[]));
    for name in ["gatelodge_a_total", "gatelodge_b_total", "gatelodge_c_total"] {
        assert_eq!(samples.get(name), Some(&1.0));
    }
    assert!(!render(&status, &[]).contains("bad"));
}
