//! The words of a trace, and who gets them.

use super::{FIELD_BYTES_MAX, answer, begin, server_timing};
use crate::Rules;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use wire::trace::{Came, Part};
use wire::{PluginFault, Trace, TraceKey};

fn us(count: u64) -> Duration {
    Duration::from_micros(count)
}

fn hook(plugin: &str, hook: &'static str) -> Part {
    Part::Hook { plugin: plugin.into(), hook }
}

#[test]
fn only_who_has_the_key_is_told() {
    let key = || TraceKey::new(b"0123456789abcdef".to_vec()).ok();
    for (trace_key, asked, told) in [
        (key(), Some("0123456789abcdef"), true),
        (key(), Some("0123456789abcdeg"), false),
        (key(), Some(""), false),
        (key(), None, false),
        (None, Some("0123456789abcdef"), false),
        (None, Some(""), false),
    ] {
        let rules = Rules { path_base: "".into(), trace_key };
        assert_eq!(begin(&rules, asked.map(HeaderValue::from_static)).is_some(), told, "{asked:?}");
    }
}

#[test]
fn parts_are_metrics_in_their_order() {
    let trace = Trace::default();
    assert_eq!(server_timing(&trace, us(0), 100), "total;dur=0.000");
    trace.add(hook("auth", "request-head"), Came::Said("edit"), us(12));
    trace.add(Part::Wake, Came::Well, us(812_301));
    trace.add(Part::Backend, Came::Failed, us(999));
    trace.add(hook("b.c-d", "response-head"), Came::Fault(PluginFault::BadOutput), us(1_000_000));
    for said in ["open", "pass", "pass"] {
        trace.add(hook("auth", "response-body"), Came::Said(said), us(1));
    }
    trace.add(hook("auth", "response-body"), Came::Dropped, us(0));
    let wanted = "total;dur=2000.001, auth.request-head;dur=0.012;desc=\"edit\", wake;dur=812.301, \
                  backend;dur=0.999;desc=\"failed\", b.c-d.response-head;dur=1000.000;desc=\"fault:bad-output\", \
                  auth.response-body;dur=0.003;desc=\"open pass*2 dropped\"";
    assert_eq!(server_timing(&trace, us(2_000_001), 1000), wanted);
}

#[test]
fn what_does_not_fit_is_counted() {
    let trace = Trace::default();
    (0..64).for_each(|n| trace.add(hook(&format!("{n:064}"), "request-whole"), Came::Said("replace"), us(7)));
    let text = server_timing(&trace, us(1), FIELD_BYTES_MAX);
    let told = text.matches("request-whole").count();
    assert!(text.len() <= FIELD_BYTES_MAX && text.len() > FIELD_BYTES_MAX - 200, "{}", text.len());
    assert!(text.ends_with(&format!(", cut;desc=\"{} more\"", 64 - told)), "{text}");
    // At the limit, and one byte below it.
    let trace = Trace::default();
    trace.add(Part::Wake, Came::Well, us(1));
    let whole = server_timing(&trace, us(1), 1000);
    let room = whole.len() + super::CUT_BYTES_MAX;
    assert_eq!(server_timing(&trace, us(1), room), whole);
    assert_eq!(server_timing(&trace, us(1), room - 1), "total;dur=0.001, cut;desc=\"1 more\"");
}

#[test]
fn an_answer_is_for_its_asker_alone() {
    let mut headers = HeaderMap::new();
    headers.insert("server-timing", HeaderValue::from_static("db;dur=5"));
    headers.insert("cache-control", HeaderValue::from_static("public, max-age=60"));
    answer(&Trace::default(), us(1_500), &mut headers);
    let lines = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(lines("server-timing"), ["db;dur=5", "total;dur=1.500"]);
    assert_eq!(lines("cache-control"), ["public, max-age=60", "no-store"]);
    answer(&Trace::default(), us(1), &mut headers);
    assert_eq!(headers.get_all("cache-control").iter().count(), 2, "said once is enough");
}
