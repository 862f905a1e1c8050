//! The `isthmus` binary.

use std::process::ExitCode;

use clap::Parser as _;
use isthmus_runtime::args::{Args, Command};
use isthmus_runtime::{dev, record, rule_test, run, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = telemetry::start(args.log.as_deref()) {
        run::complain(&format!("error: {error}"));
        return ExitCode::FAILURE;
    }
    let outcome = match args.command {
        Command::Run(args) => run::in_runtime(run::run(args)).map(|()| ExitCode::SUCCESS),
        Command::Dev(args) => run::in_runtime(dev::dev(args)),
        Command::Plan(args) => run::plan(&args),
        Command::Check(args) => Ok(run::check(&args)),
        Command::Probe(args) => run::probe(&args),
        Command::Record(args) => record::run(args).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Command::Rule(args) => rule_test::run(&args).map_err(Into::into),
    };
    outcome.unwrap_or_else(|error| {
        run::complain(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}
