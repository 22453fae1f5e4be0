//! One line per case: settings, headers, what the host says; what the backend gets.

use super::*;
use gatelodge_sdk::{Config, Edit};

const NOW: u64 = 1_700_000_000;
const GOOD: &str = r#"{"sub":"ann","iss":"https://i","exp":1700000600,"name":"Ann"}"#;

/// Knows one good token; counts nothing, sends nothing.
struct Fake {
    principal: Option<Principal>,
}

impl Host for Fake {
    fn verify(&self, keys: &KeySet, token: &str) -> Result<String, Refusal> {
        assert_eq!(keys.name, "login");
        match token {
            "good" => Ok(GOOD.to_owned()),
            "hostile" => Ok("{\"sub\":\"a\\r\\nx-admin: 1\",\"name\":\" padded \"}".to_owned()),
            "list" => Ok("[]".to_owned()),
            "foreign" => Err(Refusal::UnknownKey),
            "nokeys" => Err(Refusal::Broken("NotFound".to_owned())),
            _ => Err(Refusal::Invalid("expired".to_owned())),
        }
    }

    fn principal(&self) -> Option<Principal> {
        self.principal.clone()
    }

    fn unix_s(&self) -> u64 {
        NOW
    }
}

fn lines(headers: &[(&str, &str)]) -> Vec<Line> {
    headers.iter().map(|(name, value)| Line { name: (*name).into(), value: value.as_bytes().to_vec() }).collect()
}

fn run(json: &str, headers: &[(&str, &str)], principal: Option<Principal>) -> Outcome {
    let settings = Settings::read(Config::parse(json).expect("JSON")).expect("settings");
    decide(&settings, &lines(headers), &Fake { principal })
}

/// `-name` for a removal, `name=value` for a header, `401 challenge` for an answer.
fn told(outcome: &Outcome) -> Vec<String> {
    match &outcome.verdict {
        Verdict::Pass => Vec::new(),
        Verdict::Edited(edits) => edits
            .iter()
            .map(|edit| match edit {
                Edit::Remove(name) => format!("-{name}"),
                Edit::Set(line) => format!("{}={}", line.name, String::from_utf8_lossy(&line.value)),
                other => panic!("{other:?}"),
            })
            .collect(),
        Verdict::Respond(response) => {
            let challenge = response.headers.iter().find(|line| line.name == "www-authenticate");
            let challenge =
                challenge.map_or_else(String::new, |line| String::from_utf8_lossy(&line.value).into_owned());
            vec![format!("{} {challenge}", response.status)]
        }
        other => panic!("{other:?}"),
    }
}

fn earlier(expires: u64) -> Option<Principal> {
    let (subject, issuer, scheme) = ("bob".to_owned(), "CN=ca".to_owned(), "certificate".to_owned());
    Some(Principal { subject, issuer, scheme, claims: "{}".to_owned(), expires })
}

const EASY: &str = r#"{"preset":"easy-auth","headers":{"principal":""}}"#;
const KEYS: &str = r#"{"key_set":"login","headers":{"principal":"","token":"","expires":""}}"#;
const REQUIRE: &str = r#"{"require":true,"realm":"site"}"#;
const BAD: &str = "401 Bearer realm=\"gatelodge\", error=\"invalid_token\", \
                   error_description=\"The token is expired, revoked or malformed\"";
const FOREIGN: &str =
    "401 Bearer realm=\"gatelodge\", error=\"invalid_token\", error_description=\"The token's key is not known\"";
const TWICE: &str = "401 Bearer realm=\"gatelodge\", error=\"invalid_token\", \
                     error_description=\"The credential is repeated or malformed\"";

#[test]
fn strips_forwards_and_demands_nothing_by_default() {
    for (headers, expected) in [
        (&[][..], &[][..]),
        (&[("accept", "*/*")], &[]),
        (&[("authorization", "Bearer abc")], &["x-auth-token=abc"]),
        (&[("authorization", "Basic eDp5")], &[]),
        (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], &[]),
        (
            &[("x-auth-id", "root"), ("X_Auth_Name", "r"), ("x-ms-client-principal", "e30="), ("x-ms-token-x-y", "1")],
            &["-x-auth-id", "-X_Auth_Name", "-x-ms-client-principal", "-x-ms-token-x-y"],
        ),
        (
            &[("x-auth-token", "mine"), ("x-auth-token", "mine"), ("authorization", "bearer abc")],
            &["-x-auth-token", "x-auth-token=abc"],
        ),
    ] {
        assert_eq!(told(&run("{}", headers, None)), expected, "{headers:?}");
    }
}

#[test]
fn claims_of_an_unverified_token_go_nowhere() {
    // {"alg":"none"}.{"sub":"root"}.
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.";
    let outcome = run(EASY, &[("authorization", &format!("Bearer {token}"))], None);
    assert_eq!(told(&outcome), [format!("x-ms-token-aad-access-token={token}")]);
    assert_eq!(outcome.proved, None);
}

#[test]
fn a_verified_token_is_an_identity() {
    let outcome = run(KEYS, &[("authorization", "Bearer good"), ("x-auth-id", "root")], earlier(0));
    assert_eq!(told(&outcome), ["-x-auth-id", "x-auth-id=ann", "x-auth-name=Ann", "x-auth-issuer=https://i"]);
    let proved = outcome.proved.expect("verified");
    assert_eq!((&proved.subject[..], &proved.scheme[..], proved.expires), ("ann", "bearer", 1_700_000_600));
    assert_eq!(proved.claims, GOOD);

    let cookie = r#"{"key_set":"login","cookie":"s","headers":{"principal":"","name":"","issuer":"","expires":""}}"#;
    let outcome = run(cookie, &[("cookie", "a=b; s=good")], None);
    assert_eq!(told(&outcome), ["x-auth-id=ann", "x-auth-token=good"]);
    assert_eq!(outcome.proved.expect("verified").scheme, "cookie");
}

#[test]
fn a_credential_that_is_not_good_is_refused() {
    for (headers, expected) in [
        (&[("authorization", "Bearer stale")][..], BAD),
        (&[("authorization", "Bearer list")], BAD),
        (&[("authorization", "Bearer a b")], TWICE),
        (&[("authorization", "Bearer good, Bearer good")], TWICE),
        (&[("authorization", "Bearer good"), ("authorization", "Bearer good")], TWICE),
        (&[("authorization", "Bearer foreign")], FOREIGN),
        (&[("authorization", "Bearer nokeys")], "503 "),
    ] {
        let outcome = run(KEYS, headers, earlier(0));
        assert_eq!(told(&outcome), [expected], "{headers:?}");
        assert_eq!(outcome.proved, None);
    }
}

#[test]
fn a_credential_can_be_demanded() {
    for (headers, expected) in [
        (&[][..], "401 Bearer realm=\"site\""),
        (&[("authorization", "Basic eDp5")], "401 Bearer realm=\"site\""),
        (&[("x-auth-id", "root")], "401 Bearer realm=\"site\""),
        (&[("authorization", "Bearer abc")], "x-auth-token=abc"),
    ] {
        assert_eq!(told(&run(REQUIRE, headers, None)), [expected], "{headers:?}");
    }
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    assert!(told(&run(REQUIRE, &twice, None))[0].starts_with("401 Bearer realm=\"site\", error=\"invalid_token\""));
    let keys = r#"{"require":true,"key_set":"login"}"#;
    assert_eq!(told(&run(keys, &[], None)), ["401 Bearer realm=\"gatelodge\""]);
    assert_eq!(told(&run(keys, &[("authorization", "Bearer stale")], None)), [BAD]);
}

#[test]
fn an_earlier_plugins_principal_is_an_identity() {
    let expected = ["x-ms-client-principal-id=bob", "x-ms-client-principal-name=bob", "x-ms-client-principal-idp=aad"];
    assert_eq!(told(&run(EASY, &[], earlier(0))), expected);
    let until = run(EASY, &[], earlier(NOW + 1));
    assert_eq!((&told(&until)[..3], until.expired, until.proved), (&expected.map(String::from)[..], false, None));
    let over = run(EASY, &[], earlier(NOW));
    assert!(told(&over).is_empty() && over.expired);
    assert_eq!(told(&run(REQUIRE, &[], earlier(NOW))), ["401 Bearer realm=\"site\""]);
    assert!(told(&run(REQUIRE, &[], earlier(0)))[0].starts_with("x-auth-id=bob"));
    // What it was made from may be the very header that is ambiguous.
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    assert!(told(&run(EASY, &twice, earlier(0))).is_empty());
}

#[test]
fn values_that_would_arrive_changed_are_left_out() {
    let outcome = run(KEYS, &[("authorization", "Bearer hostile")], None);
    assert_eq!(told(&outcome), Vec::<String>::new());
    assert_eq!(outcome.warnings.len(), 2);
    assert!(outcome.warnings.iter().all(|line| !line.contains("admin") && !line.contains("padded")));
    assert!(fits(&"a".repeat(VALUE_BYTES_MAX)) && !fits(&"a".repeat(VALUE_BYTES_MAX + 1)));
}

#[test]
fn no_answer_and_no_log_line_has_a_secret() {
    for json in ["{}", KEYS, REQUIRE, r#"{"key_set":"login","cookie":"s","require":true}"#] {
        for headers in [&[("authorization", "Bearer s3cret")][..], &[("authorization", "Bearer s3cret x")]] {
            let outcome = run(json, headers, None);
            assert!(outcome.warnings.is_empty());
            if let Verdict::Respond(response) = &outcome.verdict {
                assert!(!format!("{response:?}").contains("s3cret"), "{json}");
                let body = String::from_utf8_lossy(&response.body);
                assert!(!body.contains("s3cret"));
            }
        }
    }
}
