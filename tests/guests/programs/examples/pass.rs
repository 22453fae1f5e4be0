//! Sees every request head, selects nothing, changes nothing.

#[allow(unsafe_code, missing_docs, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        inline: "package guest:pass; world w { include gatelodge:plugin/base@0.1.0; export gatelodge:plugin/lifecycle@0.1.0; export gatelodge:plugin/request-head@0.1.0; }",
        path: "../../../wit",
        generate_all,
    });
    #[cfg(target_arch = "wasm32")]
    export!(Pass with_types_in self);
    pub(crate) struct Pass;
}

use bindings::Pass;
use bindings::exports::gatelodge::plugin::{lifecycle, request_head};

impl lifecycle::Guest for Pass {
    fn configure() -> Result<lifecycle::Registration, String> {
        Ok(lifecycle::Registration {
            request_view: vec![],
            response_view: vec![],
            completion_view: vec![],
            outputs: vec![],
            attributes: vec![],
            tick_ms: 0,
            options: vec![],
        })
    }
}

impl request_head::Guest for Pass {
    fn handle(_view: Vec<Option<Vec<u8>>>) -> request_head::Verdict {
        request_head::Verdict::Pass
    }
}
