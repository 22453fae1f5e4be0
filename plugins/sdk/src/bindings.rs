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

/// Export `lifecycle`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod lifecycle {
    wit_bindgen::generate!({
        inline: "package gatelodge:sdk-lifecycle; world lifecycle-hook { export gatelodge:plugin/lifecycle@0.1.0; }",
        path: "../../wit",
        with: { "gatelodge:plugin/types@0.1.0": crate::bindings::imports::gatelodge::plugin::types },
        pub_export_macro: true,
    });
}

/// Export `request-head`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod request_head {
    wit_bindgen::generate!({
        inline: "package gatelodge:sdk-request-head; world request-head-hook { export gatelodge:plugin/request-head@0.1.0; }",
        path: "../../wit",
        with: { "gatelodge:plugin/types@0.1.0": crate::bindings::imports::gatelodge::plugin::types },
        pub_export_macro: true,
    });
}

/// Export `response-head`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod response_head {
    wit_bindgen::generate!({
        inline: "package gatelodge:sdk-response-head; world response-head-hook { export gatelodge:plugin/response-head@0.1.0; }",
        path: "../../wit",
        with: { "gatelodge:plugin/types@0.1.0": crate::bindings::imports::gatelodge::plugin::types },
        pub_export_macro: true,
    });
}

/// Export `request-body`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod request_body {
    wit_bindgen::generate!({
        inline: "package gatelodge:sdk-request-body; world request-body-hook { export gatelodge:plugin/request-body@0.1.0; }",
        path: "../../wit",
        with: { "gatelodge:plugin/types@0.1.0": crate::bindings::imports::gatelodge::plugin::types },
        pub_export_macro: true,
    });
}

/// Export `request-whole`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod request_whole {
    wit_bindgen::generate!({
        inline: "package gatelodge:sdk-request-whole; world request-whole-hook { export gatelodge:plugin/request-whole@0.1.0; }",
        path: "../../wit",
        with: { "gatelodge:plugin/types@0.1.0": crate::bindings::imports::gatelodge::plugin::types },
        pub_export_macro: true,
    });
}

/// Export `response-body`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod response_body {
    wit_bindgen::generate!({
        inline: "package gatelodge:sdk-response-body; world response-body-hook { export gatelodge:plugin/response-body@0.1.0; }",
        path: "../../wit",
        with: { "gatelodge:plugin/types@0.1.0": crate::bindings::imports::gatelodge::plugin::types },
        pub_export_macro: true,
    });
}

/// Export `response-whole`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod response_whole {
    wit_bindgen::generate!({
        inline: "package gatelodge:sdk-response-whole; world response-whole-hook { export gatelodge:plugin/response-whole@0.1.0; }",
        path: "../../wit",
        with: { "gatelodge:plugin/types@0.1.0": crate::bindings::imports::gatelodge::plugin::types },
        pub_export_macro: true,
    });
}

/// Export `completion`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod completion {
    wit_bindgen::generate!({
        inline: "package gatelodge:sdk-completion; world completion-hook { export gatelodge:plugin/completion@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
    });
}

/// Export `timer`.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated code")]
#[allow(unused_qualifications, elided_lifetimes_in_paths, clippy::pedantic, reason = "generated code")]
pub mod timer {
    wit_bindgen::generate!({
        inline: "package gatelodge:sdk-timer; world timer-hook { export gatelodge:plugin/timer@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
    });
}

pub use completion::exports::gatelodge::plugin::completion::{Ending, Summary};
