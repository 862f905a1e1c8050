//! `isthmus-bench profile`: the product under callgrind, with a shape's load.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use isthmus_tests::Result;
use isthmus_tests::process::{self, Process};

use crate::cluster::Cluster;
use crate::load::{self, Load};
use crate::round;
use crate::say;
use crate::server::{Server, Under};
use crate::shape::{self, groups};

/// Options of a profile.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A shape in which devices publish.
    #[arg(long, default_value = "S1")]
    shape: String,
    /// Seconds of load; the product runs some fifty times slower than by itself.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Where the table goes.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// How long a program under callgrind may take to end and to write its file.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes `profile-SHAPE.txt`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let groups = groups(std::slice::from_ref(&args.shape)).map_err(|error| anyhow::anyhow!(error))?;
    let shape = groups.iter().flatten().next().context("no such shape")?;
    let shape::Load::Publish(publish) = shape.load else {
        bail!("{} is not a shape in which devices publish", shape.name)
    };
    process::be_quiet();
    std::fs::create_dir_all(&args.out)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("callgrind.out");
    let cluster = Cluster::start()?;
    let topic = cluster.topic("profile")?;
    let out_file = format!("--callgrind-out-file={}", file.display());
    // Nothing is counted until the product is up and loaded.
    let under = ["valgrind", "--tool=callgrind", "--instr-atstart=no", &out_file];
    let server = Server::bridge(Under(&under), &cluster.broker.bootstrap(), &topic, &publish)?;
    let pid = server.pids.first().context("no process")?.to_string();
    let mut load = Load::connect(round::plan(&server, &publish))?;
    load.start()?;
    thread::sleep(Duration::from_secs(2));
    control("on", &pid)?;
    let before = load.acknowledged();
    thread::sleep(Duration::from_secs(args.seconds));
    let messages = load.acknowledged() - before;
    control("off", &pid)?;
    let outcome = load.finish()?;
    load::check(&outcome)?;
    server.stop(PATIENCE)?;
    ensure!(messages > 0, "no message was acknowledged");
    let mut annotate = Command::new("callgrind_annotate");
    annotate.args(["--inclusive=no", "--threshold=95"]).arg(&file);
    let own = Process::run("callgrind_annotate", PATIENCE, &mut annotate)?;
    let text = format!("{}: {messages} messages under callgrind\n\n{}\n", shape.name, own.join("\n"));
    let place = args.out.join(format!("profile-{}.txt", shape.name));
    std::fs::write(&place, text)?;
    say(&format!("{messages} messages; the table is in {}", place.display()));
    Ok(())
}

fn control(instrumentation: &str, pid: &str) -> Result<()> {
    let mut command = Command::new("callgrind_control");
    command.args(["-i", instrumentation, pid]);
    Process::run("callgrind_control", PATIENCE, &mut command)?;
    Ok(())
}
