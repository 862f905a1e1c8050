//! A Source: records of Kafka topics on their way to MQTT subscribers and rules.
//!
//! Owns one member of the consumer group and one task per assigned partition. An offset is stored for commit
//! only when everything that took responsibility for the record said what became of it (row X3). How records are
//! fetched belongs to [`kafka::consumer`](crate::kafka::consumer); what a mapping does with one to [`mapping`].
//!
//! ```text
//! group gives a partition ─▶ partition task: next record ─▶ Handler ─▶ receipts ─▶ settled in order ─▶ store
//! group takes a partition ─▶ partition task settles what it can within REVOKE_GRACE ─▶ commit ─▶ give back
//! ```

pub mod columns;
pub mod health;
pub mod mapping;
mod partition;

pub mod record;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use isthmus_plan::document;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use self::health::Health;
use self::mapping::{Mapper, MappingError, SourceRoute};
use self::partition::Partition;
use self::record::Record;
use crate::kafka::consumer::{
    Consumer, ConsumerError, Key, PartitionStream, Partitions, Place, Places, Rebalance, Settings,
};
use crate::kafka::security::{Secured, Security};
use crate::receipt::Tracker;
use crate::secrets::SecretError;
use crate::status;

/// Records of one Source that were received and are not settled; beyond it nothing more is taken from librdkafka.
/// Shared evenly by the assigned partitions.
pub const WINDOW: usize = 1_000;

/// A partition that the group takes away has this long to settle the records it has, so that the next owner does
/// not deliver them again. Short, because the whole group waits.
const REVOKE_GRACE: Duration = Duration::from_secs(2);

/// The last commit is tried for this long even when the deadline is over: it saves deliveries that were made.
const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// Pause before Kafka is asked again where to begin.
const LOOK_UP_PAUSE: Duration = Duration::from_secs(1);

/// How often Kafka is asked whether a missing topic is there now.
const MISSING_TOPIC_CHECK: Duration = Duration::from_secs(5);

/// What becomes of a record; called by the partition's task, in order.
pub trait Handler: Send + Sync + 'static {
    /// Routes one record. Whoever takes responsibility for it asks the tracker for a receipt. An `Err` is why the
    /// record can never be delivered; it counts as failed.
    fn handle(&self, record: &Record, tracker: &mut Tracker<'_>) -> Result<(), String>;
}

/// Why a Source does not start.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A template does not compile.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// A Secret is not there, or holds what cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The consumer cannot be set up.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
}

/// What differs between a pod and a laptop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    longest_session: Duration,
    statistics_interval: Duration,
    longest_wait: Duration,
}

impl Tuning {
    /// In a pod, and wherever Kafka is a real one.
    pub const KAFKA: Self = Self {
        longest_session: Duration::MAX,
        statistics_interval: Duration::from_secs(5),
        longest_wait: Duration::MAX,
    };

    /// With the embedded broker. It hands the partitions of a member that left to the next one when its session
    /// is over, and answers a fetch that found nothing only when its time is over, whatever came in between.
    pub const EMBEDDED: Self = Self {
        longest_session: Duration::from_secs(6),
        statistics_interval: Duration::from_secs(1),
        longest_wait: Duration::from_millis(50),
    };

    fn settings(self, plan: &document::Source, security: Security) -> Settings {
        let kafka = &plan.kafka;
        Settings {
            name: plan.name.clone(),
            bootstrap_servers: kafka.bootstrap_servers.join(","),
            security,
            group_id: plan.group_id.clone(),
            topics: plan.topic_mapping.iter().map(|mapping| mapping.kafka_topic.clone()).collect(),
            offset_reset: plan.offset_reset,
            max_fetch_bytes: u32::try_from(plan.max_fetch_bytes.bytes()).unwrap_or(u32::MAX),
            max_wait: plan.max_wait.get().min(self.longest_wait),
            commit_interval: plan.offset_commit_interval.get(),
            connect_timeout: kafka.connect_timeout.get(),
            metadata_request_timeout: kafka.metadata_request_timeout.get(),
            min_metadata_refresh_interval: kafka.min_metadata_refresh_interval.get(),
            request_timeout: kafka.request_timeout.get(),
            session_timeout: plan.session_timeout.get().min(self.longest_session),
            statistics_interval: self.statistics_interval,
        }
    }
}

/// A running Source.
#[derive(Debug)]
pub struct Source {
    health: Arc<Health>,
    stop: oneshot::Sender<Instant>,
    task: JoinHandle<Left>,
}

/// What a stopped Source left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// Records that were received and not settled before the deadline. Their offsets are not committed: they come
    /// again, to this process or another.
    pub unsettled: usize,
    /// Kafka did not confirm the last commit: records since the one before may come again.
    pub commit_unconfirmed: bool,
}

impl Left {
    /// Whether nothing was left.
    pub fn is_clean(self) -> bool {
        self == Self::default()
    }
}

impl Source {
    /// Joins the group and delivers until [`Source::stop`]. Call it when the listeners are bound: records that
    /// come before devices can connect would find no subscriber.
    ///
    /// A reload leaves a Source alone whose part of the plan is the same; one that changed is stopped, so that it
    /// commits, and started anew.
    pub fn start(
        plan: &document::Source,
        security: Secured,
        tuning: Tuning,
        route: Arc<dyn SourceRoute>,
    ) -> Result<Self, SourceError> {
        let security = security?;
        let handler = Arc::new(Mapper::compile(plan, route)?);
        Ok(Self::start_with(tuning.settings(plan, security), handler)?)
    }

    fn start_with(settings: Settings, handler: Arc<dyn Handler>) -> Result<Self, ConsumerError> {
        let health = Arc::new(Health::new(&settings));
        let consumer = Consumer::start(&settings, health.clone())?;
        let (stop, asked_to_stop) = oneshot::channel();
        let member = Member {
            settings,
            handler,
            health: health.clone(),
            consumer,
            stop: asked_to_stop,
            placing: None,
            read_before: HashSet::new(),
            partitions: BTreeMap::new(),
            limit: Arc::new(AtomicUsize::new(WINDOW)),
        };
        Ok(Self { health, stop, task: tokio::spawn(member.run()) })
    }

    /// Counts on from the figures of the Source that this one replaces: counters start at zero with the process only.
    pub fn go_on_counting(&self, before: &status::Source) {
        self.health.go_on_counting(before);
    }

    /// The figures now.
    pub fn figures(&self) -> status::Source {
        self.health.figures()
    }

    /// Takes no more records, waits for those that are on their way, commits and leaves the group, all until
    /// `deadline`.
    pub async fn stop(self, deadline: Instant) -> Left {
        // A task that ended already needs no request.
        let _ = self.stop.send(deadline);
        self.task.await.unwrap_or(Left { unsettled: 0, commit_unconfirmed: true })
    }
}

/// Partitions that the group gave, while Kafka is asked where to begin in them.
struct Placing {
    partitions: Partitions,
    places: JoinHandle<Places>,
}

struct Running {
    task: JoinHandle<usize>,
    end: oneshot::Sender<Instant>,
}

/// The task of a Source: serves the group, starts and ends the partitions' tasks.
struct Member {
    settings: Settings,
    handler: Arc<dyn Handler>,
    health: Arc<Health>,
    consumer: Consumer,
    stop: oneshot::Receiver<Instant>,
    placing: Option<Placing>,
    /// Partitions that this member has, or had.
    read_before: HashSet<Key>,
    partitions: BTreeMap<Key, Running>,
    /// The share of [`WINDOW`] that each partition has.
    limit: Arc<AtomicUsize>,
}

impl Member {
    async fn run(mut self) -> Left {
        let mut check = tokio::time::interval(MISSING_TOPIC_CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = loop {
            tokio::select! {
                // A Source that was dropped instead of stopped ends at once.
                deadline = &mut self.stop => break deadline.unwrap_or_else(|_| Instant::now()),
                rebalance = self.consumer.next() => self.rebalance(rebalance).await,
                places = placed(self.placing.as_mut()) => self.placed(&places),
                _ = check.tick() => self.look_for_missing_topics(),
            }
        };
        self.close(deadline).await
    }

    async fn rebalance(&mut self, rebalance: Rebalance) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                let places = self.look_up(partitions.clone());
                self.placing = Some(Placing { partitions, places });
            }
            Rebalance::Revoke(partitions) => {
                // Not before the assignment was answered; librdkafka waits for that.
                self.placed(&Places::new());
                // When somebody else may have the partitions already, waiting would only deliver twice what
                // cannot be committed anyway.
                let lost = self.consumer.assignment_lost();
                let grace = if lost { Duration::ZERO } else { REVOKE_GRACE };
                let ending = self.ask_to_end(partitions.keys(), Instant::now() + grace);
                self.ended(ending).await;
                self.consumer.unassign(&partitions);
                self.health.member(!lost);
            }
        }
        self.share_window();
    }

    /// Asks Kafka where to begin, until it says so.
    fn look_up(&self, partitions: Partitions) -> JoinHandle<Places> {
        // Kafka forgets the group's place together with the topic.
        let is_new = |key: &Key| self.read_before.contains(key) || self.health.is_new_topic(&key.0);
        let new = partitions.keys().into_iter().filter(is_new).collect();
        let Settings { offset_reset, metadata_request_timeout, .. } = self.settings;
        let look = Arc::new(self.consumer.look_up(partitions, offset_reset, new, metadata_request_timeout));
        let source = self.settings.name.clone();
        tokio::spawn(async move {
            loop {
                let look = Arc::clone(&look);
                match tokio::task::spawn_blocking(move || look()).await {
                    Ok(Ok(places)) => return places,
                    Ok(Err(error)) => {
                        tracing::warn!(source, %error, "Kafka does not say where to begin; it is asked again")
                    }
                    Err(error) => tracing::error!(source, %error, "the look for a place ended badly"),
                }
                tokio::time::sleep(LOOK_UP_PAUSE).await;
            }
        })
    }

    /// Takes on the partitions whose places were looked for, if any are.
    fn placed(&mut self, places: &Places) {
        let Some(placing) = self.placing.take() else { return };
        placing.places.abort();
        for stream in self.consumer.assign(&placing.partitions, places) {
            self.take_on(stream);
        }
        self.health.member(true);
        self.share_window();
    }

    fn share_window(&self) {
        self.limit.store((WINDOW / self.partitions.len().max(1)).max(1), Relaxed);
    }

    fn take_on(&mut self, stream: PartitionStream) {
        let key = (stream.topic().clone(), stream.partition());
        let place = stream.place();
        tracing::info!(source = %self.settings.name, topic = %key.0, partition = key.1, ?place, "partition assigned");
        if !self.read_before.insert(key.clone()) && !matches!(place, Some(Place::Committed(_)) | None) {
            self.health.rewound(&key.0, key.1, "the group's place in it is gone, as when a topic is deleted");
        }
        let (end, asked_to_end) = oneshot::channel();
        let partition = Partition {
            stream,
            handler: self.handler.clone(),
            health: self.health.clone(),
            progress: self.health.assigned(&key),
            limit: self.limit.clone(),
            end: asked_to_end,
        };
        self.partitions.insert(key, Running { task: tokio::spawn(partition.run()), end });
    }

    /// Asks the partitions' tasks to end; they have until the deadline to settle what they took.
    fn ask_to_end(&mut self, keys: Vec<Key>, deadline: Instant) -> Vec<(Key, JoinHandle<usize>)> {
        keys.into_iter()
            .filter_map(|key| {
                let Running { task, end } = self.partitions.remove(&key)?;
                // A task that ended already needs no request.
                let _ = end.send(deadline);
                Some((key, task))
            })
            .collect()
    }

    /// Waits for the tasks; returns how many records they did not settle.
    async fn ended(&self, ending: Vec<(Key, JoinHandle<usize>)>) -> usize {
        let mut left = 0;
        for (key, task) in ending {
            let unsettled = task.await.unwrap_or(0);
            left += unsettled;
            self.health.revoked(&key);
            let (topic, partition) = key;
            tracing::info!(source = %self.settings.name, %topic, partition, unsettled, "partition given back");
        }
        left
    }

    fn look_for_missing_topics(&self) {
        for topic in self.health.missing_topics() {
            let look = self.consumer.has_topic(topic.clone(), self.settings.metadata_request_timeout);
            let health = self.health.clone();
            // Ends by itself within the timeout given to the request.
            drop(tokio::task::spawn_blocking(move || {
                if look() {
                    health.topic_found(&topic);
                }
            }));
        }
    }

    async fn close(mut self, deadline: Instant) -> Left {
        if let Some(placing) = self.placing.take() {
            placing.places.abort();
            // librdkafka does not close while it waits for the answer.
            drop(self.consumer.assign(&placing.partitions, &Places::new()));
        }
        let keys = self.partitions.keys().cloned().collect();
        // Heartbeats come from librdkafka's own thread; a rebalance now waits for the answer that closing gives.
        let ending = self.ask_to_end(keys, deadline);
        self.health.stopping();
        let unsettled = self.ended(ending).await;
        let confirmed = self.consumer.close(deadline.max(Instant::now() + CLOSE_GRACE)).await;
        Left { unsettled, commit_unconfirmed: !confirmed }
    }
}

/// Where to begin, once that is known; never when nothing is looked for.
async fn placed(placing: Option<&mut Placing>) -> Places {
    match placing {
        // One that ended badly leaves the choice to librdkafka.
        Some(placing) => (&mut placing.places).await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
