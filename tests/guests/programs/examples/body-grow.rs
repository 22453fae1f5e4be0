//! Takes memory without end in the chunk that holds an exclamation mark.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};

inspects!("body-grow", BodyInterest::Stream, Watch);

#[derive(Default)]
struct Watch;

impl Inspector for Watch {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        if data.contains(&b'!') {
            let mut held = Vec::new();
            loop {
                held.push(std::hint::black_box(vec![1_u8; 1 << 20]));
            }
        }
        ChunkVerdict::Pass
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        EndVerdict::Pass
    }
}
