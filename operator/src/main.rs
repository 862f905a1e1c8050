//! `isthmus-operator`: see the library beside this file.

use clap::Parser as _;
use isthmus_operator::{args::Args, run, telemetry};

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::start(args.log.as_deref(), args.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run::run(args))
}
