//! Shows one thing per path.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    BodyInterest, ChunkVerdict, Config, Edits, Field, Inspector, Plugin, Registration, RequestHead, Response,
    ResponseBody, ResponseHead, Slot, Store, Verdict, View, info, path,
};

gatelodge_sdk::manifest! {
    name: "rust",
    version: env!("CARGO_PKG_VERSION"),
    grants: { "log": true, "state": ["battery"] }
}
gatelodge_sdk::export!(Example; request_head, response_head, response_body);

struct Example {
    greeting: String,
    request_path: Field,
    response_path: Field,
    x_greeting: Slot,
    x_hits: Slot,
}

impl Plugin for Example {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let greeting = config.string("greeting").ok_or("set greeting = \"...\" for this plugin")?;
        config.finish()?; // any other key is refused, with the nearest known name
        info!("rust is ready");

        let mut registration = Registration::new();
        let example = Self {
            greeting,
            request_path: registration.request(path()),
            response_path: registration.response(path()),
            x_greeting: registration.output("x-greeting"),
            x_hits: registration.output("x-hits"),
        };
        Ok((example, registration))
    }
}

impl RequestHead for Example {
    fn request_head(&mut self, view: &View) -> Verdict {
        match view.text(self.request_path).unwrap_or_default() {
            path if path.starts_with("/edit") => Edits::new().set(self.x_greeting, self.greeting.as_str()).verdict(),
            "/answer" => {
                let body = b"hello from rust".to_vec();
                Response { body, ..Response::new(418).header("x-language", "rust") }.verdict()
            }
            path @ "/log" => {
                info!("seen {path}");
                Verdict::Pass
            }
            "/kv" => match Store::new("battery").add("hits", 1, None) {
                Ok(hits) => Edits::new().set(self.x_hits, hits.to_string()).verdict(),
                Err(failure) => Edits::new().set(self.x_hits, format!("{failure:?}")).verdict(),
            },
            "/trap" => panic!("asked to trap"),
            "/loop" => loop {},
            _ => Verdict::Pass,
        }
    }
}

impl ResponseHead for Example {
    fn response_head(&mut self, view: &View) -> Verdict {
        match view.text(self.response_path).unwrap_or_default() {
            path if path.starts_with("/edit") => Edits::new().set_header("x-language", "rust").verdict(),
            "/body" => Verdict::Inspect((Vec::new(), BodyInterest::Stream)),
            _ => Verdict::Pass,
        }
    }
}

impl ResponseBody for Example {
    type Inspector = Shouting;

    fn response_body(&mut self) -> Shouting {
        Shouting
    }
}

/// A body whose letters become capitals.
struct Shouting;

impl Inspector for Shouting {
    fn chunk(&mut self, mut data: Vec<u8>) -> ChunkVerdict {
        data.make_ascii_uppercase();
        ChunkVerdict::Replace(data)
    }
}
