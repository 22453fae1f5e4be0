//! A new pairing token for each attempt.

use wire::PairingToken;

/// 256 bits from the system, or the text that the configuration demands.
///
/// # Errors
/// A sentence that says why there is none; it never holds the token's text.
pub(crate) fn token(configured: Option<&str>) -> Result<PairingToken, String> {
    if let Some(text) = configured {
        return PairingToken::from_text(text).ok_or_else(|| {
            "The pairing token set in environmentVariables does not fit a header: \
             it must be 1 to 1,024 visible ASCII characters."
                .to_owned()
        });
    }
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|e| format!("The system gave no random bytes for the pairing token: {e}."))?;
    Ok(PairingToken::from_random(bits))
}

/// A number below `end`, each equally likely. 0 if the system gives no random
/// bytes: what uses it only spreads load, and must not fail for it.
pub(crate) fn random_below(end: u32) -> u32 {
    let end = u64::from(end.max(1));
    // 64 bits scaled down: the error against a uniform draw is below 2^-32.
    let scaled = (u128::from(random()) * u128::from(end)) >> 64;
    u32::try_from(scaled).unwrap_or(0)
}

/// 64 random bits, for what need not be secret; 0 if the system gives none.
pub(crate) fn random() -> u64 {
    let mut bits = [0; 8];
    if getrandom::fill(&mut bits).is_err() {
        return 0;
    }
    u64::from_le_bytes(bits)
}

#[cfg(test)]
mod tests {
    use super::{random_below, token};

    #[test]
    fn each_attempt_has_its_own_token() {
        let (a, b) = (token(None).unwrap(), token(None).unwrap());
        assert_eq!(a.reveal().len(), 64);
        assert!(!a.matches(b.reveal()));
    }

    #[test]
    fn a_configured_token_is_honoured_or_refused_without_naming_it() {
        assert!(token(Some("fixed")).unwrap().matches(b"fixed"));
        let refused = token(Some("two words")).err().unwrap();
        assert!(!refused.contains("two words"), "{refused}");
    }

    #[test]
    fn draws_stay_below_their_end() {
        for end in [1, 2, 38001] {
            assert!((0..1000).all(|_| random_below(end) < end));
        }
    }
}
