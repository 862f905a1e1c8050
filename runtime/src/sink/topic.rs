//! The records of one Kafka topic of a Sink: a log for each partition, and one for records that came before the
//! partitions were known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytestring::ByteString;
use parking_lot::{Mutex, RwLock};

use crate::buffer::{Counters, PartitionLog};

/// One partition: where its records wait and fly.
#[derive(Debug)]
pub(super) struct Partition {
    /// Number within the Sink, carried in the delivery token.
    pub(super) slot: u32,
    /// Kafka's number within the topic.
    pub(super) id: i32,
    pub(super) topic: ByteString,
    pub(super) log: Mutex<PartitionLog>,
    /// Set while Kafka refuses the topic: nothing is sent until metadata says that it is back.
    pub(super) held: Arc<AtomicBool>,
    /// It found the producer's queue full, and is listed to be tried again.
    pub(super) stalled: AtomicBool,
    /// Kafka no longer has this partition.
    pub(super) gone: AtomicBool,
}

/// What is known of a topic.
#[derive(Debug, Default)]
pub(super) struct TopicState {
    /// Records from before the first metadata.
    pub(super) unassigned: Mutex<PartitionLog>,
    /// Empty until the first metadata.
    pub(super) partitions: Vec<Arc<Partition>>,
    /// How many of them Kafka has now: the first so many.
    pub(super) active: usize,
    /// It was removed from the Sink: look it up again.
    pub(super) evicted: bool,
}

/// A topic of a Sink.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: ByteString,
    pub(super) state: RwLock<TopicState>,
    pub(super) held: Arc<AtomicBool>,
    /// When a record last came, milliseconds since the epoch.
    pub(super) used_at: AtomicI64,
}

impl Topic {
    pub(super) fn new(name: ByteString, now: i64) -> Self {
        Self { name, state: RwLock::default(), held: Arc::default(), used_at: AtomicI64::new(now) }
    }

    /// Whether its partitions have to be asked for.
    pub(super) fn needs_metadata(&self) -> bool {
        self.held.load(Ordering::Relaxed) || self.state.read().active == 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.read().is_empty()
    }

    /// Figures, queuing, in flight and bytes over all its logs, at one instant for each log. Records do not move
    /// between logs meanwhile.
    pub(super) fn totals(&self) -> Totals {
        self.state.read().totals()
    }
}

impl TopicState {
    pub(super) fn is_empty(&self) -> bool {
        self.unassigned.lock().is_empty() && self.partitions.iter().all(|partition| partition.log.lock().is_empty())
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        totals.add(&self.unassigned.lock());
        for partition in &self.partitions {
            totals.add(&partition.log.lock());
        }
        totals
    }
}

/// Figures over several logs.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    pub(super) counters: Counters,
    pub(super) queuing: u64,
    pub(super) inflight: u64,
    pub(super) bytes: u64,
}

impl Totals {
    fn add(&mut self, log: &PartitionLog) {
        self.counters += log.counters();
        self.queuing += log.queuing();
        self.inflight += log.inflight();
        self.bytes += log.bytes();
    }
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.counters += other.counters;
        self.queuing += other.queuing;
        self.inflight += other.inflight;
        self.bytes += other.bytes;
    }
}
