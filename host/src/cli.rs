//! The command line: flags to a [`Command`], without touching anything.

use crate::exit::Exit;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// A gate in front of an application: wakes it, watches it, shields it.
#[derive(Debug, Parser)]
#[command(name = "gatelodge", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the app in APP_DIR by its web.config and plugins.toml
    Run(RunArgs),
    /// Read both files, load every plugin, print the effective configuration and every problem
    Check(CheckArgs),
    /// Tell how a running host and its app are
    Status(StatusArgs),
    /// Let a running host take its files anew: the new app beside the old, swapped once it is proven
    Reload(RunningArgs),
    /// Let a running host finish its requests, stop its app, and end
    Stop(RunningArgs),
    /// Make plugins
    Plugin(PluginArgs),
    /// Print the version
    Version {
        /// How to print it
        #[arg(long, value_enum, default_value_t = Output::Text)]
        format: Output,
    },
}

/// For people or for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What `run` and `check` share: where the configuration comes from.
#[derive(Args, Clone, Debug)]
pub(crate) struct SiteArgs {
    /// Directory of the app: where web.config lies
    #[arg(default_value = ".")]
    pub(crate) app_dir: PathBuf,
    /// Virtual path of the app, such as /app
    #[arg(long, value_name = "PATH")]
    pub(crate) path_base: Option<String>,
    /// Where to listen, such as http://127.0.0.1:8080; port 0 picks a free one. Repeatable; replaces the file's list
    #[arg(long, value_name = "URL")]
    pub(crate) listen: Vec<String>,
    /// Another file in the place of APP_DIR/plugins.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) plugins: Option<PathBuf>,
    /// A plugin to append to the file's list: builtin:NAME or a component file. Repeatable
    #[arg(long = "plugin", value_name = "PATH")]
    pub(crate) plugin: Vec<String>,
    /// Worker threads, 1 to 256 (default: one per core)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Where status, reload and stop are served: auto (a private socket), off, unix:PATH, or a loopback ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<String>,
}

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// How log lines look
    #[arg(long, value_enum, value_name = "text|json")]
    pub(crate) log_format: Option<Output>,
    /// Leave changed files alone until `gatelodge reload` or SIGHUP; app_offline.htm is looked for all the same
    #[arg(long)]
    pub(crate) no_watch: bool,
    /// More detail in the log; twice for every step
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Flags of `check`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) format: Output,
}

/// Which running host is meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunningArgs {
    /// Directory of the app that the host serves
    #[arg(default_value = ".")]
    pub(crate) app_dir: PathBuf,
    /// The host's admin address, where it is not found by the directory: unix:PATH or ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<String>,
}

/// Flags of `status`.
#[derive(Args, Clone, Debug)]
pub(crate) struct StatusArgs {
    /// Which host.
    #[command(flatten)]
    pub(crate) host: RunningArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) format: Output,
}

/// What to do for a plugin's author.
#[derive(Args, Clone, Debug)]
pub(crate) struct PluginArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

/// Commands for plugin authors.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Build a plugin's folder, make a component of what a compiler left behind, or check a component
    Build(BuildArgs),
    /// Tell a component's hooks, what it asks for, and what to grant it
    Inspect(InspectArgs),
}

/// Flags of `plugin inspect`.
#[derive(Args, Clone, Debug)]
pub(crate) struct InspectArgs {
    /// A component
    pub(crate) file: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) format: Output,
}

/// Flags of `plugin build`.
#[derive(Args, Clone, Debug)]
pub(crate) struct BuildArgs {
    /// A folder with a plugin.toml, a core module, or a component
    pub(crate) path: PathBuf,
    /// World that the module was made for: one of --wit, or of the contract (default: what the module names)
    #[arg(long, value_name = "NAME")]
    pub(crate) world: Option<String>,
    /// Directory with the plugin's own WIT; the contract itself is built in
    #[arg(long, value_name = "DIR", requires = "world")]
    pub(crate) wit: Option<PathBuf>,
    /// Where the component goes (default: FILE with the ending .component.wasm)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Reads the command line.
///
/// # Errors
/// The exit code, when there is nothing more to do: help was printed, or the
/// usage is wrong and that was said.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Exit> {
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(cli.command),
        Err(error) => {
            // A closed terminal is no reason for another exit code.
            let _ = error.print();
            Err(if error.use_stderr() { Exit::Usage } else { Exit::Clean })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, parse};
    use crate::exit::Exit;

    fn parsed(line: &str) -> Result<Command, Exit> {
        parse(std::iter::once("gatelodge").chain(line.split_whitespace()).map(Into::into))
    }

    #[test]
    fn wrong_usage_is_told_apart_from_help() {
        for (line, exit) in [
            ("--help", Exit::Clean),
            ("run --help", Exit::Clean),
            ("--version", Exit::Clean),
            ("", Exit::Usage),
            ("rum", Exit::Usage),
            ("run . --listn http://x", Exit::Usage),
            ("run . --workers 0", Exit::Usage),
            ("run . --workers 257", Exit::Usage),
            ("check . --format xml", Exit::Usage),
            ("status . --format xml", Exit::Usage),
            ("stop . now", Exit::Usage),
            ("plugin", Exit::Usage),
            ("plugin build", Exit::Usage),
            ("plugin build x.wasm --wit wit", Exit::Usage),
            ("plugin inspect", Exit::Usage),
            ("plugin inspect x.wasm --format xml", Exit::Usage),
            ("plugin --help", Exit::Clean),
        ] {
            assert_eq!(parsed(line).err(), Some(exit), "{line}");
        }
    }

    #[test]
    fn flags_repeat_and_default() {
        let Ok(Command::Run(run)) =
            parsed("run app --listen http://a --listen http://b --plugin x --plugin y -vv --workers 256")
        else {
            panic!("run")
        };
        assert_eq!((run.site.listen.len(), run.site.plugin.len(), run.verbose), (2, 2, 2));
        assert_eq!(run.site.workers, Some(256));
        let Ok(Command::Check(check)) = parsed("check") else { panic!("check") };
        assert_eq!(check.site.app_dir.as_os_str(), ".");
    }
}
