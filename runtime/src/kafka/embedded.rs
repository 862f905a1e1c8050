//! The Kafka of local mode: librdkafka's mock cluster, one broker in this process.
//!
//! Speaks Kafka's protocol on loopback to any client, and forgets everything when the process ends.
//! Each partition keeps its newest 5 MB or 100,000 records ([`LIMIT`]). It has no authentication,
//! no transactions worth the name and no topic administration over the wire: topics are created
//! here. Which topics are needed is decided by the caller.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use tokio::sync::oneshot;

/// What a user must know about the embedded broker, wherever it is mentioned.
pub const LIMIT: &str = "each partition keeps the newest 5 MB or 100,000 records, in memory only";

/// Partitions of a topic that is created in the embedded broker.
///
/// One: all records of a topic are then in one order, which is what a newcomer expects to see, and
/// what makes `record read` print them as they were sent.
pub const PARTITIONS: i32 = 1;

/// Why the embedded broker does not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The mock cluster could not be set up: no loopback port, no memory.
    #[error("the embedded Kafka broker does not start: try `--kafka HOST:PORT` with a Kafka of your own")]
    Start(#[source] KafkaError),
    /// The thread that owns the broker could not be started, or is gone.
    #[error("the embedded Kafka broker has no thread to run on")]
    Thread,
    /// A topic could not be created.
    #[error("topic {topic:?} cannot be created in the embedded Kafka broker")]
    Topic {
        /// Its name.
        topic: String,
        /// What librdkafka says.
        #[source]
        source: KafkaError,
    },
}

enum Command {
    CreateTopic { topic: String, partitions: i32, done: oneshot::Sender<Result<(), KafkaError>> },
    SetUp { up: bool, done: oneshot::Sender<Result<(), KafkaError>> },
}

/// A running embedded broker. It ends when this is dropped.
///
/// librdkafka's handle may not move between threads, so a thread of its own holds it and waits for
/// commands; the broker itself runs on threads of librdkafka.
#[derive(Debug)]
pub struct Embedded {
    bootstrap_servers: String,
    commands: Option<SyncSender<Command>>,
    owner: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Starts one broker on a free loopback port.
    pub async fn start() -> Result<Self, EmbeddedError> {
        let (started, when_started) = oneshot::channel();
        let (commands, inbox) = mpsc::sync_channel(16);
        let owner = std::thread::Builder::new()
            .name("embedded-kafka".to_owned())
            .spawn(move || own_cluster(started, &inbox))
            .map_err(|_| EmbeddedError::Thread)?;
        let bootstrap_servers = when_started.await.map_err(|_| EmbeddedError::Thread)?.map_err(EmbeddedError::Start)?;
        Ok(Self { bootstrap_servers, commands: Some(commands), owner: Some(owner) })
    }

    /// Where clients connect: `127.0.0.1:PORT`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Creates those of `topics` that are not there yet, with [`PARTITIONS`] partitions each.
    pub async fn create_topics(&self, topics: impl IntoIterator<Item = &str>) -> Result<(), EmbeddedError> {
        for topic in topics {
            self.create_topic(topic, PARTITIONS).await?;
        }
        Ok(())
    }

    /// Creates one topic, unless it is there already.
    pub async fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), EmbeddedError> {
        let (done, answer) = oneshot::channel();
        self.send(Command::CreateTopic { topic: topic.to_owned(), partitions, done })?;
        match answer.await.map_err(|_| EmbeddedError::Thread)? {
            Ok(()) | Err(KafkaError::MockCluster(RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err(source) => Err(EmbeddedError::Topic { topic: topic.to_owned(), source }),
        }
    }

    /// Cuts all connections and refuses new ones, or accepts them again: an outage for tests.
    pub async fn set_up(&self, up: bool) -> Result<(), EmbeddedError> {
        let (done, answer) = oneshot::channel();
        self.send(Command::SetUp { up, done })?;
        answer.await.map_err(|_| EmbeddedError::Thread)?.map_err(EmbeddedError::Start)
    }

    fn send(&self, command: Command) -> Result<(), EmbeddedError> {
        // The owner answers at once and the queue is longer than the callers there are: never full.
        self.commands.as_ref().and_then(|commands| commands.try_send(command).ok()).ok_or(EmbeddedError::Thread)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(owner) = self.owner.take() {
            // Joined, so that the port is free when the caller goes on; the thread only drops the cluster.
            drop(owner.join());
        }
    }
}

fn own_cluster(started: oneshot::Sender<Result<String, KafkaError>>, inbox: &Receiver<Command>) {
    let cluster = match MockCluster::new(1) {
        Ok(cluster) => cluster,
        Err(error) => {
            // Nobody waits any more when the caller was cancelled.
            let _ = started.send(Err(error));
            return;
        }
    };
    if started.send(Ok(cluster.bootstrap_servers())).is_err() {
        return;
    }
    while let Ok(command) = inbox.recv() {
        let (result, done) = match command {
            Command::CreateTopic { topic, partitions, done } => (cluster.create_topic(&topic, partitions, 1), done),
            Command::SetUp { up: true, done } => (cluster.broker_up(-1), done),
            Command::SetUp { up: false, done } => (cluster.broker_down(-1), done),
        };
        let _ = done.send(result);
    }
}
