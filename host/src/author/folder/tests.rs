use super::*;
use crate::author::tests::MODULE;
use tempfile::TempDir;

fn plugin(recipe: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder can be made");
    fs::write(folder.path().join("made.wasm"), wat::parse_str(MODULE).expect("valid text"))
        .expect("the folder is ours");
    fs::write(folder.path().join(RECIPE), recipe).expect("the folder is ours");
    folder
}

fn told(folder: &Path) -> String {
    match make(folder) {
        Ok(text) => text,
        Err(trouble) => format!("{}\n{}", trouble.what, trouble.help.unwrap_or_default()),
    }
}

#[test]
fn a_folder_is_built_by_its_own_tool() {
    let folder = plugin(
        "command = [\"sh\", \"-c\", \"test -f wit/deps/gatelodge-plugin/gatelodge-plugin.wit && cp $FROM \\\"$0\\\"\", \
         \"deep/core.wasm\"]\n\
         input = \"deep/core.wasm\"\noutput = \"dist/plugin.wasm\"\nworld = \"w\"\nwit = \"wit\"\n\
         [environment]\nFROM = \"made.wasm\"\n",
    );
    let wit = folder.path().join("wit");
    fs::create_dir(&wit).unwrap();
    let world = "package a:b; world w { export gatelodge:plugin/lifecycle@0.1.0; \
                 export gatelodge:plugin/request-head@0.1.0; }";
    fs::write(wit.join("w.wit"), world).unwrap();
    let text = told(folder.path());
    assert!(text.contains("dist/plugin.wasm: a component for gatelodge:plugin@0.1.0"), "{text}");
    let built = fs::read(folder.path().join("dist/plugin.wasm")).unwrap();
    assert!(workshop::component(&built, World::default()).unwrap().as_it_was);

    let contract = wit.join(CONTRACT_FILE);
    let before = fs::metadata(&contract).unwrap().modified().unwrap();
    assert!(told(folder.path()).contains("a component for"));
    assert_eq!(fs::metadata(contract).unwrap().modified().unwrap(), before, "the contract is laid once");
}

#[test]
fn a_program_of_the_folder_is_found_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = plugin("command = [\"./build.sh\"]\ninput = \"core.wasm\"\noutput = \"plugin.wasm\"\n");
    let script = folder.path().join("build.sh");
    fs::write(&script, "#!/bin/sh\ncp made.wasm core.wasm\n").unwrap();
    fs::set_permissions(script, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(told(folder.path()).contains("plugin.wasm: a component"));
    assert_eq!(located(Path::new("/f"), "zig"), Path::new("zig"), "looked for on the PATH");
    assert_eq!(located(Path::new("/f"), "tools/zig"), Path::new("/f/tools/zig"));
}

#[test]
fn a_folder_that_cannot_be_built_says_why() {
    const FILES: &str = "input = \"made.wasm\"\noutput = \"dist/plugin.wasm\"\n";
    for (recipe, parts) in [
        (FILES.replace("made", "gone"), ["cannot read", "gone.wasm"]),
        (format!("command = [\"gatelodge-no-such-tool\"]\n{FILES}"), ["cannot start `gatelodge-no-such-tool`", "PATH"]),
        (format!("command = [\"sh\", \"-c\", \"exit 7\"]\n{FILES}"), ["`sh -c exit 7` did not succeed", "7"]),
        (format!("{FILES}world = \"nowhere\"\n"), ["no world \"nowhere\"", "header-plugin"]),
        (format!("{FILES}worlds = \"w\"\n"), ["plugin.toml:3:1", "did you mean `world`?"]),
        (format!("{FILES}world = \"w\"\nwit = \"empty\"\n"), ["has no .wit file", "empty"]),
    ] {
        let told = told(plugin(&recipe).path());
        for part in parts {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
    }
    let empty = TempDir::new().unwrap();
    let told = told(empty.path());
    assert!(told.contains("plugin.toml") && told.contains("examples/plugins"), "{told}");
}
