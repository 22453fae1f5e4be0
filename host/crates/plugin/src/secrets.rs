//! Secrets that the operator names: plugins use them, or read them if they are granted that.
//!
//! Nothing here has a `Debug` or `Display`, so that no log line, page or error can hold
//! one. The memory of a secret is wiped when the last generation that knows it ends; what
//! a plugin was shown lives in its own memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longest secret, bytes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// Secrets by name.
#[derive(Clone, Default)]
pub struct Secrets {
    by_name: BTreeMap<String, Arc<Secret>>,
}

/// One secret.
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secrets {
    /// No secret at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret. One line break at its end is taken off: editors and `echo` put it there.
    ///
    /// # Errors
    /// Says what is wrong, without a word of the secret: it is empty or too long.
    pub fn insert(&mut self, name: impl Into<String>, bytes: Vec<u8>) -> Result<(), String> {
        let mut bytes = Zeroizing::new(bytes);
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err("it is empty".to_owned());
        }
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(format!("it has {} bytes; a secret has at most {SECRET_BYTES_MAX}", bytes.len()));
        }
        self.by_name.insert(name.into(), Arc::new(Secret(bytes)));
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Secret>> {
        self.by_name.get(name).cloned()
    }
}

impl Secret {
    /// The bytes: for a plugin that may read it, or a header field that is marked sensitive.
    pub(crate) fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// HMAC-SHA-256 (RFC 2104) of `data` under this key.
    pub(crate) fn hmac_sha256(&self, data: &[u8]) -> Vec<u8> {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.0);
        ring::hmac::sign(&key, data).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::{SECRET_BYTES_MAX, Secrets};

    #[test]
    fn one_line_break_is_taken_off() {
        let mut secrets = Secrets::new();
        for (bytes, expected) in [
            (&b"key"[..], &b"key"[..]),
            (b"key\n", b"key"),
            (b"key\r\n", b"key"),
            (b"key\n\n", b"key\n"),
            (b" key\r", b" key\r"),
            (b"\0", b"\0"),
        ] {
            assert_eq!(secrets.insert("a", bytes.to_vec()), Ok(()));
            assert!(secrets.get("a").is_some_and(|secret| secret.reveal() == expected), "{bytes:?}");
        }
        assert!(secrets.get("b").is_none());
    }

    #[test]
    fn sizes_are_bounded() {
        let mut secrets = Secrets::new();
        assert_eq!(secrets.insert("a", vec![b'x'; SECRET_BYTES_MAX]), Ok(()));
        for (bytes, word) in
            [(Vec::new(), "empty"), (b"\r\n".to_vec(), "empty"), (vec![b'x'; SECRET_BYTES_MAX + 1], "65537")]
        {
            let why = secrets.insert("b", bytes).expect_err("refused");
            assert!(why.contains(word) && !why.contains('x'), "{why}");
        }
    }

    #[test]
    fn hmac_is_the_standard_one() {
        // RFC 4231 §4.3.
        let mut secrets = Secrets::new();
        secrets.insert("a", b"Jefe".to_vec()).expect("a key");
        let told = secrets.get("a").expect("there").hmac_sha256(b"what do ya want for nothing?");
        assert_eq!(told[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(told[28..], [0x64, 0xec, 0x38, 0x43]);
    }
}
