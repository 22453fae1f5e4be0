use super::base64::encode;
use super::token::{Refusal, Rules, TOKEN_BYTES_MAX};
use super::{KeySet, KeySets};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use ring::{hmac, signature};

fn url(bytes: &[u8]) -> String {
    encode(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A signer with the JWK of its public half.
struct Signer {
    jwk: String,
    sign: Sign,
}

fn secret(algorithm: hmac::Algorithm) -> Signer {
    let secret = [7; 64];
    let jwk = format!(r#""kty":"oct","k":"{}""#, url(&secret));
    Signer {
        jwk,
        sign: Box::new(move |message| hmac::sign(&hmac::Key::new(algorithm, &secret), message).as_ref().to_vec()),
    }
}

fn rsa(encoding: &'static dyn RsaEncoding) -> Signer {
    let pair = RsaKeyPair::from_pkcs8(include_bytes!("rsa-test-key.pk8")).expect("the key beside this file");
    let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
    let jwk = format!(r#""kty":"RSA","n":"{}","e":"{}""#, url(&public.n), url(&public.e));
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature).expect("it signs");
        signature
    };
    Signer { jwk, sign: Box::new(sign) }
}

fn ec(algorithm: &'static signature::EcdsaSigningAlgorithm, curve: &str) -> Signer {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key");
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = format!(r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#, url(x), url(y));
    Signer { jwk, sign: Box::new(move |message| pair.sign(&random, message).expect("it signs").as_ref().to_vec()) }
}

fn ed25519() -> Signer {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
    let jwk = format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, url(pair.public_key().as_ref()));
    Signer { jwk, sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()) }
}

fn set(jwks: &[String]) -> Result<KeySet, String> {
    KeySet::parse(format!(r#"{{"keys":[{}]}}"#, jwks.join(",")).as_bytes())
}

fn token(head: &str, payload: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", url(head.as_bytes()), url(payload.as_bytes()));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", url(&signature))
}

#[test]
fn each_algorithm_checks_its_own_signatures_and_no_other() {
    let signers = [
        ("HS256", secret(hmac::HMAC_SHA256)),
        ("HS384", secret(hmac::HMAC_SHA384)),
        ("HS512", secret(hmac::HMAC_SHA512)),
        ("RS256", rsa(&RSA_PKCS1_SHA256)),
        ("RS512", rsa(&RSA_PKCS1_SHA512)),
        ("PS256", rsa(&RSA_PSS_SHA256)),
        ("ES256", ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")),
        ("ES384", ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")),
        ("EdDSA", ed25519()),
    ];
    for (alg, signer) in &signers {
        let keys = set(&[format!("{{{}}}", signer.jwk)]).expect("a set");
        let head = format!(r#"{{"alg":"{alg}"}}"#);
        let good = token(&head, "{}", &signer.sign);
        assert_eq!(keys.verify(&good).as_deref(), Ok("{}"), "{alg}");
        let other = token(&head, r#"{"a":1}"#, &signer.sign);
        let (message, _) = good.rsplit_once('.').expect("dots");
        let (_, foreign) = other.rsplit_once('.').expect("dots");
        assert_eq!(keys.verify(&format!("{message}.{foreign}")), Err(Refusal::Signature), "{alg}");
        assert_eq!(keys.verify(&format!("{message}.")), Err(Refusal::Signature), "{alg}");
        for (wrong, _) in &signers {
            let claimed = token(&format!(r#"{{"alg":"{wrong}"}}"#), "{}", &signer.sign);
            assert_eq!(keys.verify(&claimed).is_ok(), wrong == alg, "{wrong} claimed for a key of {alg}");
        }
    }
}

#[test]
fn the_token_never_chooses_beyond_its_key() {
    let signer = rsa(&RSA_PKCS1_SHA256);
    let keys = set(&[format!(r#"{{"kid":"a","alg":"RS256",{}}}"#, signer.jwk)]).expect("a set");
    let check = |head: &str| keys.verify(&token(head, "{}", &signer.sign)).err();
    assert_eq!(check(r#"{"alg":"RS256","kid":"a"}"#), None);
    assert_eq!(check(r#"{"alg":"RS256"}"#), None);
    for (head, refusal) in [
        (r#"{"alg":"none"}"#, Refusal::Algorithm),
        (r#"{"alg":"None"}"#, Refusal::Algorithm),
        (r#"{"alg":""}"#, Refusal::Algorithm),
        (r#"{"alg":"HS256","kid":"a"}"#, Refusal::Algorithm),
        (r#"{"alg":"RS512","kid":"a"}"#, Refusal::Algorithm),
        (r#"{"alg":"RS256","kid":"b"}"#, Refusal::UnknownKey),
        (r#"{"alg":"RS256","kid":"a","crit":["exp"]}"#, Refusal::Critical),
        (r#"{"alg":"RS256","kid":"a","b64":false}"#, Refusal::Critical),
        (r#"{"kid":"a"}"#, Refusal::Malformed),
        ("[]", Refusal::Malformed),
        ("", Refusal::Malformed),
    ] {
        assert_eq!(check(head), Some(refusal), "{head}");
    }
    // The public modulus as a shared secret: the classic mix-up.
    let forged = hmac::Key::new(hmac::HMAC_SHA256, signer.jwk.as_bytes());
    let sign = move |message: &[u8]| hmac::sign(&forged, message).as_ref().to_vec();
    assert_eq!(keys.verify(&token(r#"{"alg":"HS256"}"#, "{}", &sign)), Err(Refusal::Algorithm));
    for text in ["", ".", "..", "a.b", "a.b.c.d", "e30.e30.", "é.é.é"] {
        assert_eq!(keys.verify(text), Err(Refusal::Malformed), "{text}");
    }
    let long = "a".repeat(TOKEN_BYTES_MAX);
    assert_eq!(keys.verify(&long), Err(Refusal::Malformed));
    assert_eq!(keys.verify(&(long + "a")), Err(Refusal::TooLong));
}

#[test]
fn claims_are_checked_with_leeway() {
    let signer = secret(hmac::HMAC_SHA256);
    let keys = set(&[format!("{{{}}}", signer.jwk)]).expect("a set");
    let check = |claims: &str, leeway_s: u32| {
        let rules = Rules { issuer: Some("me"), audience: Some("you"), leeway_s, now_s: 1_000 };
        keys.verify_claims(&token(r#"{"alg":"HS256"}"#, claims, &signer.sign), &rules).err()
    };
    for (claims, leeway_s, refusal) in [
        (r#"{"exp":1001,"iss":"me","aud":"you"}"#, 0, None),
        (r#"{"exp":1001.5,"iss":"me","aud":["a","you"]}"#, 0, None),
        (r#"{"exp":1000,"iss":"me","aud":"you"}"#, 0, Some(Refusal::Expired)),
        (r#"{"exp":991,"iss":"me","aud":"you"}"#, 10, None),
        (r#"{"exp":990,"iss":"me","aud":"you"}"#, 10, Some(Refusal::Expired)),
        (r#"{"exp":399,"iss":"me","aud":"you"}"#, u32::MAX, Some(Refusal::Expired)),
        (r#"{"iss":"me","aud":"you"}"#, 0, Some(Refusal::NoExpiry)),
        (r#"{"exp":2000,"nbf":1000,"iss":"me","aud":"you"}"#, 0, None),
        (r#"{"exp":2000,"nbf":1011,"iss":"me","aud":"you"}"#, 10, Some(Refusal::NotYet)),
        (r#"{"exp":2000,"nbf":1010,"iss":"me","aud":"you"}"#, 10, None),
        (r#"{"exp":2000,"aud":"you"}"#, 0, Some(Refusal::Issuer)),
        (r#"{"exp":2000,"iss":"Me","aud":"you"}"#, 0, Some(Refusal::Issuer)),
        (r#"{"exp":2000,"iss":"me"}"#, 0, Some(Refusal::Audience)),
        (r#"{"exp":2000,"iss":"me","aud":[]}"#, 0, Some(Refusal::Audience)),
        (r#"{"exp":"2000","iss":"me","aud":"you"}"#, 0, Some(Refusal::Claims)),
        ("[2000]", 0, Some(Refusal::Claims)),
        ("nothing", 0, Some(Refusal::Claims)),
    ] {
        assert_eq!(check(claims, leeway_s), refusal, "{claims} with {leeway_s} s");
    }
    let free = Rules { issuer: None, audience: None, leeway_s: 0, now_s: 1_000 };
    let plain = token(r#"{"alg":"HS256"}"#, r#"{"exp":2000}"#, &signer.sign);
    assert!(keys.verify_claims(&plain, &free).is_ok());
}

#[test]
fn several_keys_are_told_apart_by_id() {
    let (old, new) = (ed25519(), ed25519());
    let keys =
        set(&[format!(r#"{{"kid":"old",{}}}"#, old.jwk), format!(r#"{{"kid":"new",{}}}"#, new.jwk)]).expect("a set");
    for (kid, signer, expected) in [
        (r#","kid":"old""#, &old, Ok("{}".to_owned())),
        (r#","kid":"new""#, &new, Ok("{}".to_owned())),
        (r#","kid":"new""#, &old, Err(Refusal::Signature)),
        ("", &old, Ok("{}".to_owned())),
        ("", &new, Ok("{}".to_owned())),
    ] {
        let head = format!(r#"{{"alg":"EdDSA"{kid}}}"#);
        assert_eq!(keys.verify(&token(&head, "{}", &signer.sign)), expected, "{kid}");
    }
}

#[test]
fn key_sets_are_read_with_care() {
    let weak = url(&[1; 31]);
    for (jwks, word) in [
        ("", "not a JWK set"),
        (r#"{"keys":{}}"#, "not a JWK set"),
        (r#"{"keys":[]}"#, "no key"),
        (r#"{"keys":[{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}]}"#, "no key"),
        (r#"{"keys":[{"kty":"EC","crv":"secp256k1","x":"AQ","y":"AQ"}]}"#, "no key"),
        (r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#, "2048"),
        (r#"{"keys":[{"kty":"RSA","e":"AQAB"}]}"#, "\"n\" is missing"),
        (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}"#, "coordinates"),
        (r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQ"}]}"#, "not 32"),
        (r#"{"keys":[{"kty":"oct","k":"se/cret"}]}"#, "not base64url"),
        (&format!(r#"{{"keys":[{{"kty":"oct","k":"{weak}"}}]}}"#), "at least 32 bytes"),
        (&format!(r#"{{"keys":[{{"kty":"oct","alg":"RS256","k":"{}"}}]}}"#, url(&[1; 32])), "does not fit"),
    ] {
        let refusal = KeySets::new().insert("set", jwks.as_bytes()).expect_err("refused");
        assert!(refusal.contains(word), "{refusal}");
        assert!(!refusal.contains("se/cret") && !refusal.contains(&weak), "{refusal}");
    }
    let mut sets = KeySets::new();
    sets.insert("set", format!(r#"{{"keys":[{{"kty":"oct","k":"{}"}}]}}"#, url(&[1; 32])).as_bytes()).expect("a set");
    assert!(sets.get("set").is_some() && sets.get("other").is_none());
}
