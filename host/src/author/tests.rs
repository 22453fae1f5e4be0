use super::*;
use tempfile::TempDir;

/// The smallest module with a hook.
pub(super) const MODULE: &str = "(module (memory (export \"memory\") 1)
    (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) i32.const 64)
    (func (export \"gatelodge_plugin_lifecycle_configure\") (result i32) i32.const 0)
    (func (export \"gatelodge_plugin_request_head_handle\") (param i32 i32) (result i32) i32.const 0))";

fn args(path: PathBuf) -> BuildArgs {
    BuildArgs { path, world: None, wit: None, out: None }
}

fn told(args: &BuildArgs) -> String {
    match make(args) {
        Ok(text) => text,
        Err(trouble) => format!("{} {}", trouble.what, trouble.help.unwrap_or_default()),
    }
}

#[test]
fn what_a_compiler_left_becomes_a_file_that_is_checked() {
    let folder = TempDir::new().unwrap();
    let core = folder.path().join("core.wasm");
    fs::write(&core, wat::parse_str(MODULE).unwrap()).unwrap();
    assert!(told(&args(core.clone())).contains("core.component.wasm: a component for gatelodge:plugin@0.1.0"));
    let component = folder.path().join("core.component.wasm");
    let before = fs::read(&component).unwrap();
    assert!(told(&args(component.clone())).contains("a component for"));
    assert_eq!(fs::read(&component).unwrap(), before, "a component is only checked");

    let wit = folder.path().join("wit");
    fs::create_dir(&wit).unwrap();
    let world =
        "package a:b; world w { export gatelodge:plugin/lifecycle@0.1.0; export gatelodge:plugin/request-head@0.1.0; }";
    fs::write(wit.join("w.wit"), world).unwrap();
    let out = folder.path().join("deep/plugin.wasm");
    let named = BuildArgs { world: Some("w".to_owned()), wit: Some(wit), out: Some(out.clone()), ..args(core) };
    assert!(told(&named).contains("plugin.wasm: a component"));
    assert_eq!(workshop::component(&fs::read(out).unwrap(), World::default()).map(|built| built.as_it_was), Ok(true));
}

#[test]
fn what_cannot_be_built_says_which_file_and_why() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let large = file("large.wasm", b"");
    fs::File::options().write(true).open(&large).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    let core = file("core.wasm", &wat::parse_str(MODULE).unwrap());
    let nowhere = file("file", b"").join("out.wasm");
    for (args, parts) in [
        (args(folder.path().join("gone.wasm")), ["cannot read", "gone.wasm"]),
        (args(file("text.wasm", b"hello")), ["text.wasm: this is no WebAssembly file", "compiler"]),
        (args(file("empty.wasm", b"\0asm\x01\0\0\0")), ["no world was given", "--world header-plugin"]),
        (args(large), ["at most", "large.wasm"]),
        (BuildArgs { world: Some("x".to_owned()), ..args(core.clone()) }, ["no world \"x\"", "header-plugin"]),
        (
            BuildArgs { world: Some("x".to_owned()), wit: Some(folder.path().to_owned()), ..args(core.clone()) },
            ["has no .wit file", ""],
        ),
        (BuildArgs { world: Some("x".to_owned()), ..args(folder.path().to_owned()) }, ["is a folder", "plugin.toml"]),
        (BuildArgs { out: Some(nowhere), ..args(core) }, ["cannot write", "out.wasm"]),
    ] {
        let told = told(&args);
        for part in parts {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
    }
}
