//! `isthmus record`: shows and feeds the Kafka side of a running local mode, for those without Kafka tools.
//!
//! Finds Kafka through the admin port of `isthmus dev`. A client of its own: it joins no group and commits nothing,
//! so that looking changes nothing. Blocking, no tokio.

mod find;
mod read;
mod write;

use std::io;
use std::time::Duration;

use clap::Subcommand;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

pub use self::read::Read;
pub use self::write::Write;
use crate::kafka::client;

/// How long Kafka may take to say which topics there are.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// `isthmus record`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the running `isthmus dev` answers: its admin address.
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:9600")]
    pub admin: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with records.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the records of a topic, one per line: partition, offset, time, key, value, headers.
    Read(Read),
    /// Write a record to a topic, or one per line of standard input.
    Write(Write),
}

/// What went wrong, in words for the terminal. The causes are in the chain of sources, not in the text.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Nobody answers on the admin address.
    #[error("no local mode answers on {url}: start `isthmus dev FILE` first, or point --admin at it")]
    NoLocalMode {
        /// The address.
        url: String,
        /// What the connection says.
        #[source]
        source: Box<ureq::Error>,
    },
    /// Something else answers there.
    #[error(
        "what answers on {url} is not `isthmus dev`: {why}; point --admin at the admin address that `isthmus dev` prints"
    )]
    NotLocalMode {
        /// The address.
        url: String,
        /// What is wrong with the answer.
        why: &'static str,
    },
    /// Kafka does not say which topics there are.
    #[error("Kafka at {bootstrap_servers} does not answer")]
    Silent {
        /// `host:port`, comma separated.
        bootstrap_servers: String,
        /// What librdkafka says.
        #[source]
        source: KafkaError,
    },
    /// There is no such topic.
    #[error("Kafka has no topic {topic:?}; {}", known(topics))]
    UnknownTopic {
        /// The name that was asked for.
        topic: String,
        /// Those there are.
        topics: Vec<String>,
    },
    /// A record could not be read.
    #[error("topic {topic:?} cannot be read")]
    Read {
        /// The topic.
        topic: String,
        /// What librdkafka says.
        #[source]
        source: KafkaError,
    },
    /// A record could not be written.
    #[error("the record cannot be written to topic {topic:?}")]
    Write {
        /// The topic.
        topic: String,
        /// What librdkafka says.
        #[source]
        source: KafkaError,
    },
    /// The terminal or the pipe is gone.
    #[error("standard input or output fails")]
    Io(#[from] io::Error),
}

fn known(topics: &[String]) -> String {
    if topics.is_empty() { "it has none yet".to_owned() } else { format!("it has: {}", topics.join(", ")) }
}

/// What a client says of its connections is for the one who digs; that a partition has ended is no error at all.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log("record", level, facility, message);
    }
}

impl ConsumerContext for Quiet {}

/// Does what the command line asks for; lines go to standard output.
pub fn run(args: Args) -> Result<(), RecordError> {
    let bootstrap_servers = find::bootstrap_servers(&args.admin)?;
    let mut out = io::stdout().lock();
    let done = match args.command {
        Command::Read(read) => read.run(&bootstrap_servers, &mut out),
        Command::Write(write) => write.run(&bootstrap_servers, &mut io::stdin().lock(), &mut out),
    };
    match done {
        // The reader of the pipe has seen enough.
        Err(RecordError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;
