//! Ends each response with a trailer that says its length, and announces it.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    BodyInterest, ChunkVerdict, Config, Edits, EndVerdict, Header, Inspector, Plugin, Registration, ResponseBody,
    ResponseHead, Tail, Verdict, View,
};

gatelodge_sdk::manifest! { name: "body-trailer", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Guest; response_head, response_body);

struct Guest;

impl Plugin for Guest {
    fn configure(_: Config) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new()))
    }
}

impl ResponseHead for Guest {
    fn response_head(&mut self, _: &View) -> Verdict {
        let edits = Edits::new().set_header("trailer", "x-length, x-unused").into_vec();
        Verdict::Inspect((edits, BodyInterest::Stream))
    }
}

impl ResponseBody for Guest {
    type Inspector = Count;

    fn response_body(&mut self) -> Count {
        Count(0)
    }
}

struct Count(u64);

impl Inspector for Count {
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
        self.0 += data.len() as u64;
        ChunkVerdict::Pass
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        let line = |name: &str, value: String| Header { name: name.into(), value: value.into_bytes() };
        let trailers = vec![line("x-length", self.0.to_string()), line("x-silent", "not announced".into())];
        EndVerdict::Finish(Tail { data: Vec::new(), trailers: Some(trailers) })
    }
}
