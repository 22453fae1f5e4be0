//! The request target: one form for rules, mappings, plugins and logs.

/// The path as rules see it: percent-decoded once, dot segments resolved.
///
/// The backend gets the target as the client sent it; this form only decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanonicalPath {
    /// The path of the raw target is already canonical.
    AsSent,
    /// The canonical path, when it differs from the raw one.
    Decoded(Box<str>),
}
