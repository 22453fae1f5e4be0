//! The binary: parse, compose, run, exit code.

#![forbid(unsafe_code)]

mod app;
mod author;
mod check;
mod cli;
mod compose;
mod counters;
mod desk;
mod exit;
mod generation;
mod identity;
mod lasting;
mod load;
mod orders;
mod plugins;
mod prepare;
mod reload;
mod running;
mod settle;
mod site;
mod status;
mod tell;
mod trace_key;
mod watching;
mod worker;

use exit::Exit;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // The host starts itself anew for two jobs that want a process of their own.
    let job = match args.next() {
        Some(first) if first == process::KEEPER_ARGUMENT => Some(process::keeper_main(args)),
        Some(first) if first == plugin::COMPILER_ARGUMENT => Some(plugin::compiler_main(args)),
        _ => None,
    };
    if let Some(code) = job {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    let exit = match cli::parse(std::env::args_os()) {
        Ok(cli::Command::Run(args)) => compose::run(&args),
        Ok(cli::Command::Check(args)) => check::check(&args),
        Ok(cli::Command::Status(args)) => running::status(&args),
        Ok(cli::Command::Reload(args)) => running::reload(&args),
        Ok(cli::Command::Stop(args)) => running::stop(&args),
        Ok(cli::Command::Plugin(args)) => author::plugin(&args),
        Ok(cli::Command::Version { format }) => check::version(format),
        Err(exit) => exit,
    };
    Exit::into(exit)
}
