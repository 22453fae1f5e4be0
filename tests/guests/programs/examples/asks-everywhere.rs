//! Calls the upstream `thing` from body, whole and timer hooks; `way` says which bodies it looks at.
#![forbid(unsafe_code)]

use gatelodge_sdk::http_out::{self, Request};
use gatelodge_sdk::{
    BodyInterest, ChunkVerdict, Config, Credential, Edits, EndVerdict, Header, Inspector, Level, Overflow, Plugin,
    Registration, RequestBody, RequestHead, RequestWhole, Tail, Timer, Verdict, View, WholeBody, WholeVerdict,
    log_line,
};

gatelodge_sdk::manifest! { name: "asks-everywhere", version: "0.1.0", grants: { "log": true, "http": ["thing"] } }
gatelodge_sdk::export!(Asks; request_head, request_body, request_whole, timer);

struct Asks {
    whole: bool,
    endless: bool,
}

/// What the upstream answers, or why it does not.
fn ask(path: &str) -> Vec<u8> {
    let request = Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        credential: Credential::None,
        timeout_ms: 60_000,
        response_bytes_max: 1024,
    };
    http_out::send("thing", &request).map_or_else(|failure| format!("{failure:?}").into_bytes(), |reply| reply.body)
}

impl Plugin for Asks {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let way = config.string("way").unwrap_or_default();
        let every = config.number("every", 10, u32::MAX.into());
        config.finish()?;
        let mut registration = Registration::new();
        registration.tick_ms(u32::try_from(every).unwrap_or(u32::MAX));
        Ok((Self { whole: way == "whole", endless: way == "loop" }, registration))
    }
}

impl RequestHead for Asks {
    fn request_head(&mut self, _view: &View) -> Verdict {
        let interest = match self.whole {
            true => BodyInterest::Whole(WholeBody { max: 1024, over: Overflow::Refuse }),
            false => BodyInterest::Stream,
        };
        Verdict::Inspect((Vec::new(), interest))
    }
}

impl RequestBody for Asks {
    type Inspector = Asking;

    fn request_body(&mut self) -> Asking {
        Asking { endless: self.endless }
    }
}

struct Asking {
    endless: bool,
}

impl Inspector for Asking {
    fn chunk(&mut self, mut data: Vec<u8>) -> ChunkVerdict {
        data.extend(ask("/chunk"));
        if self.endless {
            loop {
                std::hint::black_box(&data);
            }
        }
        ChunkVerdict::Replace(data)
    }

    fn end(&mut self, _: Vec<Header>) -> EndVerdict {
        EndVerdict::Finish(Tail { data: ask("/end"), trailers: None })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        log_line(Level::Info, &format!("gone: {}", String::from_utf8_lossy(&ask("/drop"))));
    }
}

impl RequestWhole for Asks {
    fn request_whole(&mut self, mut body: Vec<u8>, _: bool) -> WholeVerdict {
        body.extend(ask("/whole"));
        WholeVerdict::Replace((Edits::new().into_vec(), body))
    }
}

impl Timer for Asks {
    fn tick(&mut self) {
        log_line(Level::Info, &format!("tick: {}", String::from_utf8_lossy(&ask("/tick"))));
    }
}
