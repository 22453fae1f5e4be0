//! Compiles the guest programs and lists their components for `src/lib.rs`.

use gatelodge_componentize::{Error, Kind, build};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Error> {
    let mut table = String::from("&[\n");
    let mut guests = build("gatelodge-guest-programs", Kind::Examples)?;
    guests.extend(build("gatelodge-guest-programs", Kind::WasiExamples)?);
    guests.sort();
    for (name, path) in guests {
        // A `String` takes everything.
        let _ = writeln!(table, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    table.push(']');
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    fs::write(Path::new(&out).join("components.rs"), table).expect("OUT_DIR is ours to write");
    Ok(())
}
