//! The first-party plugins at work: auth-forward and request-log.

use crate::{site, web};
use gatelodge_e2e::{Host, Launch, Response, Site};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::Receiver;
use std::time::{SystemTime, UNIX_EPOCH};

/// A signer of tokens and its public key set.
struct Issuer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..=three.len() {
            text.push(char::from(DIGITS[(group >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key is made");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self { pair: pair.expect("the key was just made"), random }
    }

    fn keys(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (base64url(&point[1..33]), base64url(&point[33..65]));
        format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"k1","x":"{x}","y":"{y}"}}]}}"#)
    }

    fn token(&self, claims: &str) -> String {
        let head = base64url(br#"{"alg":"ES256","typ":"JWT","kid":"k1"}"#);
        let signed = format!("{head}.{}", base64url(claims.as_bytes()));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).expect("a token can be signed");
        format!("{signed}.{}", base64url(signature.as_ref()))
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs()
}

fn claims(subject: &str, audience: &str, expires: u64) -> String {
    format!(r#"{{"iss":"https://login.example","aud":"{audience}","sub":"{subject}","name":"Ada","exp":{expires}}}"#)
}

const AUTH: &str = r#"
[[plugin]]
name = "auth"
module = "builtin:auth-forward"
[plugin.config]
preset = "easy-auth"
key_set = "login"
issuer = "https://login.example"
audience = "site"
require = true
[plugin.grants]
log = true
identity = true

[key_sets.login]
file = "keys.json"
"#;

fn guarded(issuer: &Issuer) -> Site {
    let site = site();
    site.file("keys.json", issuer.keys());
    site.plugins(AUTH);
    site
}

fn ask(host: &Host, target: &str, fields: &str) -> Response {
    host.client().send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).response()
}

#[test]
fn a_verified_token_becomes_identity_for_the_backend() {
    let issuer = Issuer::new();
    let site = guarded(&issuer);
    let host = Host::start(&site);
    let token = issuer.token(&claims("ada-1", "site", now() + 600));
    let fields =
        format!("Authorization: Bearer {token}\r\nX-MS-CLIENT-PRINCIPAL-ID: root\r\nx-ms-client-principal: e30=\r\n");
    assert_eq!(ask(&host, "/x", &fields).status(), 200);
    let head = site.probe().head_of("/x").to_lowercase();
    assert!(head.contains("\r\nx-ms-client-principal-id: ada-1\r\n"), "{head}");
    assert_eq!(head.matches("x-ms-client-principal-id:").count(), 1, "{head}");
    assert_eq!(head.matches("\r\nx-ms-client-principal:").count(), 1, "{head}");
    assert!(!head.contains("root") && !head.contains(": e30="), "{head}");
    assert!(head.contains("\r\nx-ms-token-aad-"), "the credential goes on, as it came: {head}");
    assert!(!host.log().contains(&token), "the log holds the credential");
    host.stop(&site);
}

#[test]
fn what_is_not_proven_is_a_401_and_never_reaches_the_backend() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    let site = guarded(&issuer);
    let host = Host::start(&site);
    let unsigned =
        format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(claims("a", "site", now() + 600).as_bytes()));
    for (case, token) in [
        ("expired", issuer.token(&claims("a", "site", now() - 3600))),
        ("another audience", issuer.token(&claims("a", "elsewhere", now() + 600))),
        ("another key", stranger.token(&claims("a", "site", now() + 600))),
        ("no signature", unsigned),
        ("no token at all", "x".to_owned()),
    ] {
        let answer = ask(&host, "/x", &format!("Authorization: Bearer {token}\r\n"));
        assert_eq!(answer.status(), 401, "{case}");
        let challenge = answer.value("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer") && challenge.contains("invalid_token"), "{case}: {challenge}");
        assert!(!host.log().contains(&token) || token == "x", "{case}: the log holds the credential");
    }
    let nobody = ask(&host, "/x", "");
    assert_eq!(nobody.status(), 401);
    let challenge = nobody.value("www-authenticate").unwrap_or_default();
    // RFC 6750 §3: no error code where no credential came.
    assert!(challenge.starts_with("Bearer") && !challenge.contains("error="), "{challenge}");
    assert!(!site.probe().everything().contains(" /x "), "the backend saw a refused request");
    host.stop(&site);
}

#[test]
fn without_configuration_it_strips_and_forwards_and_demands_nothing() {
    let site = site();
    let host = Launch::new(&site).args(&["--plugin", "builtin:auth-forward"]).start();
    let fields = "Authorization: Bearer abc.def\r\nX-Auth-Id: root\r\nX_Auth_Name: root\r\n";
    assert_eq!(ask(&host, "/x", fields).status(), 200);
    let head = site.probe().head_of("/x").to_lowercase();
    assert!(head.contains("\r\nauthorization: bearer abc.def\r\n"), "{head}");
    assert!(head.contains("\r\nx-auth-token: abc.def\r\n"), "{head}");
    assert!(!head.contains("root"), "{head}");
    assert_eq!(ask(&host, "/y", "").status(), 200);
    assert!(!site.probe().head_of("/y").to_lowercase().contains("x-auth-"), "{}", site.probe().head_of("/y"));
    host.stop(&site);
}

#[test]
fn each_request_has_a_record() {
    let site = site();
    site.probe().answer("teapot", "HTTP/1.1 418 Teapot\r\nContent-Length: 5\r\n\r\nshort");
    let host = Launch::new(&site).args(&["--plugin", "builtin:request-log"]).start();
    assert_eq!(host.client().post("/count?a=1", b"hello").text(), "5");
    assert_eq!(ask(&host, "/script/teapot", "").status(), 418);
    let count = host.wait_line("/count");
    // The record names the instance that answered.
    let upstream = format!("upstream=127.0.0.1:{}", site.probe().only_start().port);
    for part in ["POST", "200", &upstream] {
        assert!(count.contains(part), "{part} is not in {count}");
    }
    let teapot = host.wait_line("/script/teapot");
    for part in ["GET", "418"] {
        assert!(teapot.contains(part), "{part} is not in {teapot}");
    }
    host.stop(&site);
}

#[test]
fn a_refused_and_a_failed_request_have_records_too() {
    let site = Site::new(web().set("arguments", "exit 3"));
    let host = Launch::new(&site).args(&["--plugin", "builtin:request-log"]).start();
    assert_eq!(ask(&host, "/fails", "").status(), 502);
    assert!(host.wait_line("/fails").contains("502"));
    host.stop(&site);
}

#[test]
fn an_idle_host_with_two_plugins_is_small() {
    let issuer = Issuer::new();
    let site = guarded(&issuer);
    let more = "\n[[plugin]]\nname = \"log\"\nmodule = \"builtin:request-log\"\n[plugin.grants]\nlog = true\n";
    site.plugins(&AUTH.replace("\n[key_sets", &format!("{more}\n[key_sets")));
    let host = Host::start(&site);
    let token = issuer.token(&claims("ada-1", "site", now() + 600));
    assert_eq!(ask(&host, "/x", &format!("Authorization: Bearer {token}\r\n")).status(), 200);
    let resident = host.memory_bytes("VmRSS");
    assert!(resident <= 40_000_000, "{resident} bytes");
    host.stop(&site);
}

const FORWARD: &str = r#"
[[plugin]]
name = "gate"
module = "builtin:forward-auth"
[plugin.config]
upstream = "auth"
path = "/verify?site=a"
copy = ["X-User"]
[plugin.grants]
log = true
http = ["auth"]

[upstreams.auth]
private = true
"#;

/// An upstream that lets those in whose cookie says so, and remembers what it was asked.
fn judge() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let (told, asked) = std::sync::mpsc::sync_channel(16);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let answer = if head.contains("pass=1") {
                "200 OK\r\nx-user: ada\r\ncontent-length: 0"
            } else {
                "302 Found\r\nlocation: /login\r\nx-user: nobody\r\ncontent-length: 0"
            };
            // Whoever asked may have gone.
            let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n").as_bytes());
            if told.send(head).is_err() {
                return;
            }
        }
    });
    (address, asked)
}

#[test]
fn an_upstream_decides_who_gets_in() {
    let (address, asked) = judge();
    let site = site();
    site.plugins(&format!("{FORWARD}url = \"http://{address}\"\n"));
    let host = Host::start(&site);
    let refused = ask(&host, "/secret?a=b", "X-User: root\r\nAuthorization: Basic eA==\r\n");
    assert_eq!((refused.status(), refused.value("location")), (302, Some("/login")));
    assert_eq!(refused.value("x-user"), None);
    assert!(site.probe().starts().is_empty(), "the application was not even woken");
    let head = asked.recv().expect("it was asked").to_lowercase();
    assert!(head.starts_with("get /verify?site=a http/1.1\r\n"), "{head}");
    for line in
        ["x-forwarded-method: get", "x-forwarded-uri: /secret?a=b", "x-forwarded-host: a", "authorization: basic ea=="]
    {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    let passed = ask(&host, "/secret", "X-User: root\r\nCookie: pass=1\r\n");
    assert_eq!(passed.status(), 200);
    let head = site.probe().head_of("/secret").to_lowercase();
    assert!(head.contains("\r\nx-user: ada\r\n") && !head.contains("root"), "{head}");
    host.stop(&site);
}

#[test]
fn an_upstream_that_is_away_lets_nobody_in() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let site = site();
    site.plugins(&format!("{FORWARD}url = \"http://{closed}\"\n"));
    let host = Host::start(&site);
    let answer = ask(&host, "/secret", "Cookie: pass=1\r\n");
    assert_eq!((answer.status(), answer.value("retry-after")), (503, Some("5")));
    assert!(site.probe().starts().is_empty());
    host.stop(&site);
}

/// A client that leaves while a hook waits has its record like any other.
#[test]
fn who_leaves_while_a_hook_waits_has_a_record() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("it is bound");
    let site = site();
    let log = "[[plugin]]\nname = \"log\"\nmodule = \"builtin:request-log\"\n[plugin.grants]\nlog = true\n";
    site.plugins(&format!("{log}{FORWARD}url = \"http://{address}\"\n"));
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    let asked = silent.accept().expect("it is asked");
    drop(client);
    let line = host.wait_line("path=/left");
    assert!(line.contains("ending=client-gone"), "{line}");
    drop(asked);
    host.stop(&site);
}
