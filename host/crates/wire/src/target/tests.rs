use super::{CanonicalPath, EscapedSlash, PathRules, canonical, check_query, segments_even_escaped};
use crate::Kind;
use crate::fault::NotFound;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

/// What a path must get.
enum Want {
    AsSent,
    Decoded(&'static str),
    Bad,
    Double,
}
use Want::{AsSent, Bad, Decoded, Double};

fn check(raw: &str, rules: PathRules, want: &Want) {
    let got = canonical(raw, rules);
    let fits = match (&got, want) {
        (Ok(CanonicalPath::AsSent), AsSent) | (Err(Kind::BadRequest(_)), Bad) => true,
        (Ok(CanonicalPath::Decoded(got)), Decoded(want)) => &**got == *want,
        (Err(Kind::NotFound(NotFound::DoubleEscape)), Double) => true,
        _ => false,
    };
    assert!(fits, "{raw:?} gave {got:?}");
}

#[test]
fn each_spelling_gets_its_verdict() {
    for (raw, want) in [
        ("/", AsSent),
        ("/a/b.js", AsSent),
        ("/.well-known/x", AsSent),
        ("/..a/...", AsSent),
        ("/a..b", AsSent),
        ("//b", AsSent),
        ("/a//b", AsSent),
        ("/a%2Fb", AsSent),
        ("/a%2fb", Decoded("/a%2Fb")),
        ("/%77eb.config", Decoded("/web.config")),
        ("/a%20b", Decoded("/a b")),
        ("/%C3%A9", Decoded("/\u{e9}")),
        ("/a%3Fb%23", Decoded("/a?b#")),
        ("/100%25", AsSent),
        ("/100%25x", AsSent),
        ("/100%25%78", Decoded("/100%25x")),
        ("/a[1]|{2}", AsSent),
        ("", Bad),
        ("*", Bad),
        ("v", Bad),
        ("/a/../b", Bad),
        ("/a/..", Bad),
        ("/..", Bad),
        ("/a/./b", Bad),
        ("/a/%2e%2e/b", Bad),
        ("/a/.%2E/b", Bad),
        ("/%2e", Bad),
        ("/%2e%2e%2fb", Bad),
        ("/a/..%2Fb", Bad),
        ("/a%2F..", Bad),
        ("/a/..;/b", Bad),
        ("/a/..;x=1", Bad),
        ("/a/.%3Bx/b", Bad),
        ("/a\\..\\b", Bad),
        ("/a%5c..%5cb", Bad),
        ("/a%5Cb", Bad),
        ("/a%00b", Bad),
        ("/%0d%0aX", Bad),
        ("/%7f", Bad),
        ("/%C2%85", Bad),
        ("/%c0%af", Bad),
        ("/%ff", Bad),
        ("/%u002e", Bad),
        ("/%zz", Bad),
        ("/%", Bad),
        ("/%4", Bad),
        ("/a b", Bad),
        ("/\u{e9}", Bad),
        ("/%252e%252e/x", Double),
        ("/%25%32%65", Double),
        ("/%252F", Double),
    ] {
        check(raw, PathRules::default(), &want);
    }
}

#[test]
fn settings_change_two_verdicts() {
    let refuse = PathRules { escaped_slash: EscapedSlash::Refuse, ..PathRules::default() };
    check("/a%2Fb", refuse, &Bad);
    let double = PathRules { allow_double_escaping: true, ..PathRules::default() };
    check("/a%252Fb", double, &AsSent);
    check("/%2541", double, &AsSent);
    check("/%2541%41", double, &Decoded("/%2541A"));
}

#[test]
fn queries_hold_no_controls() {
    for (query, taken) in [("a=b&c=%zz", true), ("\u{e9}", true), ("a b", false), ("a\u{7f}", false), ("a\t", false)] {
        assert_eq!(check_query(query).is_ok(), taken, "{query:?}");
    }
}

#[test]
fn escaped_slashes_split_for_strict_rules() {
    let segments: Vec<_> = segments_even_escaped("/a%2Fbin/c").collect();
    assert_eq!(segments, ["", "a", "bin", "c"]);
}

/// Escapes everything again that the canonical form holds decoded.
fn encode(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let take = if rest.starts_with("%2F") || rest.starts_with("%25") { 3 } else { first.len_utf8() };
        let (now, tail) = rest.split_at(take);
        rest = tail;
        if take == 3 && now.starts_with('%') || now == "/" || now.bytes().all(|b| b.is_ascii_alphanumeric()) {
            out.push_str(now);
        } else {
            now.bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        }
    }
    out
}

fn form(raw: &str, path: CanonicalPath) -> String {
    match path {
        CanonicalPath::AsSent => raw.to_owned(),
        CanonicalPath::Decoded(path) => path.into(),
    }
}

proptest! {
    #[test]
    fn the_canonical_form_is_final(
        raw in "/([a-c./;%]|%2[EeFf5]|%5[cC]|%C3%A9|\\\\|%[0-9a-f]{2}){0,12}",
        slash in any::<bool>(),
        double in any::<bool>(),
    ) {
        let rules = PathRules {
            escaped_slash: if slash { EscapedSlash::Refuse } else { EscapedSlash::Pass },
            allow_double_escaping: double,
        };
        if let Ok(path) = canonical(&raw, rules) {
            let once = form(&raw, path);
            prop_assert!(once.starts_with('/'));
            prop_assert!(!once.chars().any(|c| c.is_control() || c == '\\'));
            prop_assert!(segments_even_escaped(&once).all(|s| s != "." && s != ".."));
            let encoded = encode(&once);
            // A decoded digit after a kept `%25` may look doubly escaped; the meaning is what must not change.
            let again = canonical(&encoded, PathRules { allow_double_escaping: true, ..rules });
            prop_assert_eq!(again.map(|path| form(&encoded, path)).ok(), Some(once));
        }
    }

    #[test]
    fn no_input_panics(raw in "\\PC{0,40}") {
        let _ = canonical(&raw, PathRules::default());
    }
}
