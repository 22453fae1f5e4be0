//! `gatelodge plugin inspect`: what a component is, and the lines of plugins.toml that it needs.

use super::{Trouble, read};
use crate::cli::{InspectArgs, Output};
use plugin::Manifest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use workshop::Inspection;

/// All that can be told of a file without running it.
struct Told<'f> {
    file: &'f Path,
    bytes: usize,
    found: Inspection,
    manifest: Manifest,
}

/// Looks at the file; the text tells what was seen.
pub(super) fn tell(args: &InspectArgs) -> Result<String, Trouble> {
    let bytes = read(&args.file)?;
    let found = workshop::inspect(&bytes).map_err(|error| Trouble::of(&args.file, &error))?;
    let manifest = Manifest::read(&bytes).map_err(|error| Trouble::new(format!("{}: {error}", args.file.display())))?;
    let told = Told { file: &args.file, bytes: bytes.len(), found, manifest: manifest.unwrap_or_default() };
    Ok(match args.format {
        Output::Text => told.text(),
        Output::Json => format!("{:#}", told.json()),
    })
}

impl Told<'_> {
    /// What it asks for that has to be granted, with the line that does.
    fn asks(&self) -> Vec<(&str, String)> {
        let asked = self.found.capabilities.iter();
        let lines = asked.filter_map(|name| Some((name.as_str(), plugin::grant_line(name)?)));
        lines.map(|(name, line)| (name, self.named(line))).collect()
    }

    /// The line with the names that the plugin's manifest asks for, if it says so.
    fn named(&self, line: &str) -> String {
        let key = line.split(' ').next().unwrap_or(line);
        let names = self.manifest.grants.get(key).and_then(Value::as_array);
        match names.map(|names| names.iter().filter_map(Value::as_str).collect::<Vec<_>>()) {
            // A list of JSON strings is one of TOML, too.
            Some(names) if !names.is_empty() => line
                .replace("[\"NAME\"]", &json!(names).to_string())
                .replace("NAME", names.first().copied().unwrap_or_default()),
            _ => line.to_owned(),
        }
    }

    fn stem(&self) -> String {
        match self.manifest.name.as_str() {
            "" => self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
            name => name.to_owned(),
        }
    }

    fn text(&self) -> String {
        let found = &self.found;
        let asks = self.asks();
        let asked: Vec<&str> = asks.iter().map(|(name, _)| *name).collect();
        let free = found.capabilities.iter().map(String::as_str).filter(|name| !asked.contains(name));
        let list = |names: Vec<&str>| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let mut rows = vec![
            ("hooks", list(hooks(found))),
            ("asks for", list(asked.clone())),
            ("uses freely", list(free.collect())),
            ("code", self.code()),
        ];
        if !found.other_imports.is_empty() {
            rows.push(("imports also", list(found.other_imports.iter().map(String::as_str).collect())));
        }
        if found.capabilities.contains("http-out") {
            rows.push(("may wait", "its hooks run apart, so that others go on meanwhile".to_owned()));
        }
        if !self.manifest.name.is_empty() {
            let about = [self.manifest.name.as_str(), &self.manifest.version, &self.manifest.description];
            let about = about.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
            rows.insert(0, ("calls itself", about.escape_debug().to_string()));
        }
        let rows: String = rows.iter().map(|(name, text)| format!("  {name:<13} {text}\n")).collect();
        let file = self.file.display();
        let (world, lines) = (self.world(), self.lines(&asks));
        format!(
            "{file}: a component for {}, {} bytes\n{rows}\n{world}\nIn plugins.toml:\n\n{lines}",
            plugin::CONTRACT,
            self.bytes
        )
    }

    fn code(&self) -> String {
        let found = &self.found;
        let names = if found.named { "with names" } else { "without names: backtraces will be poor" };
        let grows = if found.grows { ", may grow" } else { ", never grows" };
        let slot = if self.bytes > plugin::SMALL_COMPONENT_BYTES_MAX { "; gets a large slot" } else { "" };
        format!("{} functions {names}; {} bytes of memory{grows}{slot}", found.functions, found.memory_bytes)
    }

    /// The world that it was made for, as far as it shows from outside.
    fn world(&self) -> String {
        let full = |word: &str, name: &String| format!("  {word} gatelodge:plugin/{name}@{};\n", workshop::VERSION);
        let imports = self.found.capabilities.iter().map(|name| full("import", name));
        let others = self.found.other_imports.iter().map(|name| format!("  import {name};\n"));
        let exports = self.found.hooks.iter().map(|name| full("export", name));
        format!("world plugin {{\n{}}}\n", imports.chain(others).chain(exports).collect::<String>())
    }

    /// What an operator writes to use it.
    fn lines(&self, asks: &[(&str, String)]) -> String {
        let module = self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut lines = format!("[[plugin]]\nname = {}\nmodule = {}", json!(self.stem()), json!(module));
        if !asks.is_empty() {
            let grants: BTreeSet<&str> = asks.iter().map(|(_, line)| line.as_str()).collect();
            let grants: Vec<&str> = grants.into_iter().collect();
            lines += &format!("\n[plugin.grants]\n{}", grants.join("\n"));
        }
        lines
    }

    fn json(&self) -> Value {
        let found = &self.found;
        let asks = self.asks();
        let grants: Vec<&str> = asks.iter().map(|(_, line)| line.as_str()).collect();
        json!({
            "file": self.file.display().to_string(),
            "contract": plugin::CONTRACT,
            "bytes": self.bytes,
            "name": self.manifest.name,
            "version": self.manifest.version,
            "description": self.manifest.description,
            "hooks": hooks(found),
            "capabilities": found.capabilities,
            "other_imports": found.other_imports,
            "grants": grants,
            "may_wait": found.capabilities.contains("http-out"),
            "functions": found.functions,
            "memory_bytes": found.memory_bytes,
            "memory_grows": found.grows,
            "function_names": found.named,
            "large_slot": self.bytes > plugin::SMALL_COMPONENT_BYTES_MAX,
        })
    }
}

/// Its hooks: `lifecycle` every plugin has.
fn hooks(found: &Inspection) -> Vec<&str> {
    found.hooks.iter().map(String::as_str).filter(|name| *name != "lifecycle").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::tests::MODULE;
    use std::path::PathBuf;
    use tempfile::TempDir;
    use workshop::World;

    fn told(file: PathBuf, format: Output) -> String {
        match tell(&InspectArgs { file, format }) {
            Ok(text) => text,
            Err(trouble) => format!("{} {}", trouble.what, trouble.help.unwrap_or_default()),
        }
    }

    #[test]
    fn a_builtin_is_told_with_the_lines_that_it_needs() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("forward.wasm");
        std::fs::write(&file, gatelodge_builtin::find("auth-forward").unwrap()).unwrap();
        let text = told(file.clone(), Output::Text);
        for part in [
            "forward.wasm: a component for gatelodge:plugin@0.1.0, ",
            "calls itself  auth-forward",
            "hooks         request-head\n",
            "asks for      identity-control, log",
            "import gatelodge:plugin/log@0.1.0;",
            "export gatelodge:plugin/request-head@0.1.0;",
            "name = \"auth-forward\"\nmodule = \"forward.wasm\"\n[plugin.grants]\nidentity = true\nlog = true",
        ] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        let json: Value = serde_json::from_str(&told(file, Output::Json)).unwrap();
        assert_eq!(json["hooks"], json!(["request-head"]));
        assert_eq!((&json["may_wait"], &json["large_slot"]), (&json!(false), &json!(false)));
    }

    #[test]
    fn names_of_a_manifest_are_taken_over() {
        let manifest = Manifest {
            grants: json!({ "state": ["visits", "other"], "log": true }).as_object().cloned().unwrap(),
            ..Manifest::default()
        };
        let told = Told { file: Path::new("x.wasm"), bytes: 0, found: Inspection::default(), manifest };
        assert_eq!(
            told.named("state = [\"NAME\"] # with [stores.NAME]"),
            "state = [\"visits\",\"other\"] # with [stores.visits]"
        );
        assert_eq!(told.named("limits = [\"NAME\"]"), "limits = [\"NAME\"]");
        assert_eq!(told.named("log = true"), "log = true");
    }

    #[test]
    fn a_plugin_that_asks_for_nothing_needs_no_grants() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("small.wasm");
        let core = wat::parse_str(MODULE).unwrap();
        let built = workshop::component(&core, World::default()).unwrap();
        std::fs::write(&file, built.component).unwrap();
        let text = told(file, Output::Text);
        assert!(text.contains("asks for      nothing"), "{text}");
        assert!(text.ends_with("name = \"small\"\nmodule = \"small.wasm\""), "{text}");

        let file = folder.path().join("core.wasm");
        std::fs::write(&file, core).unwrap();
        assert!(told(file, Output::Text).contains("core module, not yet a component make one of it"));
        assert!(told(folder.path().join("gone.wasm"), Output::Json).contains("cannot read"));
    }
}
