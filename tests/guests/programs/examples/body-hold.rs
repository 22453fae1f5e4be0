//! Holds all of a body and releases it at its end.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::Tail;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};

inspects!("body-hold", BodyInterest::Stream, Watch::default());

#[derive(Default)]
struct Watch(Vec<u8>);

impl Inspector for Watch {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        self.0.extend(data);
        ChunkVerdict::Replace(Vec::new())
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        EndVerdict::Finish(Tail { data: std::mem::take(&mut self.0), trailers: None })
    }
}
