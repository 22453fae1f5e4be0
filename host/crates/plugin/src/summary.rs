//! The facts of a finished exchange, in the contract's words.

use crate::bindings::hooks::completion::{Ending as ToldEnding, Summary as Told};
use wire::ports::{Ending, Summary};

/// What completion hooks are told.
pub(crate) fn told(summary: &Summary) -> Told {
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    Told {
        status: summary.status.map(|status| status.as_u16()),
        ending: match summary.ending {
            Ending::Complete => ToldEnding::Complete,
            Ending::ClientGone => ToldEnding::ClientGone,
            Ending::BackendGone => ToldEnding::UpstreamGone,
            Ending::Refused => ToldEnding::Refused,
            Ending::TimedOut => ToldEnding::TimedOut,
            Ending::Fault => ToldEnding::Fault,
        },
        duration_us: micros(summary.duration),
        first_byte_us: summary.first_byte.map(micros),
        bytes_in: summary.bytes_in,
        bytes_out: summary.bytes_out,
        upstream: summary.upstream.map(|address| address.to_string()),
        detail: summary.detail.as_deref().map(str::to_owned),
    }
}
