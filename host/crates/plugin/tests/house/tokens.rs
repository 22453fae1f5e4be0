//! Token checks asked from inside the sandbox.

use crate::harness::{guest, lines, load, request, told};
use gatelodge_plugin::KeySets;
use ring::hmac;

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let sextets = bits.chunks(6).map(|chunk| chunk.iter().fold(0, |sum, bit| sum << 1 | bit) << (6 - chunk.len()));
    sextets.map(|sextet| char::from(LETTERS[usize::from(sextet)])).collect()
}

fn token(claims: &str) -> String {
    let message = format!("{}.{}", base64url(br#"{"alg":"HS256","kid":"k"}"#), base64url(claims.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    format!("{message}.{}", base64url(hmac::sign(&key, message.as_bytes()).as_ref()))
}

#[test]
fn tokens() {
    let mut key_sets = KeySets::new();
    let jwks = format!(r#"{{"keys":[{{"kty":"oct","kid":"k","k":"{}"}}]}}"#, base64url(SECRET));
    key_sets.insert("login", jwks.as_bytes()).expect("a key set");
    let house = load(vec![guest("tokens")], key_sets).unwrap_or_else(|errors| panic!("{errors:?}"));
    let good = r#"{"iss":"me","aud":["x","you"],"exp":99999999999}"#;
    let broken = token(good).replace('.', ".A");
    for (set, token, expected) in [
        ("login", token(good), good),
        ("login", token(r#"{"iss":"me","aud":"you","exp":1}"#), "signed: the token has expired"),
        (
            "login",
            token(r#"{"iss":"other","aud":"you","exp":99999999999}"#),
            "signed: the token is from another issuer",
        ),
        ("login", broken, "unsigned: not a signed token in compact form"),
        ("other", token(good), "NotFound"),
    ] {
        let (exchange, step) = house.way_in(request("/", &[("x-token", &token), ("x-set", set)]));
        assert_eq!(told(&step), "continue");
        let result = lines(&exchange, "x-result").join("");
        assert!(result.contains(expected), "{result}, not {expected}");
    }
}
