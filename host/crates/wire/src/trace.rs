//! What became of one exchange, part by part, for an asker who has the key.

use crate::PluginFault;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// The field by which a client asks for a trace. It goes no further than the pipeline.
pub const TRACE: &str = "gatelodge-trace";

/// Different things that one hook may say in one exchange; what comes beyond is not told apart.
const WORDS_MAX: usize = 16;

/// Whoever sends this in [`TRACE`] is told what the host does with a request.
///
/// It has neither `Debug` nor `Display`; its memory is cleared when the last owner goes.
#[derive(Clone)]
pub struct TraceKey(Arc<Secret>);

struct Secret(Vec<u8>);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl TraceKey {
    /// Shortest key, bytes. `openssl rand -hex 32` gives four times as many.
    pub const BYTES_MIN: usize = 16;
    /// Longest key, bytes: it has to fit a head.
    pub const BYTES_MAX: usize = 1024;

    /// Takes a key's bytes. One line break at their end is taken off: editors put it there.
    ///
    /// # Errors
    /// Says what is wrong, without a word of the key: it is too short, too long, or can't be
    /// the value of a field (RFC 9110 §5.5: visible ASCII only here).
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        // Wiped from here on, also where it is refused.
        let mut secret = Secret(bytes);
        let bytes = &mut secret.0;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        let length = bytes.len();
        if !(Self::BYTES_MIN..=Self::BYTES_MAX).contains(&length) {
            return Err(format!("it has {length} bytes; a key has {} to {}", Self::BYTES_MIN, Self::BYTES_MAX));
        }
        if !bytes.iter().all(u8::is_ascii_graphic) {
            return Err("it holds other bytes than visible ASCII".to_owned());
        }
        Ok(Self(Arc::new(secret)))
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.0.ct_eq(other).into()
    }
}

/// A part of an exchange that took time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The choice of an instance, and the wait for one where none takes requests.
    Wake,
    /// From there to the response's head, the request's body included.
    Backend,
    /// A hook.
    Hook {
        /// Name of the plugin.
        plugin: Arc<str>,
        /// Name of the hook in the contract.
        hook: &'static str,
    },
}

/// What a part came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// To what was expected of it.
    Well,
    /// A plugin said this.
    Said(&'static str),
    /// A plugin failed.
    Fault(PluginFault),
    /// It failed otherwise.
    Failed,
    /// It was given up before its end.
    Dropped,
}

/// One part with all its times.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which.
    pub part: Part,
    /// What it came to, with how often; in order of the first time.
    pub came: Vec<(Came, u32)>,
    /// All of them together.
    pub took: Duration,
}

/// The parts of one exchange so far, in the order in which they were first done. Shared with
/// the hooks of bodies, which run while the exchange is elsewhere.
#[derive(Default)]
pub struct Trace(Mutex<Vec<Step>>);

impl Trace {
    /// Adds to a part. There are as many as hooks, so that this stays small.
    pub fn add(&self, part: Part, came: Came, took: Duration) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(step) = steps.iter_mut().find(|step| step.part == part) else {
            steps.push(Step { part, came: vec![(came, 1)], took });
            return;
        };
        step.took = step.took.saturating_add(took);
        let has_room = step.came.len() < WORDS_MAX;
        match step.came.iter_mut().find(|(known, _)| *known == came) {
            Some((_, count)) => *count = count.saturating_add(1),
            None if has_room => step.came.push((came, 1)),
            None => {}
        }
    }

    /// What there is so far.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long a part has taken so far.
    #[must_use]
    pub fn took(&self, part: &Part) -> Duration {
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.iter().find(|step| step.part == *part).map_or(Duration::ZERO, |step| step.took)
    }
}

#[cfg(test)]
mod tests {
    use super::{Came, Part, Trace, TraceKey, WORDS_MAX};
    use std::time::Duration;

    #[test]
    fn a_key_has_its_length_and_is_compared_whole() {
        let key = |length: usize| TraceKey::new(vec![b'k'; length]);
        for (length, fits) in [(0, false), (15, false), (16, true), (1024, true), (1025, false)] {
            assert_eq!(key(length).is_ok(), fits, "{length}");
        }
        for bytes in [&b"0123456789 abcdef"[..], b"0123456789abcdef\r", b"0123456789abcde\xff"] {
            let why = TraceKey::new(bytes.to_vec()).err().expect("refused");
            assert!(!why.contains("0123"), "{why}");
        }
        for broken in [&b"0123456789abcdef\n"[..], b"0123456789abcdef\r\n", b"0123456789abcdef"] {
            let key = TraceKey::new(broken.to_vec()).expect("a key");
            assert!(key.matches(b"0123456789abcdef") && !key.matches(broken) | !broken.ends_with(b"\n"));
        }
        let key = TraceKey::new(b"0123456789abcdef".to_vec()).expect("a key");
        for (sent, matches) in [
            (&b"0123456789abcdef"[..], true),
            (b"0123456789abcdeF", false),
            (b"0123456789abcde", false),
            (b"0123456789abcdef0", false),
            (b"", false),
        ] {
            assert_eq!(key.matches(sent), matches, "{sent:?}");
        }
    }

    #[test]
    fn a_part_is_one_step_however_often_it_runs() {
        let trace = Trace::default();
        let body = || Part::Hook { plugin: "a".into(), hook: "response-body" };
        trace.add(Part::Wake, Came::Well, Duration::from_micros(5));
        for said in ["open", "pass", "pass", "close"] {
            trace.add(body(), Came::Said(said), Duration::from_micros(2));
        }
        trace.add(Part::Hook { plugin: "b".into(), hook: "response-body" }, Came::Dropped, Duration::ZERO);
        let steps = trace.steps();
        assert_eq!(steps.len(), 3);
        assert_eq!(steps[1].came, [(Came::Said("open"), 1), (Came::Said("pass"), 2), (Came::Said("close"), 1)]);
        assert_eq!((steps[1].took, trace.took(&body())), (Duration::from_micros(8), Duration::from_micros(8)));
        assert_eq!(trace.took(&Part::Backend), Duration::ZERO);
    }

    #[test]
    fn words_are_bounded() {
        const WORDS: [&str; 17] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"];
        for (words, kept) in [(WORDS_MAX, WORDS_MAX), (WORDS_MAX + 1, WORDS_MAX)] {
            let trace = Trace::default();
            WORDS[..words].iter().for_each(|word| trace.add(Part::Backend, Came::Said(word), Duration::from_nanos(1)));
            assert_eq!(trace.steps()[0].came.len(), kept);
            assert_eq!(trace.took(&Part::Backend), Duration::from_nanos(words as u64), "times are all counted");
        }
    }
}
