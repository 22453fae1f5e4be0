//! Modules as compilers leave them, in text, and what becomes of them.

use super::*;
use crate::world::WitFile;

const HANDLE: &str = "gatelodge:plugin/request-head@0.1.0#handle";
const CONFIGURE: &str = "gatelodge:plugin/lifecycle@0.1.0#configure";

/// The smallest plugin; `more` goes first, so that it may import.
fn module(more: &str) -> String {
    named(CONFIGURE, HANDLE, more)
}

fn named(configure: &str, handle: &str, more: &str) -> String {
    format!(
        "(module {more}
           (memory (export \"memory\") 1)
           (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) i32.const 64)
           (func (export \"{configure}\") (result i32) i32.const 0)
           (func (export \"{handle}\") (param i32 i32) (result i32) i32.const 0))"
    )
}

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn built(text: &str, world: World<'_>) -> Result<Built, Error> {
    component(&wasm(text), world)
}

fn imports(component: &[u8]) -> String {
    let all = wasmparser::Parser::new(0).parse_all(component).filter_map(Result::ok);
    let sections = all.take_while(|payload| !matches!(payload, wasmparser::Payload::ModuleSection { .. }));
    let names = sections.filter_map(|payload| match payload {
        wasmparser::Payload::ComponentImportSection(section) => Some(section),
        _ => None,
    });
    names.flatten().map(|import| import.unwrap().name.name.to_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_module_becomes_a_component_for_what_it_names() {
    for text in [
        module(""),
        named("gatelodge_plugin_lifecycle_configure", "gatelodge_plugin_request_head_handle", ""),
        named(CONFIGURE, "gatelodge_plugin_request_head_handle", ""),
    ] {
        let built = built(&text, World::default()).unwrap();
        assert!(!built.as_it_was && !built.shimmed);
        let again = component(&built.component, World::default()).unwrap();
        assert!(again.as_it_was);
        assert_eq!(again.component, built.component);
    }
}

#[test]
fn a_world_may_be_named() {
    let wit = [WitFile {
        path: "wit/world.wit".to_owned(),
        text: "package author:small; world small { include gatelodge:plugin/base@0.1.0;
               export gatelodge:plugin/lifecycle@0.1.0; export gatelodge:plugin/request-head@0.1.0; }"
            .to_owned(),
    }];
    for (name, wit) in [("header-plugin", &[][..]), ("small", &wit), ("header-plugin", &wit)] {
        built(&module(""), World { name: Some(name), wit }).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn the_shim_answers_all_of_wasi() {
    let wasi = |name: &str, ty: &str| format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func {ty}))");
    let write = wasi("fd_write", "(param i32 i32 i32 i32) (result i32)");
    let built = built(&module(&write), World::default()).unwrap();
    assert!(built.shimmed);
    let imports = imports(&built.component);
    assert!(imports.contains("plugin/log@") && !imports.contains("clock") && !imports.contains("wasi"), "{imports}");

    // Every function of the shim, by the type it has there.
    let mut types = Vec::new();
    let mut functions = Vec::new();
    let mut all = String::new();
    for payload in wasmparser::Parser::new(0).parse_all(SHIM) {
        match payload.unwrap() {
            wasmparser::Payload::TypeSection(section) => {
                types.extend(section.into_iter_err_on_gc_types().map(Result::unwrap))
            }
            wasmparser::Payload::ImportSection(section) => {
                functions.extend(section.into_imports().filter_map(|import| match import.unwrap().ty {
                    wasmparser::TypeRef::Func(index) => Some(index),
                    _ => None,
                }));
            }
            wasmparser::Payload::FunctionSection(section) => functions.extend(section.into_iter().map(Result::unwrap)),
            wasmparser::Payload::ExportSection(section) => {
                for export in section {
                    let export = export.unwrap();
                    let ty = &types[functions[export.index as usize] as usize];
                    let words =
                        |list: &[wasmparser::ValType]| list.iter().map(|ty| format!(" {ty}")).collect::<String>();
                    let (params, results) = (words(ty.params()), words(ty.results()));
                    all.push_str(&wasi(export.name, &format!("(param{params}) (result{results})")));
                }
            }
            _ => {}
        }
    }
    assert_eq!(all.matches("(import").count(), 47, "46 of the standard and the clock's pause: {all}");
    assert!(self::built(&module(&all), World::default()).unwrap().shimmed);
}

#[test]
fn every_bad_input_is_told_apart() {
    let log = |version: &str| {
        module(&format!("(import \"gatelodge:plugin/log@{version}\" \"enabled\" (func (param i32) (result i32)))"))
    };
    let world = |name| World { name: Some(name), wit: &[] };
    let none = World::default();
    for (text, world, what, help) in [
        ("(module)".to_owned(), none, "no world was given", "--world header-plugin"),
        (module(""), world("headers"), "no world \"headers\"", "all-hooks, auth-plugin, base, header-plugin"),
        (module(""), world("auth-plugin2"), "no world", "auth-plugin"),
        (log("0.2.0"), none, "gatelodge:plugin/log is of gatelodge:plugin@0.2.0", "gatelodge:plugin@0.1.0"),
        (named("gatelodge:plugin/lifecycle@0.3.0#configure", HANDLE, ""), none, "@0.3.0", "@0.1.0"),
        (module("(import \"gatelodge:plugin/teleport@0.1.0\" \"go\" (func))"), none, "no import \"teleport\"", ""),
        (named(CONFIGURE, "gatelodge:plugin/request-tail@0.1.0#handle", ""), none, "no hook \"request-tail\"", ""),
        (module("(import \"env\" \"puts\" (func))"), none, "env.puts", "C library"),
        (
            module("(import \"js\" \"f\" (func)) (import \"js\" \"g\" (func))"),
            none,
            "js.f, js.g",
            "imports the contract",
        ),
        (named(CONFIGURE, "handle", ""), world("header-plugin"), HANDLE, "either spelling"),
        (named("x", "y", ""), world("header-plugin"), "gatelodge_plugin_lifecycle_configure", ""),
        (named(CONFIGURE, "handle", ""), none, "exports no hook", "at least one hook"),
        (named("configure", HANDLE, ""), none, "exports no lifecycle", "lifecycle"),
        (
            format!(
                "(module (memory (export \"memory\") 1) (func (export \"{CONFIGURE}\") (result i32) i32.const 0)
                   (func (export \"{HANDLE}\") (param i32 i32) (result i32) i32.const 0))"
            ),
            none,
            "cabi_realloc",
            "",
        ),
        (
            format!(
                "(module (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) i32.const 64)
                   (func (export \"{CONFIGURE}\") (result i32) i32.const 0)
                   (func (export \"{HANDLE}\") (param i32 i32) (result i32) i32.const 0))"
            ),
            none,
            "memory",
            "",
        ),
        (module("").replace("(param i32 i32) (result i32) i32.const 0", ""), none, "does not fit", ""),
        (module("(import \"wasi_snapshot_preview1\" \"fd_levitate\" (func))"), none, "fd_levitate", ""),
        ("(component)".to_owned(), none, "exports no lifecycle", ""),
        ("(component)".to_owned(), world("header-plugin"), "component already", "leave the world out"),
        ("(component (import \"a:b/c@1.0.0\" (instance)))".to_owned(), none, "no plugin can have: a:b/c@1.0.0", ""),
        (
            "(component (import \"gatelodge:plugin/log@0.2.0\" (instance)))".to_owned(),
            none,
            "gatelodge:plugin@0.2.0",
            "",
        ),
    ] {
        let error = built(&text, world).map(|_| ()).expect_err(&text);
        let told = error.to_string();
        assert!(told.contains(what), "{what} is not in: {told}");
        let helped = error.help().unwrap_or_default();
        assert!(helped.contains(help), "{help} is not in: {helped} ({told})");
        assert!(!told.contains('\n'), "one line: {told}");
    }
}

#[test]
fn a_component_of_other_types_is_refused() {
    let whole = built(&module(""), World::default()).unwrap().component;
    // `configure` has another type where its interface is defined by hand.
    let text = "(component
        (component $c (import \"f\" (func $f)) (export \"configure\" (func $f)))
        (core module $m (func (export \"f\")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i \"f\")))
        (instance $l (instantiate $c (with \"f\" (func $f))))
        (instance $h (instantiate $c (with \"f\" (func $f))))
        (export \"gatelodge:plugin/lifecycle@0.1.0\" (instance $l))
        (export \"gatelodge:plugin/request-head@0.1.0\" (instance $h)))";
    let error = built(text, World::default()).map(|_| ()).unwrap_err();
    assert!(matches!(&error, Error::Misfit(_)), "{error}");
    component(&whole, World::default()).unwrap();
}

#[test]
fn wit_that_cannot_be_used_is_told_with_its_place() {
    let file = |text: &str| [WitFile { path: "wit/world.wit".to_owned(), text: text.to_owned() }];
    for (text, part) in [
        ("package a:b; world w {", "wit/world.wit:1"),
        ("package a:b; world w { include gatelodge:plugin/base@0.2.0; }", "gatelodge:plugin@0.2.0"),
        ("package a:b; world w { include gatelodge:plugin/basis@0.1.0; }", "not found"),
        ("package a:b; world w { include some:other/base; }", "some:other"),
    ] {
        let wit = file(text);
        let error = built(&module(""), World { name: Some("w"), wit: &wit }).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn types_that_the_module_brings_count() {
    let contract = Contract::new();
    let mut core = wasm(&module(""));
    let world = contract.resolve.packages[contract.package].worlds["header-plugin"];
    embed_component_metadata(&mut core, &contract.resolve, world, StringEncoding::UTF8).unwrap();
    component(&core, World::default()).unwrap();
    let error = component(&core, World { name: Some("header-plugin"), wit: &[] }).map(|_| ()).unwrap_err();
    assert_eq!(error, Error::WorldTwice("header-plugin".to_owned()));
}
