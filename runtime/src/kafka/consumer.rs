//! One member of a consumer group: librdkafka's consumer with the settings of one Source.
//!
//! Owns the connection, the membership, the stream of each assigned partition (`stream`) and where it begins (`place`).
//! What becomes of a record, and when its offset is stored, is decided by [`source`](crate::source). Offsets that were
//! stored are committed by librdkafka: on the interval, when a partition is revoked and on close.

mod context;
mod place;
mod statistics;
mod stream;

use std::collections::{HashMap, HashSet};
use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};
use std::time::{Duration, Instant};

use isthmus_api::source::OffsetReset;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};

use self::context::Context;
pub use self::context::{Partitions, Rebalance};
pub use self::place::{Key, Place};
pub use self::statistics::{PartitionStatistics, Statistics};
pub use self::stream::PartitionStream;
use super::client::{self, Trouble};
use super::security::{self, Security};

/// Pause between two attempts to commit while the group rebalances.
const COMMIT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How often a member says that it lives, at the least.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Everything a consumer is set up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Name of the Source, for logs and the client id.
    pub name: String,
    /// `host:port`, comma separated.
    pub bootstrap_servers: String,
    /// User, password and TLS.
    pub security: Security,
    /// Consumer group.
    pub group_id: String,
    /// Kafka topics to subscribe to.
    pub topics: Vec<String>,
    /// Where to start without a committed offset.
    pub offset_reset: OffsetReset,
    /// Most bytes of one fetch and of one partition in it; a larger record still comes, alone (row C4).
    pub max_fetch_bytes: u32,
    /// How long the broker may wait for records before it answers a fetch.
    pub max_wait: Duration,
    /// How often stored offsets are committed (row C4).
    pub commit_interval: Duration,
    /// Limit for TCP, TLS and SASL together (row S1).
    pub connect_timeout: Duration,
    /// Limit for a question about topics and partitions (row S1).
    pub metadata_request_timeout: Duration,
    /// Shortest time between two refreshes of the topic list (row S1).
    pub min_metadata_refresh_interval: Duration,
    /// Age of an unanswered request at which the connection counts as dead.
    pub request_timeout: Duration,
    /// How long the group waits for a silent member.
    pub session_timeout: Duration,
    /// How often [`Monitor::statistics`] is called.
    pub statistics_interval: Duration,
}

impl Settings {
    /// Every combination that the bounds of the resource allow is one that librdkafka takes; where its own limits are
    /// narrower, the nearest value is used.
    fn client_config(&self) -> ClientConfig {
        let millis = |duration: Duration| duration.as_millis().to_string();
        let fetch_bytes = self.max_fetch_bytes.to_string();
        // New topics and partitions are seen within this time; librdkafka's default is 5 minutes.
        let metadata_refresh = self.min_metadata_refresh_interval.max(Duration::from_secs(10));
        // Without any wait an idle consumer would ask as fast as Kafka answers.
        let wait = self.max_wait.clamp(Duration::from_millis(10), Duration::from_secs(298));
        // An answer that Kafka holds back for that long is not one that is overdue.
        let request_timeout = self.request_timeout.clamp(wait + Duration::from_secs(2), Duration::from_secs(300));
        let mut config = client::base(&self.bootstrap_servers, &self.name);
        self.security.apply(&mut config);
        config
            .set("group.id", &self.group_id)
            // Only the partitions that move stop when a member comes or goes (KIP-429).
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", millis(self.session_timeout))
            // With the answer a member learns that another left, and that its partitions are to be had.
            .set("heartbeat.interval.ms", millis((self.session_timeout / 3).min(HEARTBEAT)))
            // It must not be shorter than a session. librdkafka's default.
            .set("max.poll.interval.ms", millis(self.session_timeout.max(Duration::from_secs(300))))
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", millis(self.commit_interval))
            // Stored by the Source once a record is delivered (row X3), not when librdkafka handed it over.
            .set("enable.auto.offset.store", "false")
            // For a place that the log does not have. Without a place `look_up` decides.
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("allow.auto.create.topics", "false")
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", millis(wait))
            .set("fetch.message.max.bytes", &fetch_bytes)
            .set("fetch.max.bytes", self.max_fetch_bytes.max(1_000).to_string())
            // librdkafka wants it to be no larger than a fetch.
            .set("message.max.bytes", self.max_fetch_bytes.clamp(1_000, 1_000_000).to_string())
            .set(
                "receive.message.max.bytes",
                self.max_fetch_bytes.saturating_mul(2).clamp(100_000_000, 2_147_483_647).to_string(),
            )
            // What waits in librdkafka is bounded too: the window of the Source is the real prefetch.
            .set("queued.min.messages", "1000")
            // When that much waits, librdkafka looks again after so long whether to fetch more; its second would be a
            // limit of its own to how fast records come.
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.max.messages.kbytes", (self.max_fetch_bytes / 1024 * 4).clamp(1_024, 2_097_151).to_string())
            .set("socket.connection.setup.timeout.ms", millis(self.connect_timeout.max(Duration::from_secs(1))))
            .set("socket.timeout.ms", millis(request_timeout))
            .set("topic.metadata.refresh.interval.ms", millis(metadata_refresh))
            .set("statistics.interval.ms", millis(self.statistics_interval));
        config
    }
}

/// Why a consumer could not be set up. Kafka being away is not among the reasons: that is [`Monitor::trouble`].
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// librdkafka refuses the settings.
    #[error("the Kafka consumer cannot be set up: {}", security::describe(.0))]
    Create(#[source] KafkaError),
    /// The subscription is refused: a topic name that librdkafka does not take.
    #[error("the subscription to {topics:?} is refused: {source}")]
    Subscribe {
        /// The topics.
        topics: Vec<String>,
        /// What librdkafka says.
        #[source]
        source: KafkaError,
    },
}

/// Who is told about the health of the consumer. Called from the task that awaits [`Consumer::next`] and
/// must not block.
pub trait Monitor: Send + Sync + 'static {
    /// Something is wrong that a user should hear about.
    fn trouble(&self, trouble: Trouble);
    /// Figures of librdkafka, on the interval.
    fn statistics(&self, statistics: Statistics);
}

/// Where the partitions of an assignment are read from.
pub type Places = HashMap<Key, Place>;

/// A member of a consumer group.
pub struct Consumer {
    inner: Arc<StreamConsumer<Context>>,
    rebalances: mpsc::Receiver<Rebalance>,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}

impl Consumer {
    /// Sets up the consumer and asks to join the group. Returns at once; Kafka need not be there.
    pub fn start(settings: &Settings, monitor: Arc<dyn Monitor>) -> Result<Self, ConsumerError> {
        // librdkafka sends the next rebalance only after the last one was answered.
        let (answers, rebalances) = mpsc::channel(4);
        let context = Context::new(settings, monitor, answers);
        let inner: StreamConsumer<Context> =
            settings.client_config().create_with_context(context).map_err(ConsumerError::Create)?;
        let topics: Vec<_> = settings.topics.iter().map(String::as_str).collect();
        inner
            .subscribe(&topics)
            .map_err(|source| ConsumerError::Subscribe { topics: settings.topics.clone(), source })?;
        Ok(Self { inner: Arc::new(inner), rebalances })
    }

    /// Serves the membership until the group gives or takes partitions; must be awaited all the time, or Kafka
    /// takes the member for dead. Cancel safe. Answer with [`Consumer::assign`] or [`Consumer::unassign`].
    pub async fn next(&mut self) -> Rebalance {
        loop {
            tokio::select! {
                Some(rebalance) = self.rebalances.recv() => return rebalance,
                received = self.inner.recv() => match received {
                    // Partitions have queues of their own before they are assigned: nothing arrives here.
                    Ok(record) => tracing::debug!(topic = record.topic(), "record on the main queue ignored"),
                    Err(error) => self.inner.context().consumption_error(&error),
                },
            }
        }
    }

    /// Asks Kafka where to read on in the partitions that the group gave; to be called, again when it fails, where
    /// blocking does no harm. `new` are those of which nothing was ever seen, should the group have no place in them.
    pub fn look_up(
        &self,
        partitions: Partitions,
        reset: OffsetReset,
        new: HashSet<Key>,
        within: Duration,
    ) -> impl Fn() -> Result<Places, KafkaError> + Send + Sync + 'static {
        let consumer = Arc::clone(&self.inner);
        move || {
            let ask = place::Asking { consumer: &consumer, within };
            place::look_up(&ask, &partitions, reset, |topic, partition| new.contains(&(topic.into(), partition)))
        }
    }

    /// Takes the partitions on: from now on their streams yield records. Where no place is given, the stream begins
    /// at what the group committed, or else at the beginning.
    pub fn assign(&self, partitions: &Partitions, places: &Places) -> Vec<PartitionStream> {
        let mut starts = TopicPartitionList::new();
        let mut streams = Vec::new();
        for (topic, partition) in partitions.keys() {
            let place = places.get(&(topic.clone(), partition)).copied();
            let start = match place {
                Some(Place::Chosen(offset)) => Offset::Offset(offset),
                Some(Place::Committed(_) | Place::Beginning) | None => Offset::Stored,
            };
            if starts.add_partition_offset(&topic, partition, start).is_err() {
                continue;
            }
            // The queue is split off first: a partition's records then never reach the main queue.
            if let Some(queue) = self.inner.split_partition_queue(&topic, partition) {
                streams.push(PartitionStream::new(queue, Arc::clone(&self.inner), (topic, partition), place));
            }
        }
        context::assign(self.inner.as_ref(), &starts);
        streams
    }

    /// Gives the partitions back; offsets stored until now are committed first.
    pub fn unassign(&self, partitions: &Partitions) {
        context::unassign(self.inner.as_ref(), &partitions.0);
    }

    /// Whether the partitions were taken away without asking (the session timed out): somebody else may have
    /// them already, so nothing can be committed.
    pub fn assignment_lost(&self) -> bool {
        self.inner.assignment_lost()
    }

    /// Whether Kafka has the topic, by a request of its own. Blocks for at most `within`.
    pub fn has_topic(&self, topic: String, within: Duration) -> impl FnOnce() -> bool + Send + 'static {
        let consumer = Arc::clone(&self.inner);
        move || {
            consumer.fetch_metadata(Some(&topic), within).is_ok_and(|metadata| {
                metadata.topics().iter().any(|known| known.name() == topic && known.error().is_none())
            })
        }
    }

    /// Commits what was stored and leaves the group. All streams must have been dropped. `false` when Kafka
    /// did not answer before the deadline: what was stored since the last interval is then not committed, and
    /// the records come again.
    pub async fn close(self, deadline: Instant) -> bool {
        let Self { inner, mut rebalances } = self;
        // From now on the context answers by itself, and what was asked before is answered here: librdkafka does
        // not close while it waits for an answer.
        rebalances.close();
        while let Ok(rebalance) = rebalances.try_recv() {
            match rebalance {
                Rebalance::Assign(partitions) => context::assign(inner.as_ref(), &partitions.0),
                Rebalance::Revoke(partitions) => context::unassign(inner.as_ref(), &partitions.0),
            }
        }
        let (closed, when_closed) = oneshot::channel();
        // Closing blocks until Kafka answered. A thread of its own, because the process must be able to end
        // without it, and a runtime waits for its blocking tasks.
        let spawned = std::thread::Builder::new().name("close-consumer".to_owned()).spawn(move || {
            let committed = commit(&inner, deadline);
            drop(inner);
            // Nobody waits any more when the deadline is over.
            let _ = closed.send(committed);
        });
        spawned.is_ok() && matches!(tokio::time::timeout_at(deadline.into(), when_closed).await, Ok(Ok(true)))
    }
}

/// Commits what was stored. While the group rebalances Kafka refuses commits (KIP-429 makes that two rounds), so the
/// membership is served until it is done.
fn commit(consumer: &StreamConsumer<Context>, deadline: Instant) -> bool {
    loop {
        match consumer.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => return true,
            Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration,
            )) if Instant::now() < deadline => {
                let serve = std::pin::pin!(consumer.recv());
                drop(serve.poll(&mut TaskContext::from_waker(Waker::noop())));
                std::thread::sleep(COMMIT_RETRY_PAUSE);
            }
            Err(error) => {
                tracing::warn!(%error, "offsets not committed; their records may come again");
                return false;
            }
        }
    }
}
