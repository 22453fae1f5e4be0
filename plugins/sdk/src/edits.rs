//! What a hook answers: edits and responses put together in one expression.

use crate::{Edit, Header, Response, Slot, Verdict};

/// Changes to the message at hand, in order.
#[derive(Clone, Debug, Default)]
#[must_use = "edits do nothing until they are a verdict"]
pub struct Edits(Vec<Edit>);

impl Edits {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a declared output.
    pub fn set(self, slot: Slot, value: impl Into<Vec<u8>>) -> Self {
        self.push(Edit::SetSlot((slot.0, value.into())))
    }

    /// Sets a header by name: one line instead of all there are.
    pub fn set_header(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.push(Edit::Set(Header { name: name.to_owned(), value: value.into() }))
    }

    /// Adds a header line.
    pub fn append(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.push(Edit::Append(Header { name: name.to_owned(), value: value.into() }))
    }

    /// Removes all lines of a header.
    pub fn remove(self, name: &str) -> Self {
        self.push(Edit::Remove(name.to_owned()))
    }

    /// Sets the response's status.
    pub fn status(self, status: u16) -> Self {
        self.push(Edit::Status(status))
    }

    /// Sets the request's target.
    pub fn path_and_query(self, target: &str) -> Self {
        self.push(Edit::PathAndQuery(target.to_owned()))
    }

    /// Adds any edit.
    pub fn push(mut self, edit: Edit) -> Self {
        self.0.push(edit);
        self
    }

    /// The edits themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<Edit> {
        self.0
    }

    /// Go on with these changes; without any, unchanged.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        if self.0.is_empty() { Verdict::Pass } else { Verdict::Edited(self.0) }
    }
}

impl Response {
    /// A response without fields or body. The host adds length, date and framing.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), reason: None }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header { name: name.to_owned(), value: value.into() });
        self
    }

    /// Gives it a body of plain text, with a line end.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.body = format!("{text}\n").into_bytes();
        self.header("content-type", "text/plain; charset=utf-8")
    }

    /// Says why; for the operator's log only.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Stop here and answer this.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        Verdict::Respond(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_edit_is_a_pass() {
        assert!(matches!(Edits::new().verdict(), Verdict::Pass));
        let Verdict::Edited(edits) = Edits::new().set(Slot(1), "a").remove("b").status(204).verdict() else {
            panic!("edits must be told")
        };
        let [Edit::SetSlot((1, value)), Edit::Remove(name), Edit::Status(204)] = &edits[..] else {
            panic!("{edits:?}")
        };
        assert_eq!((&value[..], &name[..]), (&b"a"[..], "b"));
    }

    #[test]
    fn a_response_carries_its_text() {
        let response = Response::new(404).header("x-a", "1").text("No.").reason("none");
        assert_eq!((response.status, &response.body[..]), (404, &b"No.\n"[..]));
        assert_eq!(response.headers.len(), 2);
        assert_eq!(response.reason.as_deref(), Some("none"));
    }
}
