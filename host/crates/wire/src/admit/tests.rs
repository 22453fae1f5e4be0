use super::{AdmitRules, Admitted, admit};
use crate::{ConnFacts, Framing, Kind, RequestHead, Scheme};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

type Fields<'a> = &'a [(&'a str, &'a str)];

fn parts(method: &str, target: &str, version: Version, fields: Fields<'_>) -> Parts {
    let mut parts = Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(method.as_bytes()).unwrap();
    parts.uri = target.parse().unwrap();
    parts.version = version;
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        parts.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    parts
}

fn facts(trusted: bool) -> ConnFacts {
    let client = "203.0.113.7:51812".parse().unwrap();
    ConnFacts::new(client, "127.0.0.1:8080".parse().unwrap(), Scheme::Http, trusted)
}

fn run(parts: Parts, trusted: bool) -> Result<Admitted, Kind> {
    admit(parts, &facts(trusted), &AdmitRules::default()).map_err(|fault| fault.kind)
}

/// The status that a verdict becomes; 0 for an admitted request, 1 for `OPTIONS *`.
fn verdict(result: &Result<Admitted, Kind>) -> u16 {
    match result {
        Ok(Admitted::Request(_)) => 0,
        Ok(Admitted::ServerOptions) => 1,
        Err(Kind::BadRequest(_)) => 400,
        Err(Kind::NotFound(_)) => 404,
        Err(Kind::MethodNotAllowed(_)) => 405,
        Err(Kind::TargetTooLong) => 414,
        Err(Kind::ExpectationFailed) => 417,
        Err(Kind::HeadTooLarge) => 431,
        Err(Kind::NotImplemented(_)) => 501,
        Err(Kind::VersionNotSupported) => 505,
        Err(other) => panic!("{other:?}"),
    }
}

fn head(fields: Fields<'_>, trusted: bool) -> RequestHead {
    match run(parts("GET", "/", Version::HTTP_11, fields), trusted) {
        Ok(Admitted::Request(head)) => head,
        other => panic!("{fields:?} gave {other:?}"),
    }
}

#[test]
fn hosts_targets_and_methods_get_their_verdict() {
    const H: Fields<'_> = &[("host", "x")];
    let long_ok = format!("/{}", "a".repeat(16_383));
    let long_bad = format!("/{}", "a".repeat(16_384));
    for (method, target, fields, want) in [
        ("GET", "/", H, 0),
        ("get", "/", H, 0),
        ("PROPFIND", "/", H, 0),
        ("GET", "/", &[][..], 400),
        ("GET", "/", &[("host", "x"), ("host", "x")], 400),
        ("GET", "/", &[("host", "x"), ("host", "y")], 400),
        ("GET", "/", &[("host", "")], 400),
        ("GET", "/", &[("host", "a b")], 400),
        ("GET", "/", &[("host", "a/b")], 400),
        ("GET", "/", &[("host", "u@x")], 400),
        ("GET", "/", &[("host", "x:0")], 400),
        ("GET", "/", &[("host", "x:65536")], 400),
        ("GET", "/", &[("host", "x,y")], 400),
        ("GET", "http://x/a", H, 0),
        ("GET", "http://X", H, 0),
        ("GET", "https://x/", H, 0),
        ("GET", "http://x/", &[], 400),
        ("GET", "http://evil/", H, 400),
        ("GET", "http://u@x/", H, 400),
        ("GET", "http://u:p@x/", &[("host", "u:p@x")], 400),
        ("GET", "ftp://x/", H, 400),
        ("GET", "v", H, 400),
        ("GET", "*", H, 400),
        ("OPTIONS", "*", H, 1),
        ("OPTIONS", "*", &[], 400),
        ("OPTIONS", "/", H, 0),
        ("TRACE", "/", H, 405),
        ("trace", "/", H, 405),
        ("TRACK", "/", H, 405),
        ("CONNECT", "x:443", H, 405),
        ("GET", "/a/../b", H, 400),
        ("GET", "/%252e", H, 404),
        ("GET", long_ok.as_str(), H, 0),
        ("GET", long_bad.as_str(), H, 414),
    ] {
        let result = run(parts(method, target, Version::HTTP_11, fields), false);
        assert_eq!(verdict(&result), want, "{method} {} {fields:?}: {result:?}", &target[..target.len().min(40)]);
    }
}

#[test]
fn absolute_targets_become_origin_form() {
    for (target, want) in [("http://x", "/"), ("http://x/a?b", "/a?b"), ("http://x?b=1", "/?b=1")] {
        let result = run(parts("GET", target, Version::HTTP_11, &[("host", "x")]), false);
        let Ok(Admitted::Request(head)) = result else { panic!("{target}: {result:?}") };
        assert_eq!(head.target.as_str(), want);
        assert_eq!(head.authority, "x");
    }
}

#[test]
fn http_10_may_lack_host_and_ignores_expectations() {
    for (target, fields, want) in [
        ("/", &[][..], "127.0.0.1:8080"),
        ("/", &[("host", "x")], "x"),
        ("http://y:81/", &[], "y:81"),
        ("/", &[("host", "x"), ("expect", "y")], "x"),
    ] {
        let result = run(parts("GET", target, Version::HTTP_10, fields), false);
        let Ok(Admitted::Request(head)) = result else { panic!("{target}: {result:?}") };
        assert_eq!(head.authority, want);
        assert!(!head.expects_continue && head.headers.is_empty());
    }
    for version in [Version::HTTP_09, Version::HTTP_2] {
        assert_eq!(verdict(&run(parts("GET", "/", version, &[("host", "x")]), false)), 505);
    }
}

#[test]
fn framing_and_expectations() {
    const CL: (&str, &str) = ("content-length", "5");
    for (fields, want) in [
        (&[CL][..], Ok((Framing::Length(5), false))),
        (&[("transfer-encoding", "chunked")], Ok((Framing::Chunked, false))),
        (&[CL, ("expect", "100-Continue")], Ok((Framing::Length(5), true))),
        (&[("expect", "100-continue")], Ok((Framing::None, false))),
        (&[CL, ("expect", "100-continue"), ("expect", "y")], Err(417)),
        (&[CL, ("expect", "y")], Err(417)),
        (&[("expect", "")], Err(417)),
        (&[("transfer-encoding", "gzip, chunked")], Err(501)),
        (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], Err(400)),
        (&[("content-length", "5,5")], Err(400)),
    ] {
        let mut all = vec![("host", "x")];
        all.extend_from_slice(fields);
        let result = run(parts("POST", "/", Version::HTTP_11, &all), false);
        let got = match &result {
            Ok(Admitted::Request(head)) => {
                assert!(head.headers.is_empty(), "{fields:?} left {:?}", head.headers);
                Ok((head.framing, head.expects_continue))
            }
            other => Err(verdict(other)),
        };
        assert_eq!(got, want, "{fields:?}");
    }
}

#[test]
fn fields_that_go_no_further() {
    for (trusted, fields, want) in [
        (false, &[("accept", "*/*"), ("connection", "keep-alive")][..], "accept: */*\n"),
        (false, &[("MS-ASPNETCORE-TOKEN", "x"), ("ms-aspnetcore-token", "y"), ("ms-aspnetcore-event", "shutdown")], ""),
        (false, &[("MS_ASPNETCORE_TOKEN", "x"), ("x_forwarded_for", "1"), ("content_length", "9")], ""),
        (true, &[("MS-ASPNETCORE-TOKEN", "x"), ("x_forwarded_for", "1"), ("proxy", "p")], ""),
        (false, &[("connection", "MS-ASPNETCORE-TOKEN, x-secret"), ("x-secret", "1"), ("x-b", "2")], "x-b: 2\n"),
        (false, &[("connection", "Host, Cookie"), ("cookie", "a"), ("cookie", "b")], ""),
        (false, &[("connection", "close"), ("connection", "x-a"), ("x-a", "1")], ""),
        (false, &[("connection", "b@d, x-a"), ("x-a", "1"), ("keep-alive", "5"), ("te", "trailers")], ""),
        (false, &[("upgrade", "h2c"), ("connection", "upgrade, http2-settings"), ("http2-settings", "x")], ""),
        (false, &[("proxy", "http://evil"), ("x-original-url", "/a"), ("x-rewrite-url", "/b")], ""),
        (
            false,
            &[
                ("x-forwarded-for", "1.2.3.4"),
                ("x-forwarded-proto", "https"),
                ("forwarded", "for=1"),
                ("x-real-ip", "1"),
            ],
            "",
        ),
        (
            true,
            &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "5.6.7.8")],
            "x-forwarded-for: 1.2.3.4\nx-forwarded-for: 5.6.7.8\n",
        ),
        (true, &[("x-forwarded-proto", "https"), ("connection", "x-forwarded-proto")], ""),
        (true, &[("x-original-host", "a")], "x-original-host: a\n"),
        (
            false,
            &[("gatelodge-trace", "key"), ("Gatelodge-Trace", "k"), ("gatelodge_trace", "key"), ("g", "h")],
            "g: h\n",
        ),
        (true, &[("gatelodge-trace", "key"), ("connection", "gatelodge-trace")], ""),
        (false, &[("authorization", "Basic x"), ("proxy-authorization", "Basic y")], "authorization: Basic x\n"),
    ] {
        let mut all = vec![("host", "x")];
        all.extend_from_slice(fields);
        let text: String = lines(&head(&all, trusted).headers);
        assert_eq!(text, want, "{fields:?}");
    }
    let framed = [("host", "x"), ("content-length", "5"), ("connection", "content-length, host")];
    let result = run(parts("POST", "/", Version::HTTP_11, &framed), false);
    let Ok(Admitted::Request(head)) = result else { panic!("{result:?}") };
    assert_eq!((head.framing, head.authority.as_bytes()), (Framing::Length(5), &b"x"[..]));
}

#[test]
fn a_wish_for_a_trace_is_handed_over_and_never_shown() {
    let asked = head(&[("host", "x"), ("gatelodge-trace", "a secret"), ("gatelodge-trace", "b")], false);
    assert_eq!(asked.trace.as_ref().map(HeaderValue::as_bytes), Some(&b"a secret"[..]));
    assert!(!format!("{asked:?}").contains("a secret"));
    assert!(head(&[("host", "x")], false).trace.is_none());
}

fn lines(headers: &HeaderMap) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect()
}

#[test]
fn limits_hold_at_their_edge() {
    let many: Vec<_> = (0..100).map(|n| format!("x-{n}")).collect();
    let mut fields: Vec<_> = many.iter().take(99).map(|name| (name.as_str(), "1")).collect();
    fields.push(("host", "x"));
    assert_eq!(verdict(&run(parts("GET", "/", Version::HTTP_11, &fields), false)), 0);
    fields.push(("x-last", "1"));
    assert_eq!(verdict(&run(parts("GET", "/", Version::HTTP_11, &fields), false)), 431);

    for (length, want) in [(256, 0), (257, 400)] {
        let name = "n".repeat(length);
        let fields = [("host", "x"), (name.as_str(), "1")];
        assert_eq!(verdict(&run(parts("GET", "/", Version::HTTP_11, &fields), false)), want, "{length}");
    }
    for (count, want) in [(32, 0), (33, 400)] {
        let list = vec!["x-a"; count].join(",");
        let fields = [("host", "x"), ("connection", list.as_str())];
        assert_eq!(verdict(&run(parts("GET", "/", Version::HTTP_11, &fields), false)), want, "{count}");
    }
    assert_eq!(
        verdict(&run(parts("GET", "/", Version::HTTP_11, &[("host", "x"), ("connection", "\u{e9}")]), false)),
        400
    );
    for (count, first) in [(64, "1.1.1.0"), (65, "1.1.1.1"), (100, "1.1.1.36")] {
        let list: Vec<_> = (0..count).map(|n| format!("1.1.1.{n}")).collect();
        let (a, b) = list.split_at(10);
        let fields = [("host", "x"), ("x-forwarded-for", &*a.join(", ")), ("x-forwarded-for", &*b.join(","))];
        let text = lines(&head(&fields, true).headers);
        let kept: Vec<_> = text.split([',', '\n', ':', ' ']).filter(|item| item.starts_with("1.1.1.")).collect();
        assert_eq!((kept.len(), kept[0]), (64, first), "{count}");
    }
}

proptest! {
    /// What was admitted once is admitted again, and nothing more is removed.
    #[test]
    fn admission_is_final(
        fields in proptest::collection::vec(
            ("(x-[a-c]|ms[-_]aspnetcore-t|x[-_]forwarded[-_]for|te|upgrade|connection|proxy|cookie|content_length)", "(x-a|x-b|close|chunked|1)"),
            0..12,
        ),
        trusted in any::<bool>(),
    ) {
        let mut all = vec![("host", "x")];
        all.extend(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        if let Ok(Admitted::Request(head)) = run(parts("GET", "/", Version::HTTP_11, &all), trusted) {
            for name in head.headers.keys() {
                prop_assert!(!crate::fields::is_reserved(name.as_str()));
                prop_assert!(!crate::fields::is_hop_by_hop(name));
                prop_assert!(trusted || !crate::fields::is_forwarded(name));
            }
            let mut again = parts("GET", "/", Version::HTTP_11, &[("host", "x")]);
            again.headers.extend(head.headers.clone());
            let Ok(Admitted::Request(second)) = run(again, trusted) else { panic!("refused the second time") };
            prop_assert_eq!(second.headers, head.headers);
        }
    }
}
