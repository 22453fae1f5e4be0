//! `plugin.toml`: how a plugin is built in its author's folder.
//!
//! ```toml
//! command = ["zig", "build-exe", "-femit-bin=dist/core.wasm", "src/main.zig"]
//! input   = "dist/core.wasm"
//! output  = "dist/zig.wasm"
//! ```

use super::table::{Keys, Reading};
use crate::error::{Problems, Report};
use crate::source::{Source, Spanned};
use std::collections::BTreeMap;
use toml_edit::Document;

/// What the file is called.
pub const RECIPE: &str = "plugin.toml";

const KEYS: [&str; 6] = ["command", "environment", "input", "output", "world", "wit"];

/// How a folder becomes a component. Paths are relative to the folder and stay in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The language's own tool with its arguments, run in the folder without a shell.
    /// Default: empty, `input` is there already.
    pub command: Vec<String>,
    /// Variables that the tool gets beside those of whoever calls.
    pub environment: BTreeMap<String, String>,
    /// What the tool leaves behind: a core module or a component.
    pub input: Spanned<String>,
    /// Where the component goes.
    pub output: Spanned<String>,
    /// The world that a core module is made for. Default: what the module names.
    pub world: Option<String>,
    /// Folder of the plugin's own WIT; the contract is laid into its `deps` for the tool.
    pub wit: Option<Spanned<String>>,
}

impl Recipe {
    /// Reads a `plugin.toml`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reading = Reading { report: Report::new(source) };
        let recipe = match Document::parse(source.text()) {
            Ok(document) => read(&mut reading, &Keys::root(document.as_table())),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let message = error.message().lines().collect::<Vec<_>>().join("; ");
                reading.report.error(at, format!("this is not TOML: {message}"), "");
                None
            }
        };
        let problems = Problems::new(reading.report.finish());
        recipe.filter(|_| !problems.refuses()).ok_or(problems)
    }
}

fn read(reading: &mut Reading<'_>, root: &Keys<'_>) -> Option<Recipe> {
    const WHERE_FROM: &str = "write what the tool leaves behind: input = \"dist/core.wasm\"";
    const WHERE_TO: &str = "write where the component goes: output = \"dist/plugin.wasm\"";
    reading.known(root, &KEYS, &[]);
    let command = reading.strings(root, "command").unwrap_or_default();
    if root.has("command") && command.first().is_none_or(|program| program.value.is_empty()) {
        let help = "write the program and its arguments, each as a string of its own, or remove the line";
        reading.report.error(root.value_at("command"), "`command` names no program", help);
    }
    let mut environment = BTreeMap::new();
    if let Some(table) = reading.table(root, "environment") {
        for name in table.names() {
            if name.is_empty() || name.contains(['=', '\0']) {
                reading.report.error(table.key_at(&name), "this can't be the name of a variable", "");
            } else if let Some(value) = reading.string(&table, &name) {
                environment.insert(name, value.value);
            }
        }
    }
    let input = path(reading, root, "input", WHERE_FROM);
    let output = path(reading, root, "output", WHERE_TO);
    let world = reading.string(root, "world").map(|world| world.value);
    let wit = if root.has("wit") { path(reading, root, "wit", "") } else { None };
    if let (Some(input), Some(output)) = (&input, &output)
        && input.value == output.value
        && world.is_some()
    {
        let help = "give the component a name of its own";
        reading.report.error_at(output.at, "`output` would overwrite `input`, a core module", help);
    }
    let command = command.into_iter().map(|word| word.value).collect();
    Some(Recipe { command, environment, input: input?, output: output?, world, wit })
}

/// A path that has to be there and to stay below the folder.
fn path(reading: &mut Reading<'_>, root: &Keys<'_>, name: &str, missing: &str) -> Option<Spanned<String>> {
    if !root.has(name) {
        reading.report.error(0, format!("`{name}` is missing"), missing);
        return None;
    }
    let path = reading.string(root, name)?;
    let mut parts = path.value.split(['/', '\\']);
    let what = if path.value.is_empty() {
        "is empty"
    } else if path.value.starts_with(['/', '\\']) || path.value.contains(':') {
        "is not relative to this file"
    } else if parts.any(|part| part == "..") {
        "leaves the plugin's folder"
    } else {
        return Some(path);
    };
    reading.report.error_at(path.at, format!("the path in `{name}` {what}"), "name a file below the plugin's folder");
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::File;

    fn recipe(text: &str) -> Result<Recipe, String> {
        let file = File { path: RECIPE.to_owned(), bytes: text.as_bytes().to_vec() };
        let source = Source::decode(&file).expect("the test's text is UTF-8");
        Recipe::read(&source).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_recipe_is_read_with_all_its_keys() {
        let all = recipe(
            "command = [\"go\", \"build\", \".\"]\ninput = \"dist/core.wasm\"\noutput = \"dist/go.wasm\"\n\
             world = \"plugin\"\nwit = \"wit\"\n[environment]\nGOOS = \"wasip1\"\n",
        )
        .unwrap();
        assert_eq!(all.command, ["go", "build", "."]);
        assert_eq!(all.environment, BTreeMap::from([("GOOS".to_owned(), "wasip1".to_owned())]));
        assert_eq!((all.input.value.as_str(), all.output.value.as_str()), ("dist/core.wasm", "dist/go.wasm"));
        assert_eq!((all.world.as_deref(), all.wit.map(|wit| wit.value).as_deref()), (Some("plugin"), Some("wit")));

        let least = recipe("input = \"a.wasm\"\noutput = \"b.wasm\"").unwrap();
        assert!(least.command.is_empty() && least.environment.is_empty());
        assert_eq!((least.world, least.wit), (None, None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        const LEAST: &str = "input = \"a.wasm\"\noutput = \"b.wasm\"\n";
        for (text, place, part) in [
            ("input =", "plugin.toml:1:", "this is not TOML"),
            ("input = \"a.wasm\"", "plugin.toml:1:1", "`output` is missing"),
            ("output = \"a.wasm\"", "plugin.toml:1:1", "`input` is missing"),
            (&format!("{LEAST}comand = []"), "plugin.toml:3:1", "did you mean `command`?"),
            (&format!("{LEAST}command = []"), "plugin.toml:3:11", "names no program"),
            (&format!("{LEAST}command = [\"\"]"), "plugin.toml:3:11", "names no program"),
            (&format!("{LEAST}command = [7]"), "plugin.toml:3:", "not a string"),
            (&format!("{LEAST}wit = \"../wit\""), "plugin.toml:3:7", "leaves the plugin's folder"),
            (&format!("{LEAST}wit = \"\""), "plugin.toml:3:7", "is empty"),
            (&format!("{LEAST}[environment]\n\"a=b\" = \"c\""), "plugin.toml:4:1", "name of a variable"),
            (&format!("{LEAST}[environment]\na = 1"), "plugin.toml:4:5", "not a string"),
            ("input = \"/a.wasm\"\noutput = \"b.wasm\"", "plugin.toml:1:9", "is not relative"),
            ("input = \"C:\\\\a\"\noutput = \"b.wasm\"", "plugin.toml:1:9", "is not relative"),
            ("world = \"w\"\ninput = \"a\"\noutput = \"a\"", "plugin.toml:3:10", "would overwrite"),
        ] {
            let told = recipe(text).unwrap_err();
            assert!(told.contains(place) && told.contains(part), "{text}: {told}");
        }
    }
}
