//! Assembles the shim, so that its source is what is read and reviewed.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=src/shim.wat");
    let shim = wat::parse_file("src/shim.wat")?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("shim.wasm"), shim)?;
    Ok(())
}
