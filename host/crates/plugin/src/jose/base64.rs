//! Base64: the URL alphabet without padding for tokens (RFC 7515 §2), the standard
//! one for `Basic` (RFC 4648 §4).

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes the URL alphabet without padding; `None` for anything else, also for
/// left-over bits, so that one value has one spelling.
pub(crate) fn decode_url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let mut bits = 0_u32;
    let mut count = 0;
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
        bits &= 0xff;
    }
    let left = bits & ((1 << count) - 1);
    (count < 6 && left == 0).then_some(out)
}

/// Encodes with the standard alphabet and padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group.iter_mut().zip(chunk).for_each(|(place, byte)| *place = *byte);
        let [a, b, c] = group.map(u32::from);
        let bits = a << 16 | b << 8 | c;
        for at in 0..4 {
            let letter = STANDARD.get((bits >> (18 - 6 * at) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{decode_url, encode};

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (plain, standard) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\u{ff}\u{fe}>?", "w7/Dvj4/"),
        ] {
            assert_eq!(encode(plain.as_bytes()), standard);
            let url = standard.trim_end_matches('=').replace('+', "-").replace('/', "_");
            assert_eq!(decode_url(&url).as_deref(), Some(plain.as_bytes()), "{url}");
        }
        for bad in ["Zg==", "Zh", "Z", "Zm9v\n", "w7/D", "Zm9vY"] {
            assert_eq!(decode_url(bad), None, "{bad}");
        }
    }
}
