//! `isthmus-operator`: see the library beside this file.

use clap::Parser as _;
use isthmus_operator::{args::Args, run, telemetry};

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let telemetry = runtime.block_on(async { telemetry::start(&args) })?;
    let ended = runtime.block_on(run::run(args));
    telemetry.end();
    ended
}
