//! Benchmarks of the whole data path: how far from the floor.
//!
//! `run` measures shapes ([`shape`]) and writes a report ([`report`]). A round ([`round`]) starts the product or the
//! floor ([`server`]) on real, warm Kafka ([`cluster`]), loads it ([`load`]), reads what it used ([`measure`]) and lets an
//! independent client count what arrived ([`verify`]). Product and floor take turns, so that whatever else the machine does
//! meets both. `floor` ([`mod@floor`]) and `null` are the servers it starts. `docs/performance.md` explains the figures.

mod cluster;
mod floor;
mod load;
mod machine;
mod measure;
mod peer;
mod profile;
mod report;
mod round;
mod run;
mod server;
mod shape;
mod verify;
mod wire;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use isthmus_tests::Result;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of the whole data path.
#[derive(Debug, Parser)]
#[command(name = "isthmus-bench")]
enum Args {
    /// Measure shapes and write a report.
    Run(run::Args),
    /// Say which functions of the product a shape spends its instructions in.
    Profile(profile::Args),
    /// The smallest honest bridge from MQTT to Kafka.
    Floor(floor::Args),
    /// A server that answers publications and does nothing else.
    Null,
}

fn main() -> ExitCode {
    let outcome = match Args::parse() {
        Args::Run(args) => run::run(&args),
        Args::Profile(args) => profile::run(&args).map(|()| ExitCode::SUCCESS),
        Args::Floor(args) => serve(floor::run(args)),
        Args::Null => serve(floor::nothing()),
    };
    outcome.unwrap_or_else(|error| {
        say(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

fn serve(server: impl Future<Output = Result<()>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(server)?;
    Ok(ExitCode::SUCCESS)
}

/// Progress and trouble, for whoever watches.
#[expect(clippy::print_stderr, reason = "a command line program")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Tells whoever started this server where it is.
#[expect(clippy::print_stdout, reason = "the runner reads it")]
fn announce(address: SocketAddr) {
    println!("listening on {address}");
}

/// A connection of one of the servers here has ended.
fn complain(peer: SocketAddr, ended: Result<()>) {
    if let Err(error) = ended {
        say(&format!("{peer}: {error:#}"));
    }
}
