//! Randomness that can be had again: a seed is chosen once, told when a test
//! fails, and taken from `GATELODGE_SEED` where somebody sets it.

use std::io::Write as _;

/// The variable that sets the seed.
const VARIABLE: &str = "GATELODGE_SEED";

/// A test's seed. Tells itself on standard error where the test panics.
#[derive(Debug)]
pub struct Seed(u64);

impl Seed {
    /// The seed of the environment, or a new one.
    ///
    /// # Panics
    /// If the variable is set to anything but a number.
    #[must_use]
    pub fn choose() -> Self {
        match std::env::var(VARIABLE) {
            Ok(text) => Self(text.parse().expect("GATELODGE_SEED is a number")),
            Err(_) => {
                let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
                Self(u64::from(since.subsec_nanos()) << 16 | u64::from(std::process::id() & 0xffff))
            }
        }
    }

    /// A source of its own for each purpose: what one draws changes nothing for another.
    #[must_use]
    pub fn source(&self, purpose: u64) -> Random {
        let mut random = Random(self.0 ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.draw();
        random
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "--- to see the same again: {VARIABLE}={}", self.0);
        }
    }
}

/// A source of random numbers (SplitMix64): for tests, never for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, which is left out.
    ///
    /// # Panics
    /// If `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn a_seed_gives_the_same_again_and_purposes_differ() {
        let draw = |seed: u64, purpose| {
            let mut source = Seed(seed).source(purpose);
            (0..5).map(|_| source.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }
}
