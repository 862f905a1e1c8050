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
mod member;
mod partition;

pub mod record;

use std::sync::Arc;
use std::time::{Duration, Instant};

use isthmus_plan::document;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::health::Health;
use self::mapping::{Mapper, MappingError, SourceRoute};
use self::member::Member;
use self::record::Record;
use crate::kafka::consumer::{Consumer, ConsumerError, Settings};
use crate::kafka::security::{Secured, Security};
use crate::receipt::Tracker;
use crate::secrets::SecretError;
use crate::status;

/// Records of one Source that were received and are not settled; beyond it nothing more is taken from librdkafka.
/// Shared evenly by the assigned partitions.
pub const WINDOW: usize = 1_000;

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
        let member = Member::new(settings, handler, health.clone(), consumer, asked_to_stop);
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

#[cfg(test)]
mod tests;
