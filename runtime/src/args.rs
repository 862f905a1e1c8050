//! The command line.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use isthmus_api::Size;

/// An address to bind, by number or by name.
fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found =
        text.to_socket_addrs().map_err(|error| format!("{error}: write HOST:PORT, such as 127.0.0.1:1883"))?;
    found.next().ok_or_else(|| "the name has no address".to_owned())
}

/// A number of bytes as Kubernetes writes it.
fn bytes(text: &str) -> Result<u64, String> {
    match text.parse::<Size>() {
        Ok(size) if size.bytes() >= SMALLEST_MEMORY => Ok(size.bytes()),
        Ok(_) => Err(format!("the process needs {} MiB at least", SMALLEST_MEMORY >> 20)),
        Err(error) => Err(format!("{error}: write a size such as 512Mi")),
    }
}

/// What a process that serves nobody has already.
const SMALLEST_MEMORY: u64 = 64 << 20;

/// MQTT devices and Apache Kafka, joined by rules.
#[derive(Debug, Parser)]
#[command(name = "isthmus", version, propagate_version = true)]
pub struct Args {
    /// What to log, on standard error: error, warn, info, debug, trace, or directives such as `info,isthmus_runtime::sink=debug`.
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER", hide_env_values = true)]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the data path of one Bridge from a rendered plan, as a pod does.
    Run(Run),
    /// Run manifests on this machine, with an embedded Kafka unless --kafka names one.
    Dev(Dev),
    /// Check manifests and start nothing: exit status 1 when one of them would be refused.
    Check(Check),
    /// Print the plan of manifests, for `isthmus run`.
    Plan(Plan),
    /// Ask an HTTP address whether all is well: exit status 1 when it is not.
    Probe(crate::probe::Args),
    /// Show and feed the Kafka side of a running `isthmus dev`.
    Record(crate::record::Args),
    /// Try rules on sample events before they are live, and look up functions.
    Rule(crate::rule_test::Args),
}

/// `isthmus run`
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The plan to run, as JSON or gzip of it; it is watched, and a changed plan takes effect at once.
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// Folder with the Secrets that the plan names, each value in the file SECRET/KEY. They are watched as the plan is.
    #[arg(long, value_name = "FOLDER", default_value = "/etc/isthmus/secrets")]
    pub secrets: PathBuf,
    /// Where to serve health, metrics and status.
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:9600", value_parser = address)]
    pub admin: SocketAddr,
    /// Address that the listeners bind, their ports come from the plan.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    pub bind: std::net::IpAddr,
    /// Memory that the process may have, such as 512Mi, instead of the container's limit or the machine's memory. Near it
    /// buffers and queues drop or refuse.
    #[arg(long, value_name = "SIZE", env = "ISTHMUS_MEMORY", value_parser = bytes)]
    pub memory: Option<u64>,
}

/// `isthmus dev`
#[derive(Debug, clap::Args)]
pub struct Dev {
    /// Manifests: YAML files with Bridge, Connector, Sink, Source and Rule resources. They are watched.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A real Kafka instead of the embedded one; it replaces the bootstrapServers of every Connector.
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// Address of the first listener, instead of 127.0.0.1 and its port in the Bridge. Port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub mqtt: Option<SocketAddr>,
    /// Where to serve health, metrics and status. Port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9600", value_parser = address)]
    pub admin: SocketAddr,
    /// Memory that the process may have, such as 512Mi, instead of the container's limit or the machine's memory. Near it
    /// buffers and queues drop or refuse.
    #[arg(long, value_name = "SIZE", env = "ISTHMUS_MEMORY", value_parser = bytes)]
    pub memory: Option<u64>,
}

/// `isthmus check`
#[derive(Debug, clap::Args)]
pub struct Check {
    /// Manifests: YAML files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `isthmus plan`
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// Manifests: YAML files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The Bridge to render, when the manifests have several.
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub bridge: Option<String>,
}
