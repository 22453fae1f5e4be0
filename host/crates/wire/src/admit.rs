//! Admission: from a parsed head to a [`crate::RequestHead`] or a refusal.
