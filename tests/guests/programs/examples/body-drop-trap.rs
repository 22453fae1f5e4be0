//! Traps when what looked at a body is dropped.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};

inspects!("body-drop-trap", BodyInterest::Stream, Watch);

#[derive(Default)]
struct Watch;

impl Inspector for Watch {
    fn chunk(&mut self, _: Vec<u8>) -> ChunkVerdict {
        ChunkVerdict::Pass
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        EndVerdict::Pass
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        std::process::abort();
    }
}
