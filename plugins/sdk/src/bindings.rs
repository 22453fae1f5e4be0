//! What wit-bindgen makes of `wit/`: one module for everything a plugin may import,
//! and one per export, so that a plugin exports only the hooks it has. Imports that
//! a plugin does not use are absent from its component.

/// Types and host capabilities.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod imports {
    wit_bindgen::generate!({
        inline: "
            package gatelodge:sdk-imports;
            world imports {
                include gatelodge:plugin/base@0.1.0;
                include gatelodge:plugin/stateful@0.1.0;
                include gatelodge:plugin/trusted@0.1.0;
                include gatelodge:plugin/revealing@0.1.0;
                include gatelodge:plugin/networked@0.1.0;
            }
        ",
        path: "../../wit",
        generate_all,
    });
}

/// One module per export. `wit-bindgen` reads its text before macros inside it are expanded, so
/// each export brings its whole world along.
macro_rules! exports {
    ($($name:ident: $world:tt $(with $types:path)?,)*) => { $(
        #[doc = concat!("Export `", stringify!($name), "`, in the words of the contract with `-` for `_`.")]
        #[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
        #[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
        #[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
        pub mod $name {
            wit_bindgen::generate!({
                inline: $world,
                path: "../../wit",
                $(with: { "gatelodge:plugin/types@0.1.0": $types },)?
                pub_export_macro: true,
            });
        }
    )* };
}

exports! {
    lifecycle: "package gatelodge:sdk-lifecycle; world lifecycle-hook { export gatelodge:plugin/lifecycle@0.1.0; }"
        with crate::bindings::imports::gatelodge::plugin::types,
    request_head: "package gatelodge:sdk-request-head; world request-head-hook { export gatelodge:plugin/request-head@0.1.0; }"
        with crate::bindings::imports::gatelodge::plugin::types,
    response_head: "package gatelodge:sdk-response-head; world response-head-hook { export gatelodge:plugin/response-head@0.1.0; }"
        with crate::bindings::imports::gatelodge::plugin::types,
    request_body: "package gatelodge:sdk-request-body; world request-body-hook { export gatelodge:plugin/request-body@0.1.0; }"
        with crate::bindings::imports::gatelodge::plugin::types,
    request_whole: "package gatelodge:sdk-request-whole; world request-whole-hook { export gatelodge:plugin/request-whole@0.1.0; }"
        with crate::bindings::imports::gatelodge::plugin::types,
    response_body: "package gatelodge:sdk-response-body; world response-body-hook { export gatelodge:plugin/response-body@0.1.0; }"
        with crate::bindings::imports::gatelodge::plugin::types,
    response_whole: "package gatelodge:sdk-response-whole; world response-whole-hook { export gatelodge:plugin/response-whole@0.1.0; }"
        with crate::bindings::imports::gatelodge::plugin::types,
    completion: "package gatelodge:sdk-completion; world completion-hook { export gatelodge:plugin/completion@0.1.0; }",
    timer: "package gatelodge:sdk-timer; world timer-hook { export gatelodge:plugin/timer@0.1.0; }",
}

pub use completion::exports::gatelodge::plugin::completion::{Ending, Summary};
