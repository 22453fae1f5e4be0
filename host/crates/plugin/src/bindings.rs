//! The contract's types, import traits and hook callers, made from
//! `wit/gatelodge-plugin.wit`.
//!
//! The host is built against the widest world and treats each export as optional:
//! hooks are looked up one by one, interface by interface.
#![allow(missing_docs, reason = "generated from the WIT text, which carries the documentation")]
#![allow(unsafe_code, reason = "generated: the callers skip a type check that `load` has made")]
#![allow(dead_code, reason = "generated also for hooks and capabilities that are refused at load")]
#![allow(unreachable_pub, unused_qualifications, elided_lifetimes_in_paths, reason = "generated code")]
#![allow(clippy::all, reason = "generated code")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../../wit",
    world: "all-hooks",
    imports: {
        "gatelodge:plugin/http-out.send": async | trappable,
        "gatelodge:plugin/http-out.send-all": async | trappable,
        default: trappable,
    },
    additional_derives: [PartialEq],
});

pub(crate) use exports::gatelodge::plugin as hooks;
pub(crate) use gatelodge::plugin as contract;

/// The part of WASI 0.2 that is offered, from `wasi/shim.wit`.
pub(crate) mod wasi {
    wasmtime::component::bindgen!({
        path: "wasi",
        world: "shim",
        imports: { default: trappable },
        with: {
            "wasi:io/error.error": crate::capability::wasi::IoError,
            "wasi:io/poll.pollable": crate::capability::wasi::Pollable,
            "wasi:io/streams.input-stream": crate::capability::wasi::InputStream,
            "wasi:io/streams.output-stream": crate::capability::wasi::OutputStream,
            "wasi:cli/terminal-input.terminal-input": crate::capability::wasi::Terminal,
            "wasi:cli/terminal-output.terminal-output": crate::capability::wasi::Terminal,
        },
    });
}
