//! `isthmus-bench run`: the shapes in turn, product and floor interleaved.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use isthmus_tests::{Result, isthmus, manifest, process};

use crate::cluster::Cluster;
use crate::machine::Machine;
use crate::peer::{PEERS, Peer};
use crate::report::{Entry, PeerRounds, Report, Rounds};
use crate::round::{self, Round, Subject};
use crate::say;
use crate::server::{self, Server, Under};
use crate::shape::{Load, Shape, groups};

/// The shape in which other bridges are measured as well.
const BESIDE: &str = "S1";

/// Options of a run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A shape or a number of shapes, such as S1; all of them without.
    #[arg(long)]
    shape: Vec<String>,
    /// Rounds of each program.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of full load in a round.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Messages that Kafka gets before anything is measured.
    #[arg(long, default_value_t = 2_000_000)]
    warm: u32,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// Runs and reports; a failure when a message was lost or a shape could not be measured.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let groups = groups(&args.shape).map_err(|error| anyhow!(error))?;
    process::be_quiet();
    let machine = Machine::look()?;
    if server::is_debug(isthmus::binary()?) {
        say("this is a debug build, whose figures say nothing: `make bench` builds what they are for");
    }
    say(&format!("warming Kafka with {} messages", args.warm));
    let cluster = Cluster::start()?;
    cluster.warm(args.warm)?;
    let qos = {
        let probe = Server::product(Under::NOTHING, manifest::bridge(), &[], false)?;
        probe.maximum_qos()?
    };
    let mut report = Report { machine, entries: Vec::new() };
    for group in groups {
        let entries = measure(args, &cluster, &group, qos);
        report.entries.extend(group.into_iter().zip(entries));
        // After each group, so that an interrupted run leaves what it has.
        report.write(&args.out)?;
    }
    say(&std::fs::read_to_string(args.out.join("report.md"))?);
    Ok(if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The shapes of a group, all of them in every round.
fn measure(args: &Args, cluster: &Cluster, group: &[Shape], qos: u8) -> Vec<Entry> {
    let mut entries: Vec<Entry> = group
        .iter()
        .map(|shape| match shape.load {
            Load::Publish(publish) if publish.form.qos > qos => {
                Entry::NotYet(format!("the broker takes QoS {qos} at most"))
            }
            _ => Entry::Measured(Box::default()),
        })
        .collect();
    for number in 1..=args.rounds {
        for (shape, entry) in group.iter().zip(&mut entries) {
            let Entry::Measured(rounds) = entry else { continue };
            say(&format!("{} round {number} of {}", shape.name, args.rounds));
            if let Err(error) = one_round(args, cluster, shape, rounds) {
                say(&format!("{}: {error:#}", shape.name));
                *entry = Entry::Failed(format!("{error:#}"));
            }
        }
    }
    entries
}

fn one_round(args: &Args, cluster: &Cluster, shape: &Shape, rounds: &mut Rounds) -> Result<()> {
    let length = Duration::from_secs(args.seconds);
    let floor_too = match shape.load {
        Load::Publish(publish) => {
            if rounds.null.is_none() {
                rounds.null = Some(round::null(&publish, Duration::from_secs(1))?);
            }
            publish.floor
        }
        Load::FanOut(_) | Load::Source(_) => false,
        Load::Recovery => true,
    };
    let one = |subject: Subject<'_>| -> Result<Round> {
        match shape.load {
            Load::Publish(publish) => round::publish(cluster, subject, &publish, length),
            Load::FanOut(subscribers) => round::fan_out(subscribers, length),
            Load::Source(subscribers) => round::source(cluster, subscribers),
            Load::Recovery => round::recovery(subject),
        }
    };
    rounds.product.push(one(Subject::Product)?);
    if floor_too {
        rounds.floor.push(one(Subject::Floor)?);
    }
    if shape.name == BESIDE {
        if rounds.peers.is_empty() {
            let new = |peer: &'static Peer| PeerRounds { peer, rounds: Vec::new(), trouble: peer.missing() };
            rounds.peers = PEERS.iter().map(new).collect();
        }
        for PeerRounds { peer, rounds, trouble } in rounds.peers.iter_mut().filter(|peer| peer.trouble.is_none()) {
            match one(Subject::Peer(peer)) {
                Ok(round) => rounds.push(round),
                Err(error) => *trouble = Some(format!("failed: {error:#}")),
            }
        }
    }
    Ok(())
}
