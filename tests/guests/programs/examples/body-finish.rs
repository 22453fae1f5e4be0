//! Lets the first chunk pass with an end of its own, and swallows what follows.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::Tail;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};

inspects!("body-finish", BodyInterest::Stream, Watch::default());

#[derive(Default)]
struct Watch {
    begun: bool,
}

impl Inspector for Watch {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        if std::mem::replace(&mut self.begun, true) {
            return ChunkVerdict::Replace(Vec::new());
        }
        ChunkVerdict::Replace([&data[..], b"<end>"].concat())
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        let trailers = Some(vec![Header { name: "x-end".into(), value: b"1".to_vec() }]);
        EndVerdict::Finish(Tail { data: b"</end>".to_vec(), trailers })
    }
}
