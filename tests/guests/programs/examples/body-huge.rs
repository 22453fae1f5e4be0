//! Answers each chunk with as many bytes as the chunk says.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};

inspects!("body-huge", BodyInterest::Stream, Watch);

#[derive(Default)]
struct Watch;

impl Inspector for Watch {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        let bytes = std::str::from_utf8(&data).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        ChunkVerdict::Replace(vec![b'x'; bytes])
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        EndVerdict::Pass
    }
}
