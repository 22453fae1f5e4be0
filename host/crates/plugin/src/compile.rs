//! From bytes to a checked component. Runs off the workers: the caller picks the thread.

use crate::compiler::{Elsewhere, compile_by};
use crate::engine::PluginEngine;
use crate::manifest::Manifest;
use wasmtime::{Engine, component::Component};

/// Largest module that is looked at, bytes. Compiling takes about a second per
/// megabyte; a bigger file is a mistake or an attack.
pub const MODULE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// First bytes of every Wasm file.
const MAGIC: &[u8] = b"\0asm";
/// Version and layer field of a core module.
const CORE_MODULE: &[u8] = &[1, 0, 0, 0];
/// First bytes of an ELF file, which is what precompiled code is kept in.
const ELF: &[u8] = b"\x7fELF";

/// Why bytes are not a plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Larger than [`MODULE_BYTES_MAX`].
    #[error("the file has {0} bytes; a plugin has at most {MODULE_BYTES_MAX}")]
    TooLarge(usize),
    /// No Wasm at all.
    #[error("not a WebAssembly file: it does not begin with \\0asm")]
    NotWasm,
    /// Text format.
    #[error("this is WebAssembly text, not a binary component")]
    Text,
    /// Machine code that somebody compiled beforehand.
    #[error("precompiled code (.cwasm) is never loaded from outside: give the component itself")]
    Precompiled,
    /// A core module instead of a component.
    #[error("this is a core module, not a component")]
    CoreModule,
    /// The manifest section is there but can't be read.
    #[error("the section gatelodge:manifest is broken: {0}")]
    Manifest(String),
    /// Given up at [`crate::compiler::COMPILE_MS_MAX`].
    #[error("compiling it took longer than {0} ms")]
    TooSlow(u128),
    /// Broken, or it uses what the engine does not offer.
    #[error("not a valid component: {0}")]
    Invalid(String),
}

impl CompileError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::CoreModule => Some(
                "make a component of it: `wasm-tools component new core.wasm -o plugin.wasm`, \
                 or build for wasm32-wasip2",
            ),
            Self::Text => Some("turn it into a binary with `wasm-tools parse`"),
            _ => None,
        }
    }
}

/// A component that compiled.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    pub(crate) manifest: Option<Manifest>,
}

/// Compiles a component whose outside was looked at; gives its machine code as well
/// where that was made apart, which `keep` demands.
///
/// # Errors
/// Says what is wrong with the component.
pub(crate) fn compile(
    engine: &PluginEngine,
    bytes: &[u8],
    keep: bool,
) -> Result<(Component, Option<Vec<u8>>), CompileError> {
    let settings = engine.settings();
    if let Some(program) = &settings.compiler
        && let Elsewhere::Code(code) = compile_by(program, engine.allocator(), settings.backtraces, bytes)?
    {
        return Ok((load_compiled(engine.wasmtime(), &code)?, Some(code)));
    }
    let invalid = |error| CompileError::Invalid(reason(&error));
    if keep {
        let code = engine.wasmtime().precompile_component(bytes).map_err(invalid)?;
        return Ok((load_compiled(engine.wasmtime(), &code)?, Some(code)));
    }
    Ok((Component::from_binary(engine.wasmtime(), bytes).map_err(invalid)?, None))
}

/// Takes machine code that our own compiler made, now or earlier.
#[allow(unsafe_code, reason = "machine code can't be proven right by looking at it; its way to us is the proof")]
pub(crate) fn load_compiled(engine: &Engine, code: &[u8]) -> Result<Component, CompileError> {
    // SAFETY: `code` was made by this process, or by this very executable, started by us
    // for this one component, over a pipe that nobody else holds; or it is what one of
    // those had made, read back from a folder that only our user can write, under a
    // digest whose key lies nowhere else. The engine refuses code of another version,
    // target or configuration by itself.
    // JUSTIFICATION: compiling in a process of its own keeps its memory, and what a
    // hostile component may do to a compiler, out of the host; keeping the result spares
    // each start seconds.
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| CompileError::Invalid(reason(&error)))
}

/// What can be said without parsing.
///
/// # Errors
/// Says what the bytes are instead of a component.
pub(crate) fn look(bytes: &[u8]) -> Result<(), CompileError> {
    if bytes.len() > MODULE_BYTES_MAX {
        return Err(CompileError::TooLarge(bytes.len()));
    }
    if bytes.starts_with(ELF) || Engine::detect_precompiled(bytes).is_some() {
        return Err(CompileError::Precompiled);
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let text = bytes.trim_ascii_start();
        return Err(if text.starts_with(b"(component") || text.starts_with(b"(module") {
            CompileError::Text
        } else {
            CompileError::NotWasm
        });
    };
    if rest.starts_with(CORE_MODULE) {
        return Err(CompileError::CoreModule);
    }
    Ok(())
}

/// An engine error in one line.
pub(crate) fn reason(error: &wasmtime::Error) -> String {
    crate::text::escape(&format!("{error:#}"), 1024)
}

#[cfg(test)]
mod tests {
    use super::{CompileError, MODULE_BYTES_MAX, look};

    #[test]
    fn what_is_no_component_is_named() {
        for (bytes, expected) in [
            (b"".as_slice(), CompileError::NotWasm),
            (b"MZ\x90\0", CompileError::NotWasm),
            (b"  (component)", CompileError::Text),
            (b"\x7fELF\x02\x01\x01", CompileError::Precompiled),
            (b"\0asm\x01\0\0\0", CompileError::CoreModule),
        ] {
            assert_eq!(look(bytes), Err(expected), "{bytes:?}");
        }
        assert_eq!(look(b"\0asm\x0d\0\x01\0"), Ok(()));
    }

    #[test]
    fn the_size_limit_holds_at_its_edge() {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        bytes.resize(MODULE_BYTES_MAX, 0);
        assert_eq!(look(&bytes), Ok(()));
        bytes.push(0);
        assert_eq!(look(&bytes), Err(CompileError::TooLarge(MODULE_BYTES_MAX + 1)));
    }
}
