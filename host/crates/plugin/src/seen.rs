//! What the host sees of each plugin: calls, decisions, times, instances, memory.
//!
//! Each worker counts in a shard of its own, without a lock or an atomic operation that
//! another core takes part in; whoever reads sums the shards. A hook's time is measured
//! once in [`TIMED_EVERY`] calls: two readings of the clock cost a tenth of a small hook.

mod book;
mod shard;
#[cfg(test)]
mod tests;

use crate::bindings::contract::types::{BodyInterest, ChunkVerdict, Verdict, WholeVerdict};
pub(crate) use book::Book;
pub use book::{HookSeen, PluginSeen};
pub(crate) use shard::{Begun, End, Life, Shard};

/// One call of each hook in so many is timed, the first one included. Hooks that make an
/// instance (`configure`) are timed each.
pub const TIMED_EVERY: u64 = 16;

/// Upper bounds of the time histogram, nanoseconds; one bucket more for what is above.
pub const TIME_BOUNDS_NS: [u64; 13] = [
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

/// What the host calls a plugin for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Hook {
    /// A new instance: made, started and configured.
    Configure,
    /// The request's head.
    RequestHead,
    /// The request's body in pieces.
    RequestBody,
    /// The request's body as a whole.
    RequestWhole,
    /// The response's head.
    ResponseHead,
    /// The response's body in pieces.
    ResponseBody,
    /// The response's body as a whole.
    ResponseWhole,
    /// The end of the exchange.
    Completion,
    /// Its timer is due.
    Timer,
}

impl Hook {
    /// All of them, in the order of a request.
    pub const ALL: [Self; 9] = [
        Self::Configure,
        Self::RequestHead,
        Self::RequestBody,
        Self::RequestWhole,
        Self::ResponseHead,
        Self::ResponseBody,
        Self::ResponseWhole,
        Self::Completion,
        Self::Timer,
    ];

    /// Its name in the contract, in logs and as a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::RequestHead => "request-head",
            Self::RequestBody => "request-body",
            Self::RequestWhole => "request-whole",
            Self::ResponseHead => "response-head",
            Self::ResponseBody => "response-body",
            Self::ResponseWhole => "response-whole",
            Self::Completion => "completion",
            Self::Timer => "timer",
        }
    }
}

impl std::fmt::Display for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a plugin said to a call that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Said {
    /// Go on; also what hooks that decide nothing say.
    Pass,
    /// Go on with these edits.
    Edit,
    /// Its own answer.
    Answer,
    /// It asked for a look at the body and wants none.
    Skip,
    /// It wants to see the body.
    Observe,
    /// It wants to see and change the body.
    Stream,
    /// It wants the whole body.
    Whole,
    /// An inspector was opened.
    Open,
    /// Other bytes for a chunk or a body.
    Replace,
    /// Parts of a chunk changed.
    Patch,
    /// A chunk held back or taken out.
    Drop,
    /// It has seen enough.
    Done,
    /// Other bytes, and it has seen enough.
    ReplaceDone,
    /// Parts changed, and it has seen enough.
    PatchDone,
    /// Last bytes or trailers at a body's end.
    Finish,
    /// The body is refused.
    Abort,
    /// An inspector was closed.
    Close,
}

impl Said {
    pub(crate) const ALL: [Self; 17] = [
        Self::Pass,
        Self::Edit,
        Self::Answer,
        Self::Skip,
        Self::Observe,
        Self::Stream,
        Self::Whole,
        Self::Open,
        Self::Replace,
        Self::Patch,
        Self::Drop,
        Self::Done,
        Self::ReplaceDone,
        Self::PatchDone,
        Self::Finish,
        Self::Abort,
        Self::Close,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Edit => "edit",
            Self::Answer => "answer",
            Self::Skip => "skip",
            Self::Observe => "observe",
            Self::Stream => "stream",
            Self::Whole => "whole",
            Self::Open => "open",
            Self::Replace => "replace",
            Self::Patch => "patch",
            Self::Drop => "drop",
            Self::Done => "done",
            Self::ReplaceDone => "replace-done",
            Self::PatchDone => "patch-done",
            Self::Finish => "finish",
            Self::Abort => "abort",
            Self::Close => "close",
        }
    }
}

impl From<&Verdict> for Said {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Edited(_) => Self::Edit,
            Verdict::Respond(_) => Self::Answer,
            Verdict::Inspect((_, BodyInterest::Skip)) => Self::Skip,
            Verdict::Inspect((_, BodyInterest::Observe)) => Self::Observe,
            Verdict::Inspect((_, BodyInterest::Stream)) => Self::Stream,
            Verdict::Inspect((_, BodyInterest::Whole(_))) => Self::Whole,
        }
    }
}

impl From<&WholeVerdict> for Said {
    fn from(verdict: &WholeVerdict) -> Self {
        match verdict {
            WholeVerdict::Pass => Self::Pass,
            WholeVerdict::Edited(_) => Self::Edit,
            WholeVerdict::Replace(_) => Self::Replace,
            WholeVerdict::Respond(_) => Self::Answer,
        }
    }
}

impl From<&ChunkVerdict> for Said {
    fn from(verdict: &ChunkVerdict) -> Self {
        match verdict {
            ChunkVerdict::Pass => Self::Pass,
            ChunkVerdict::Done => Self::Done,
            ChunkVerdict::Replace(bytes) if bytes.is_empty() => Self::Drop,
            ChunkVerdict::Replace(_) => Self::Replace,
            ChunkVerdict::ReplaceDone(_) => Self::ReplaceDone,
            ChunkVerdict::Patch(_) => Self::Patch,
            ChunkVerdict::PatchDone(_) => Self::PatchDone,
            ChunkVerdict::Abort(_) => Self::Abort,
        }
    }
}
