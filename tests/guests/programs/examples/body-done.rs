//! Marks the first chunk and lets the rest go past.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::Patch;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};

fn len(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}

inspects!("body-done", BodyInterest::Stream, Watch);

#[derive(Default)]
struct Watch;

impl Inspector for Watch {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        ChunkVerdict::PatchDone(vec![
            Patch { at: 0, remove: 1, insert: b"<".to_vec() },
            Patch { at: len(&data), remove: 0, insert: b">".to_vec() },
        ])
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        EndVerdict::Pass
    }
}
