//! Refuses a body that holds an exclamation mark.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::Response;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};

inspects!("body-abort", BodyInterest::Observe, Watch);

#[derive(Default)]
struct Watch;

impl Inspector for Watch {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        if data.contains(&b'!') {
            return ChunkVerdict::Abort(Response::new(422).text("No shouting.").reason("a mark was found"));
        }
        ChunkVerdict::Pass
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        EndVerdict::Pass
    }
}
