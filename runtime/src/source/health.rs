//! How a Source is doing: its figures (row C7) and whether its link is up, with the reason and the fix.
//!
//! Facts arrive from librdkafka's callbacks, from the group's task and from the partitions' tasks; the link is
//! derived from them when somebody asks. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use bytestring::ByteString;
use parking_lot::Mutex;

use crate::kafka::client::{self, KAFKA_UNREACHABLE, NOT_AUTHORIZED, TOPIC_NOT_FOUND, Trouble};
use crate::kafka::consumer::{Monitor, Settings, Statistics};
use crate::status::{self, Link, LinkState};

/// Reason of a link whose consumer is not, or not any more, a member of its group.
pub const GROUP_REBALANCING: &str = "GroupRebalancing";
/// Reason of a link that does not know yet where it starts to read. With `offsetReset: Latest` a record that is written
/// now may be before that place.
pub const OFFSETS_UNKNOWN: &str = "OffsetsUnknown";
/// Reason of a link that is up.
pub const CONNECTED: &str = "Connected";
/// Reason of a link that is being closed.
pub const STOPPING: &str = "Stopping";

/// How far one assigned partition is. Offsets are -1 until known.
#[derive(Debug)]
pub struct Progress {
    /// Offset after the last record received.
    position: AtomicI64,
    /// Offset after the last record in Kafka, as of the last statistics.
    end: AtomicI64,
    /// Offset that the group has committed, as of the last statistics.
    committed: AtomicI64,
    /// Received, not settled.
    pending: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self {
            position: AtomicI64::new(-1),
            end: AtomicI64::new(-1),
            committed: AtomicI64::new(-1),
            pending: AtomicU64::new(0),
        }
    }

    /// Whether the group's place is known to be `next` or before it, so that it goes on from there by itself.
    pub fn is_committed_up_to(&self, next: i64) -> bool {
        (0..=next).contains(&self.committed.load(Relaxed))
    }

    /// The group's place is not what it was.
    pub fn forget_committed(&self) {
        self.committed.store(-1, Relaxed);
    }

    /// A record with this offset was received; so many are unsettled now.
    pub fn received(&self, offset: i64, pending: usize) {
        self.position.store(offset + 1, Relaxed);
        self.pending.store(pending as u64, Relaxed);
    }

    /// So many records are unsettled now.
    pub fn pending(&self, pending: usize) {
        self.pending.store(pending as u64, Relaxed);
    }

    fn is_known(&self) -> bool {
        self.position.load(Relaxed) >= 0
    }

    fn lag(&self) -> Option<u64> {
        let (position, end) = (self.position.load(Relaxed), self.end.load(Relaxed));
        // The end is older than the position: a busy partition is a little ahead of it.
        (position >= 0 && end >= 0).then(|| (end - position).max(0) as u64)
    }
}

#[derive(Debug, Default)]
struct Facts {
    joined: bool,
    brokers_up: Option<usize>,
    trouble: Option<Trouble>,
    /// Topics that Kafka does not have or does not let us read.
    topics: BTreeMap<String, Trouble>,
    /// Topics that were not there at some time: what they have now is new.
    new_topics: BTreeSet<String>,
    stopping: bool,
}

/// Figures and link of one Source.
#[derive(Debug)]
pub struct Health {
    name: String,
    bootstrap_servers: String,
    group_id: String,
    topics: Vec<String>,
    received: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    rewinds: AtomicU64,
    partitions: Mutex<BTreeMap<(ByteString, i32), Arc<Progress>>>,
    facts: Mutex<Facts>,
}

impl Health {
    /// Nothing received yet, not connected yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            name: settings.name.clone(),
            bootstrap_servers: settings.bootstrap_servers.clone(),
            group_id: settings.group_id.clone(),
            topics: settings.topics.clone(),
            received: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            rewinds: AtomicU64::new(0),
            partitions: Mutex::default(),
            facts: Mutex::default(),
        }
    }

    /// Name of the Source.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One more record was received.
    pub fn count_received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    /// Records were settled: so many delivered, so many failed.
    pub fn count_settled(&self, delivered: u64, failed: u64) {
        self.delivered.fetch_add(delivered, Relaxed);
        self.failed.fetch_add(failed, Relaxed);
    }

    /// A partition is read from an earlier place than before.
    pub fn rewound(&self, topic: &str, partition: i32, why: &str) {
        self.rewinds.fetch_add(1, Relaxed);
        tracing::warn!(source = %self.name, topic, partition, why, "partition is read from an earlier place");
    }

    /// The group gave a partition; the progress belongs to its task.
    pub fn assigned(&self, partition: &(ByteString, i32)) -> Arc<Progress> {
        let progress = Arc::new(Progress::new());
        self.partitions.lock().insert(partition.clone(), progress.clone());
        self.topic_found(&partition.0);
        progress
    }

    /// The group took a partition.
    pub fn revoked(&self, partition: &(ByteString, i32)) {
        self.partitions.lock().remove(partition);
    }

    /// The group answered; whether this process is a member.
    pub fn member(&self, joined: bool) {
        let mut facts = self.facts.lock();
        facts.joined = joined;
        if joined {
            facts.trouble = None;
        }
    }

    /// The Source takes no more records.
    pub fn stopping(&self) {
        self.facts.lock().stopping = true;
    }

    /// Topics that Kafka did not have when it was last asked.
    pub fn missing_topics(&self) -> Vec<String> {
        self.facts.lock().topics.keys().cloned().collect()
    }

    /// Whether the topic was not there at some time since this Source started.
    pub fn is_new_topic(&self, topic: &str) -> bool {
        self.facts.lock().new_topics.contains(topic)
    }

    /// The topic can be read after all.
    pub fn topic_found(&self, topic: &str) {
        self.facts.lock().topics.remove(topic);
    }

    /// Adds what an earlier Source of this name counted. What it had received and not settled comes again.
    pub fn go_on_counting(&self, before: &status::Source) {
        self.received.fetch_add(before.delivered + before.failed, Relaxed);
        self.delivered.fetch_add(before.delivered, Relaxed);
        self.failed.fetch_add(before.failed, Relaxed);
        self.rewinds.fetch_add(before.rewinds, Relaxed);
    }

    /// The figures now.
    pub fn figures(&self) -> status::Source {
        let (mut lag, mut pending, mut partitions) = (None, 0, 0);
        for progress in self.partitions.lock().values() {
            partitions += 1;
            pending += progress.pending.load(Relaxed);
            if let Some(behind) = progress.lag() {
                lag = Some(lag.unwrap_or(0) + behind);
            }
        }
        status::Source {
            name: self.name.clone(),
            link: self.link(),
            received: self.received.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            failed: self.failed.load(Relaxed),
            rewinds: self.rewinds.load(Relaxed),
            pending,
            lag,
            partitions,
        }
    }

    fn link(&self) -> Link {
        let facts = self.facts.lock();
        let connecting = |reason, message| Link { state: LinkState::Connecting, reason, message };
        if facts.stopping {
            return connecting(STOPPING, "the Source takes no more records; those it has are being settled".to_owned());
        }
        if let Some(Trouble { reason, message, .. }) = facts.trouble.as_ref().or_else(|| facts.topics.values().next()) {
            return connecting(reason, message.clone());
        }
        if facts.brokers_up == Some(0) {
            return connecting(
                KAFKA_UNREACHABLE,
                format!(
                    "no Kafka broker of {} answers: check that Kafka runs and that the Connector's bootstrapServers \
                     are right; it keeps trying",
                    self.bootstrap_servers
                ),
            );
        }
        if !facts.joined {
            let message = format!(
                "joining consumer group {:?}: wait until the group has given out its partitions",
                self.group_id
            );
            return connecting(GROUP_REBALANCING, message);
        }
        if let Some((topic, partition)) = self.partition_without_position() {
            let message = format!("asking Kafka where to start in partition {partition} of topic {topic}");
            return connecting(OFFSETS_UNKNOWN, message);
        }
        Link { state: LinkState::Connected, reason: CONNECTED, message: String::new() }
    }

    fn partition_without_position(&self) -> Option<(ByteString, i32)> {
        let partitions = self.partitions.lock();
        partitions.iter().find(|(_, progress)| !progress.is_known()).map(|(partition, _)| partition.clone())
    }

    /// librdkafka names the topic only in the text: `Subscribed topic not available: NAME: …`.
    fn topic_of(&self, trouble: &Trouble) -> Option<&String> {
        let about_topics = matches!(trouble.reason, TOPIC_NOT_FOUND | NOT_AUTHORIZED);
        self.topics.iter().find(|topic| about_topics && trouble.message.contains(&format!(": {topic}: ")))
    }
}

impl Monitor for Health {
    fn trouble(&self, trouble: Trouble) {
        let mut facts = self.facts.lock();
        if let Some(topic) = self.topic_of(&trouble) {
            tracing::warn!(source = %self.name, topic, reason = trouble.reason, "{}", trouble.message);
            if trouble.reason == TOPIC_NOT_FOUND {
                facts.new_topics.insert(topic.clone());
            }
            facts.topics.insert(topic.clone(), trouble);
            return;
        }
        // One broker of several that goes away is librdkafka's business as long as another one answers.
        if trouble.reason == KAFKA_UNREACHABLE && facts.brokers_up.is_some_and(|up| up > 0) && !trouble.all_brokers {
            tracing::debug!(source = %self.name, "{}", trouble.message);
            return;
        }
        if facts.trouble.as_ref().is_some_and(|known| !trouble.replaces(known.reason)) {
            return;
        }
        if facts.trouble.as_ref().is_none_or(|known| known.reason != trouble.reason) {
            tracing::warn!(source = %self.name, reason = trouble.reason, "{}", trouble.message);
        }
        facts.trouble = Some(trouble);
    }

    fn statistics(&self, statistics: Statistics) {
        for ((topic, partition), progress) in self.partitions.lock().iter() {
            let Some(figures) = statistics.partition(topic, *partition) else { continue };
            progress.committed.store(figures.committed_offset, Relaxed);
            // Only the first answer to a fetch tells the end; before it the start may still be looked for.
            let Some(end) = figures.end() else { continue };
            progress.end.store(end, Relaxed);
            if let Some(start) = figures.start() {
                // Until the first record only Kafka knows where this partition starts.
                let _ = progress.position.compare_exchange(-1, start, Relaxed, Relaxed);
            }
        }
        let mut facts = self.facts.lock();
        facts.brokers_up = Some(statistics.brokers_up());
        if statistics.brokers_up() > 0
            && let Some(trouble) =
                facts.trouble.take_if(|trouble| trouble.is_silence() || client::is_refusal(trouble.reason))
        {
            tracing::info!(source = %self.name, was = trouble.reason, "kafka answers again");
        }
    }
}

#[cfg(test)]
mod tests;
