//! Drops events that begin with a colon, holding half of one.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};

inspects!("body-events", BodyInterest::Stream, Watch::default());

#[derive(Default)]
struct Watch(Vec<u8>);

impl Inspector for Watch {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        self.0.extend(data);
        let mut out = Vec::new();
        while let Some(end) = self.0.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.0.drain(..end + 2).collect();
            if event.first() != Some(&b':') {
                out.extend(event);
            }
        }
        ChunkVerdict::Replace(out)
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        EndVerdict::Pass
    }
}
