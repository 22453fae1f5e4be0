//! From bytes to a checked component. Runs off the workers: the caller picks the thread.

use crate::compiler::{Elsewhere, compile_by};
use crate::engine::PluginEngine;
use crate::manifest::Manifest;
use crate::slots::{SMALL_COMPONENT_BYTES_MAX, Slots};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Engine, component::Component};

/// Largest module that is looked at, bytes. Compiling takes about a second per
/// megabyte; a bigger file is a mistake or an attack.
pub const MODULE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the engine says when a component asks for more than its slots have.
const POOL_REFUSAL: &str = "pooling allocator";

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
    /// Given up at [`crate::EngineSettings::compile_ms_max`].
    #[error("compiling it took longer than {0} ms")]
    TooSlow(u128),
    /// This many compilations that were given up still run in this process.
    #[error("{0} components that took too long to compile still keep their compilers busy: try again later")]
    Busy(usize),
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
                "make a component of it: `gatelodge plugin build core.wasm -o plugin.wasm`, \
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
    pub(crate) slots: Slots,
    pub(crate) manifest: Option<Manifest>,
    /// SHA-256 of the component.
    pub(crate) digest: [u8; 32],
}

/// A component in its engine; with what the operator should know about that.
pub(crate) type Placed = (Component, Slots, Option<String>);

/// Compiles a component whose outside was looked at to machine code.
///
/// # Errors
/// Says what is wrong with the component.
pub(crate) fn compile(engine: &PluginEngine, bytes: &Arc<[u8]>) -> Result<Vec<u8>, CompileError> {
    let settings = engine.settings();
    let limit = Duration::from_millis(settings.compile_ms_max);
    if let Some(program) = &settings.compiler
        && let Elsewhere::Code(code) = compile_by(program, settings.backtraces, bytes, limit)?
    {
        return Ok(code);
    }
    engine.bench().compile(engine.small(), bytes, limit)
}

/// Takes machine code into the engine whose slots hold what it needs.
///
/// # Errors
/// It fits neither, or is no code for this host.
pub(crate) fn place(engine: &PluginEngine, code: &[u8], component_bytes: usize) -> Result<Placed, CompileError> {
    let why = if component_bytes > SMALL_COMPONENT_BYTES_MAX {
        format!("it has {component_bytes} bytes; small ones hold components of at most {SMALL_COMPONENT_BYTES_MAX}")
    } else {
        match load_compiled(engine.small(), code) {
            Ok(component) => return Ok((component, Slots::Small, None)),
            Err(CompileError::Invalid(why)) if why.contains(POOL_REFUSAL) => why,
            Err(error) => return Err(error),
        }
    };
    let large = engine.large().map_err(CompileError::Invalid)?;
    let component = load_compiled(&large, code)?;
    Ok((component, Slots::Large, Some(format!("runs in large slots: {why}"))))
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
    use super::{CompileError, MODULE_BYTES_MAX, compile, look, place};
    use crate::engine::{EngineSettings, PluginEngine};
    use crate::slots::{SMALL_COMPONENT_BYTES_MAX, Slots};
    use std::sync::Arc;

    /// A component that does nothing but make a table of this many elements.
    fn with_table(elements: u32) -> Arc<[u8]> {
        let mut module = b"\0asm\x01\0\0\0\x04\x06\x01\x70\0".to_vec();
        // LEB128 in three bytes.
        let seven = |shift: u32| u8::try_from(elements >> shift & 0x7f).expect("seven bits");
        module.extend([seven(0) | 0x80, seven(7) | 0x80, seven(14)]);
        let mut bytes = b"\0asm\x0d\0\x01\0\x01".to_vec();
        bytes.push(u8::try_from(module.len()).expect("short"));
        bytes.extend(module);
        bytes.extend(b"\x02\x04\x01\0\0\0");
        bytes.into()
    }

    #[test]
    fn what_does_not_fit_small_slots_gets_large_ones() {
        let settings = EngineSettings { instances_max: 2, large_instances_max: 2, ..EngineSettings::default() };
        let engine = PluginEngine::new(&settings).expect("an engine");
        let placed = |elements, component_bytes| {
            let code = compile(&engine, &with_table(elements)).expect("a component");
            place(&engine, &code, component_bytes).map(|(_, slots, why)| (slots, why.unwrap_or_default()))
        };
        assert_eq!(placed(20_000, SMALL_COMPONENT_BYTES_MAX), Ok((Slots::Small, String::new())), "the limits");
        assert_eq!(engine.allocator(Slots::Large), None, "nobody needs them yet");
        let (slots, why) = placed(20_001, 100).expect("it fits large ones");
        assert_eq!(slots, Slots::Large);
        assert!(why.contains("20001"), "{why}");
        let (slots, why) = placed(1, SMALL_COMPONENT_BYTES_MAX + 1).expect("it fits large ones");
        assert_eq!(slots, Slots::Large);
        assert!(why.contains("4194305 bytes"), "{why}");
        assert_eq!(placed(100_000, 100).expect("the limit").0, Slots::Large);
        let refused = placed(100_001, 100).expect_err("it fits none").to_string();
        assert!(refused.contains("100001"), "{refused}");
    }

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
