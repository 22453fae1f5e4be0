//! The binary: parse, compose, run, exit code.

#![forbid(unsafe_code)]

mod check;
mod cli;
mod compose;
mod exit;
mod load;
mod orders;
mod plugins;
mod settle;
mod site;
mod tell;
mod worker;

use exit::Exit;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|first| first == process::KEEPER_ARGUMENT) {
        return ExitCode::from(u8::try_from(process::keeper_main(args)).unwrap_or(1));
    }
    let exit = match cli::parse(std::env::args_os()) {
        Ok(cli::Command::Run(args)) => compose::run(&args),
        Ok(cli::Command::Check(args)) => check::check(&args),
        Ok(cli::Command::Version { format }) => check::version(format),
        Err(exit) => exit,
    };
    Exit::into(exit)
}
