//! What a hook is shown.

use crate::Field;

/// The selected values of one exchange, in the order in which they were asked for.
#[derive(Clone, Debug, Default)]
pub struct View(Vec<Option<Vec<u8>>>);

impl View {
    /// A view of these values: for a plugin's own tests.
    #[must_use]
    pub fn new(values: Vec<Option<Vec<u8>>>) -> Self {
        Self(values)
    }

    /// The bytes of a field; `None` if this exchange has no such thing.
    #[must_use]
    pub fn bytes(&self, field: Field) -> Option<&[u8]> {
        self.0.get(field.0)?.as_deref()
    }

    /// A field as text; `None` also if it is not UTF-8, which HTTP does not promise.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&str> {
        std::str::from_utf8(self.bytes(field)?).ok()
    }
}
