//! Takes the pairing token out of a stream of bytes.

use super::escape::find;
use wire::PairingToken;

/// What stands in the token's place.
const INSTEAD: &[u8] = b"[pairing token]";

/// Removes the token wherever it stands, also across the borders of reads.
pub(super) struct Scrubber {
    token: PairingToken,
    /// The end of the last piece, as far as the token may begin there.
    held: Vec<u8>,
}

impl Scrubber {
    pub(super) fn new(token: PairingToken) -> Self {
        Self { token, held: Vec::new() }
    }

    /// The next piece without the token. At most the token's length is held back.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let token = self.token.reveal();
        let Some(&first) = token.first() else { return bytes.to_vec() };
        let mut input = std::mem::take(&mut self.held);
        input.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(input.len());
        let mut rest = input.as_slice();
        while let Some(at) = find(rest, first) {
            let (before, candidate) = rest.split_at(at);
            out.extend_from_slice(before);
            if let Some(after) = candidate.strip_prefix(token) {
                out.extend_from_slice(INSTEAD);
                rest = after;
            } else if token.starts_with(candidate) {
                self.held = candidate.to_vec();
                return out;
            } else {
                let (one, after) = candidate.split_at(1);
                out.extend_from_slice(one);
                rest = after;
            }
        }
        out.extend_from_slice(rest);
        out
    }

    /// What was held back: the stream has ended within it. A long beginning of
    /// the token is no less secret than most of it.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        if held.len() * 2 > self.token.reveal().len() { INSTEAD.to_vec() } else { held }
    }
}

#[cfg(test)]
mod tests {
    use super::Scrubber;
    use wire::PairingToken;

    fn check(token: &str, pieces: &[&str]) -> String {
        let mut scrubber = Scrubber::new(PairingToken::from_text(token).unwrap());
        let mut out: Vec<u8> = pieces.iter().flat_map(|p| scrubber.push(p.as_bytes())).collect();
        out.extend(scrubber.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_token_goes_wherever_it_stands() {
        let cases: [(&str, &[&str], &str); 11] = [
            ("abab", &["x"], "x"),
            ("abab", &["abab"], "[pairing token]"),
            ("abab", &["1abab2"], "1[pairing token]2"),
            ("abab", &["ab", "ab"], "[pairing token]"),
            ("abab", &["a", "b", "a", "b"], "[pairing token]"),
            ("abab", &["aab", "ab"], "a[pairing token]"),
            ("abab", &["abaab", "ab!"], "aba[pairing token]!"),
            ("abab", &["abac"], "abac"),
            ("abab", &["ab"], "ab"),
            ("abab", &["aba"], "[pairing token]"),
            ("aab", &["aaab"], "a[pairing token]"),
        ];
        for (token, pieces, expected) in cases {
            assert_eq!(check(token, pieces), expected, "{token} {pieces:?}");
        }
    }

    #[test]
    fn every_border_is_a_border() {
        let token = "0123456789abcdef".repeat(4);
        let text = format!("expected {token}, got nothing; {token}{token}");
        for cut in 0..=text.len() {
            let (a, b) = text.split_at(cut);
            assert_eq!(
                check(&token, &[a, b]),
                "expected [pairing token], got nothing; [pairing token][pairing token]",
                "{cut}"
            );
        }
    }
}
