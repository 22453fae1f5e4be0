//! `gatelodge plugin build DIR`: the language's own tool, then what makes a component of its output.

use super::{Trouble, own_wit, read, write};
use config::plugins_toml::{RECIPE, Recipe};
use config::{File, Source};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use workshop::World;

/// The contract as tools find it, below the folder of the plugin's own WIT.
const CONTRACT_FILE: &str = "deps/gatelodge-plugin/gatelodge-plugin.wit";

/// Builds what the folder's recipe says; the text tells what came out.
pub(super) fn make(folder: &Path) -> Result<String, Trouble> {
    let recipe = recipe(folder)?;
    if let Some(wit) = &recipe.wit {
        lay(&folder.join(&wit.value).join(CONTRACT_FILE))?;
    }
    // Tools seldom make the folder that they write to.
    for path in [&recipe.input, &recipe.output] {
        let path = folder.join(&path.value);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .map_err(|error| Trouble::new(format!("cannot make the folder {}: {error}", parent.display())))?;
    }
    run(folder, &recipe)?;
    let input = folder.join(&recipe.input.value);
    let bytes = read(&input)?;
    let wit = match (&recipe.world, &recipe.wit) {
        (Some(_), Some(wit)) => own_wit(&folder.join(&wit.value))?,
        _ => Vec::new(),
    };
    let world = World { name: recipe.world.as_deref(), wit: &wit };
    let built = workshop::component(&bytes, world).map_err(|error| Trouble::of(&input, &error))?;
    let out = folder.join(&recipe.output.value);
    write(&out, &built.component)?;
    Ok(super::told(&out, &built))
}

fn recipe(folder: &Path) -> Result<Recipe, Trouble> {
    let path = folder.join(RECIPE);
    let bytes = fs::read(&path).map_err(|error| Trouble {
        what: format!("cannot read {}: {error}", path.display()),
        help: Some(format!("a folder is built by its {RECIPE}: begin with a copy of one of examples/plugins")),
    })?;
    let file = File { path: path.display().to_string(), bytes };
    let recipe = Source::decode(&file).map_err(|problem| problem.to_string());
    recipe
        .and_then(|source| Recipe::read(&source).map_err(|problems| problems.to_string()))
        .map_err(|told| Trouble::new(format!("this {RECIPE} can't be used:\n{}", told.trim_end())))
}

/// Puts the contract where it is not yet, so that tools which look at times see no change.
fn lay(path: &Path) -> Result<(), Trouble> {
    if fs::read(path).is_ok_and(|text| text == workshop::WIT.as_bytes()) {
        return Ok(());
    }
    write(path, workshop::WIT.as_bytes())
}

/// Runs the tool to its end; what it says goes where this program's own words go.
fn run(folder: &Path, recipe: &Recipe) -> Result<(), Trouble> {
    let Some((program, arguments)) = recipe.command.split_first() else { return Ok(()) };
    let missing = |error| Trouble {
        what: format!("cannot start `{program}`: {error}"),
        help: Some(format!("{} needs it; put it on the PATH", folder.join(RECIPE).display())),
    };
    let place = fs::canonicalize(folder)
        .map_err(|error| Trouble::new(format!("cannot find the folder {}: {error}", folder.display())))?;
    let mut command = Command::new(located(&place, program));
    command.args(arguments).current_dir(&place).envs(&recipe.environment);
    let status = command.status().map_err(missing)?;
    if status.success() {
        return Ok(());
    }
    Err(Trouble::new(format!("`{}` did not succeed: {status}", recipe.command.join(" "))))
}

/// A program with a folder is the plugin's own, whatever folder this program runs in.
fn located(folder: &Path, program: &str) -> PathBuf {
    let path = Path::new(program);
    let plain = path.components().count() == 1 && !matches!(path.components().next(), Some(Component::CurDir));
    if plain { path.to_owned() } else { folder.join(path) }
}

#[cfg(all(test, unix))]
mod tests;
