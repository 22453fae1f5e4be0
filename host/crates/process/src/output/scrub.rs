//! Takes the pairing token out of a stream of bytes.

use super::escape::find;
use wire::PairingToken;

/// What stands in the token's place.
const INSTEAD: &[u8] = b"[pairing token]";

/// Behind so many of its bytes the token may go on in the next line. Not before:
/// a line that ends with the token's first letter must not wait for the next one.
const BROKEN_BEHIND: usize = 8;

/// Removes the token wherever it stands, also across the borders of reads and
/// when it is broken into lines.
pub(super) struct Scrubber {
    token: PairingToken,
    /// The end of the last piece, as far as the token may begin there.
    held: Vec<u8>,
}

impl Scrubber {
    pub(super) fn new(token: PairingToken) -> Self {
        Self { token, held: Vec::new() }
    }

    /// The next piece without the token. At most twice the token's
    /// length is held back.
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
            match compare(token, candidate) {
                Match::Whole(length) => {
                    out.extend_from_slice(INSTEAD);
                    rest = candidate.get(length..).unwrap_or_default();
                }
                Match::Beginning => {
                    self.held = candidate.to_vec();
                    return out;
                }
                Match::Other => {
                    let (one, after) = candidate.split_at(1);
                    out.extend_from_slice(one);
                    rest = after;
                }
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

enum Match {
    /// The token, in so many bytes.
    Whole(usize),
    /// Its beginning and nothing else.
    Beginning,
    Other,
}

fn compare(token: &[u8], candidate: &[u8]) -> Match {
    let mut matched = 0;
    for (at, byte) in candidate.iter().enumerate() {
        if token.get(matched) == Some(byte) {
            matched += 1;
            if matched == token.len() {
                return Match::Whole(at + 1);
            }
        } else if !matches!(byte, b'\r' | b'\n') || matched < BROKEN_BEHIND || at - matched >= token.len() {
            return Match::Other;
        }
    }
    Match::Beginning
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

    #[test]
    fn a_token_that_is_broken_into_lines_is_found() {
        let token = "0123456789abcdef";
        let cases: [(&[&str], &str); 8] = [
            (&["x 01234567\n89abcdef y"], "x [pairing token] y"),
            (&["01234567\r\n89ab\ncdef\n"], "[pairing token]\n"),
            (&["01234567\r", "\n89abcd", "ef"], "[pairing token]"),
            // A short beginning at the end of a line is told at once, with the line.
            (&["0\n"], "0\n"),
            (&["0123456\n789abcdef"], "0123456\n789abcdef"),
            (&["012345678\n", "other"], "012345678\nother"),
            (&["01234567\n01234567\n89abcdef"], "01234567\n[pairing token]"),
            (&["0123456789abcdef0123456789abcdef\n"], "[pairing token][pairing token]\n"),
        ];
        for (pieces, expected) in cases {
            assert_eq!(check(token, pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn what_is_held_back_stays_small() {
        let mut scrubber = Scrubber::new(PairingToken::from_text("0123456789abcdef").unwrap());
        assert_eq!(scrubber.push(b"01234567"), b"");
        let mut out = Vec::new();
        for _ in 0..100_000 {
            out.extend(scrubber.push(b"\n"));
            assert!(scrubber.held.len() <= 32);
        }
        out.extend(scrubber.finish());
        assert_eq!(out.len(), 100_008);
    }
}
