//! Looks for a word across chunk borders, with a memory of its own for each body.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::Response;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};

inspects!("body-window", BodyInterest::Observe, Watch::default());

#[derive(Default)]
struct Watch(Vec<u8>);

impl Inspector for Watch {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        self.0.extend(data);
        if self.0.windows(5).any(|window| window == b"EICAR") {
            return ChunkVerdict::Abort(Response::new(422).text("Found."));
        }
        self.0.drain(..self.0.len().saturating_sub(4));
        ChunkVerdict::Pass
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        EndVerdict::Pass
    }
}
