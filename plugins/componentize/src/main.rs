//! `gatelodge-componentize CORE.wasm COMPONENT.wasm`: makes a component of a plugin that
//! was compiled for `wasm32-unknown-unknown`.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [core, out] = &arguments[..] else {
        return told("usage: gatelodge-componentize CORE.wasm COMPONENT.wasm", 2);
    };
    match convert(Path::new(core), Path::new(out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => told(&why, 1),
    }
}

fn convert(core: &Path, out: &Path) -> Result<(), String> {
    let bytes = fs::read(core).map_err(|error| format!("cannot read {}: {error}", core.display()))?;
    let component = gatelodge_componentize::component(&bytes).map_err(|why| format!("{}: {why}", core.display()))?;
    fs::write(out, component).map_err(|error| format!("cannot write {}: {error}", out.display()))
}

#[allow(clippy::print_stderr, reason = "a command line tool tells its errors there")]
fn told(text: &str, code: u8) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(code)
}
