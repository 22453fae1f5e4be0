//! Says what its settings must be, and refuses to be configured: who gets that far was not checked.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Plugin, Registration, RequestHead, Verdict, View};

gatelodge_sdk::manifest! {
    name: "schema",
    version: "0.1.0",
    grants: { "log": true },
    config: {
        "type": "object",
        "required": ["greeting"],
        "properties": {
            "greeting": { "type": "string", "maxLength": 20 },
            "level": { "enum": ["quiet", "loud"] },
            "names": { "type": "array", "items": { "type": "string" } },
            "limits": { "type": "object", "properties": { "rate": { "type": "integer", "minimum": -1 } } }
        }
    },
}
gatelodge_sdk::export!(Schema; request_head);

struct Schema;

impl Plugin for Schema {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        match config.string("greeting").as_deref() {
            Some("hello") => Ok((Self, Registration::new())),
            _ => Err("configure was called".to_owned()),
        }
    }
}

impl RequestHead for Schema {
    fn request_head(&mut self, _view: &View) -> Verdict {
        Verdict::Pass
    }
}
