//! The pairing token: what proves to the backend that a request came through us.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// The secret shared by the host and one start of the backend.
///
/// It has neither `Debug` nor `Display`, so that it can't reach a log line, a
/// page or a panic by accident; whoever needs its text asks for it by name with
/// [`PairingToken::reveal`]. The memory is cleared when the last owner goes.
#[derive(Clone)]
pub struct PairingToken(std::sync::Arc<Secret>);

struct Secret(Vec<u8>);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PairingToken {
    /// Takes a token's text. `None` if it is empty, longer than 1,024 bytes, or
    /// holds a byte that does not fit both a header value and an environment
    /// value (RFC 9110 §5.5: visible ASCII only here).
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= 1024 && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(std::sync::Arc::new(Secret(text.as_bytes().to_vec()))))
    }

    /// A token of 256 random bits as 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_random(bits: [u8; 32]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = Vec::with_capacity(64);
        for byte in bits {
            text.extend(DIGITS.get(usize::from(byte >> 4)));
            text.extend(DIGITS.get(usize::from(byte & 15)));
        }
        Self(std::sync::Arc::new(Secret(text)))
    }

    /// The token's bytes: visible ASCII. Only for the child's environment, the
    /// outbound head, and the scrubbing of captured output.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0.0
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.0.ct_eq(other).into()
    }
}

#[cfg(test)]
mod tests {
    use super::PairingToken;

    #[test]
    fn text_is_checked_and_random_is_64_digits() {
        for (text, taken) in [("", false), ("a b", false), ("a\r\nb", false), ("fixed", true), ("\u{e9}", false)] {
            assert_eq!(PairingToken::from_text(text).is_some(), taken, "{text:?}");
        }
        assert!(PairingToken::from_text(&"x".repeat(1024)).is_some());
        assert!(PairingToken::from_text(&"x".repeat(1025)).is_none());
        let token = PairingToken::from_random([0xa5; 32]);
        assert_eq!(token.reveal(), "a5".repeat(32).as_bytes());
        assert!(token.matches("a5".repeat(32).as_bytes()));
        assert!(!token.matches(b"a5"));
    }
}
