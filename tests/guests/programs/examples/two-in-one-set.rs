//! Selects two request headers and sets one by its slot: what a typical plugin does.

#[allow(unsafe_code, missing_docs, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        inline: "package guest:two; world w { include gatelodge:plugin/base@0.1.0; export gatelodge:plugin/lifecycle@0.1.0; export gatelodge:plugin/request-head@0.1.0; }",
        path: "../../../wit",
        generate_all,
    });
    #[cfg(target_arch = "wasm32")]
    export!(Two with_types_in self);
    pub(crate) struct Two;
}

use bindings::Two;
use bindings::exports::gatelodge::plugin::{lifecycle, request_head};
use bindings::gatelodge::plugin::types::{Edit, Selector};

impl lifecycle::Guest for Two {
    fn configure() -> Result<lifecycle::Registration, String> {
        Ok(lifecycle::Registration {
            request_view: vec![Selector::Header("user-agent".into()), Selector::Header("accept".into())],
            response_view: vec![],
            completion_view: vec![],
            outputs: vec!["x-seen".into()],
            attributes: vec![],
            tick_ms: 0,
            options: vec![],
        })
    }
}

impl request_head::Guest for Two {
    fn handle(view: Vec<Option<Vec<u8>>>) -> request_head::Verdict {
        let seen = view.iter().filter(|value| value.is_some()).count();
        let value = match seen {
            0 => b"none".to_vec(),
            1 => b"one".to_vec(),
            _ => b"both".to_vec(),
        };
        request_head::Verdict::Edited(vec![Edit::SetSlot((0, value))])
    }
}
