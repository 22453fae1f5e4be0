//! One key of a JWK set (RFC 7517, 7518 §6, 8037 §2).

use super::base64::decode_url;
use ring::{hmac, signature};

/// Shortest shared secret, bytes: as long as the shortest hash (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Shortest RSA modulus, bytes (RFC 7518 §3.3: 2048 bits).
const MODULUS_BYTES_MIN: usize = 256;
/// Longest RSA modulus, bytes: longer ones make each check dear.
const MODULUS_BYTES_MAX: usize = 1024;

/// Signature algorithms (RFC 7518 §3.1, 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alg {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Alg {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

const SECRET: &[Alg] = &[Alg::Hs256, Alg::Hs384, Alg::Hs512];
const RSA: &[Alg] = &[Alg::Rs256, Alg::Rs384, Alg::Rs512, Alg::Ps256, Alg::Ps384, Alg::Ps512];

/// A key with the algorithms that it may be used for.
pub(super) struct Key {
    pub(super) id: Option<String>,
    algs: Vec<Alg>,
    material: Material,
}

enum Material {
    Secret(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The uncompressed point.
    Ec(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Drop for Material {
    fn drop(&mut self) {
        if let Self::Secret(secret) = self {
            secret.fill(0);
            std::hint::black_box(secret);
        }
    }
}

/// A key as it stands in the JSON. Members that are not listed mean nothing here.
#[derive(serde::Deserialize)]
pub(super) struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl Jwk {
    /// The key; `None` if it is not for signatures or of a kind that is not offered.
    pub(super) fn key(self) -> Result<Option<Key>, String> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Ok(None);
        }
        let (possible, material): (&[Alg], _) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => (SECRET, Material::Secret(member(self.k.as_deref(), "k")?)),
            ("RSA", _) => (RSA, rsa(member(self.n.as_deref(), "n")?, member(self.e.as_deref(), "e")?)?),
            ("EC", Some("P-256")) => (&[Alg::Es256], point(32, self.x.as_deref(), self.y.as_deref())?),
            ("EC", Some("P-384")) => (&[Alg::Es384], point(48, self.x.as_deref(), self.y.as_deref())?),
            ("OKP", Some("Ed25519")) => {
                let x = member(self.x.as_deref(), "x")?;
                if x.len() != 32 {
                    return Err(format!("x has {} bytes, not 32", x.len()));
                }
                (&[Alg::EdDsa], Material::Ed25519(x))
            }
            _ => return Ok(None),
        };
        if let Material::Secret(secret) = &material
            && secret.len() < SECRET_BYTES_MIN
        {
            return Err(format!("a shared secret has at least {SECRET_BYTES_MIN} bytes (RFC 7518 §3.2)"));
        }
        let algs = match self.alg.as_deref().map(Alg::parse) {
            None => possible.to_vec(),
            Some(Some(alg)) if possible.contains(&alg) => vec![alg],
            Some(Some(_)) => return Err("\"alg\" does not fit \"kty\"".to_owned()),
            Some(None) => return Ok(None),
        };
        Ok(Some(Key { id: self.kid, algs, material }))
    }
}

fn member(text: Option<&str>, name: &str) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("member \"{name}\" is missing"))?;
    decode_url(text).ok_or_else(|| format!("member \"{name}\" is not base64url"))
}

fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Material, String> {
    let strip = |number: Vec<u8>| number.iter().position(|byte| *byte != 0).map(|at| number[at..].to_vec());
    let (Some(n), Some(e)) = (strip(n), strip(e)) else { return Err("an RSA key of zero".to_owned()) };
    if !(MODULUS_BYTES_MIN..=MODULUS_BYTES_MAX).contains(&n.len()) {
        return Err(format!("an RSA modulus of {} bits; 2048 to 8192 are taken", n.len() * 8));
    }
    Ok(Material::Rsa { n, e })
}

fn point(bytes: usize, x: Option<&str>, y: Option<&str>) -> Result<Material, String> {
    let (x, y) = (member(x, "x")?, member(y, "y")?);
    if x.len() != bytes || y.len() != bytes {
        return Err(format!("coordinates of {} and {} bytes, not {bytes}", x.len(), y.len()));
    }
    let mut point = Vec::with_capacity(2 * bytes + 1);
    point.push(4);
    point.extend(x);
    point.extend(y);
    Ok(Material::Ec(point))
}

impl Key {
    pub(super) fn allows(&self, alg: Alg) -> bool {
        self.algs.contains(&alg)
    }

    /// True if `signature` is this key's over `message`. The caller has asked [`Key::allows`].
    pub(super) fn verify(&self, alg: Alg, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(secret) => {
                let algorithm = match alg {
                    Alg::Hs256 => hmac::HMAC_SHA256,
                    Alg::Hs384 => hmac::HMAC_SHA384,
                    Alg::Hs512 => hmac::HMAC_SHA512,
                    _ => return false,
                };
                hmac::verify(&hmac::Key::new(algorithm, secret), message, signature).is_ok()
            }
            Material::Rsa { n, e } => {
                let parameters = match alg {
                    Alg::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Alg::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Alg::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Alg::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Alg::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Alg::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                signature::RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            Material::Ec(point) => {
                let algorithm = match alg {
                    Alg::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Alg::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
                    _ => return false,
                };
                signature::UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
            }
            Material::Ed25519(x) => {
                alg == Alg::EdDsa
                    && signature::UnparsedPublicKey::new(&signature::ED25519, x).verify(message, signature).is_ok()
            }
        }
    }
}
