//! Counts bytes and chunks without changing any, and leaves them in its note; says when it goes.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::inspects;
use gatelodge_sdk::{BodyInterest, ChunkVerdict, EndVerdict, Header, Inspector};
use gatelodge_sdk::{Level, exchange, log_line};

impl Drop for Watch {
    fn drop(&mut self) {
        log_line(Level::Info, &format!("gone after {} bytes", self.0));
    }
}

inspects!("body-count", BodyInterest::Observe, Watch::default());

#[derive(Default)]
struct Watch(u64, u64);

impl Inspector for Watch {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        self.0 += data.len() as u64;
        self.1 += 1;
        let _ = exchange::set_note(format!("{} bytes in {} chunks", self.0, self.1).as_bytes());
        ChunkVerdict::Pass
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        log_line(Level::Info, &format!("end after {} bytes in {} chunks", self.0, self.1));
        EndVerdict::Pass
    }
}
