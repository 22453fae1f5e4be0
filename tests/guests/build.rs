//! Compiles the guest programs and lists their components for `src/lib.rs`.

use gatelodge_componentize::{Error, Kind, build};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use workshop::World;

fn main() -> Result<(), Error> {
    let mut table = String::from("&[\n");
    let mut guests = build("gatelodge-guest-programs", Kind::Examples)?;
    guests.extend(build("gatelodge-guest-programs", Kind::WasiExamples)?);
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    guests.extend(raw(&out));
    guests.sort();
    for (name, path) in guests {
        // A `String` takes everything.
        let _ = writeln!(table, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    table.push(']');
    fs::write(out.join("components.rs"), table).expect("OUT_DIR is ours to write");
    Ok(())
}

/// Guests that do what no compiler would: written in text, between `prelude.txt` and `realloc.txt`.
fn raw(out: &Path) -> Vec<(String, PathBuf)> {
    let folder = Path::new("programs/wat");
    println!("cargo::rerun-if-changed={}", folder.display());
    let read = |path: &Path| {
        println!("cargo::rerun-if-changed={}", path.display());
        fs::read_to_string(path).expect("it is part of this package")
    };
    let (prelude, realloc) = (read(&folder.join("prelude.txt")), read(&folder.join("realloc.txt")));
    let files = fs::read_dir(folder).expect("it is part of this package").flatten().map(|entry| entry.path());
    let mut guests = Vec::new();
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "wat")) {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a plain name").to_owned();
        let own = read(&path);
        let (imports, rest): (Vec<&str>, Vec<&str>) = own.lines().partition(|line| line.starts_with("(import "));
        let realloc = if own.contains("cabi_realloc") { "" } else { &realloc };
        // Imports come before everything else.
        let text = format!("(module {}\n{prelude}\n{}\n{realloc})", imports.join("\n"), rest.join("\n"));
        let core = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let built = workshop::component(&core, World::default());
        let component = built.unwrap_or_else(|error| panic!("{name}: {error}")).component;
        let place = out.join(format!("{name}.wasm"));
        fs::write(&place, component).expect("OUT_DIR is ours to write");
        guests.push((name, place));
    }
    guests
}
