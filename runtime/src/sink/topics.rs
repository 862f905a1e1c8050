//! The topics of a Sink and their partitions: made with the first record or the first answer about them, let go when
//! nothing needs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytestring::ByteString;
use parking_lot::Mutex;

use super::core::Core;
use super::partitioner;
use super::topic::{Partition, Topic};
use crate::kafka::producer::Token;
use crate::message::now_millis;

/// Partitions by the number that a delivery token carries; freed numbers are used again.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) partitions: Vec<Option<Arc<Partition>>>,
    free: Vec<u32>,
}

impl Slots {
    /// Partitions there are.
    pub(super) fn len(&self) -> usize {
        self.partitions.len() - self.free.len()
    }
}

impl Core {
    /// Makes a fixed topic known before its first record, so that its state is known too.
    pub(super) fn prepare(&self, fixed: Option<&ByteString>) {
        // What was refused may have been the topic before.
        self.forget_refused_records();
        let Some(name) = fixed else { return self.fixed.store(None) };
        // Under the lock of the topics: whoever lets go of old ones must not meet this one before it is the fixed one.
        let mut topics = self.topics.write();
        if !self.closed.load(Ordering::Relaxed) {
            let topic = topics.entry(name.clone()).or_insert_with(|| Arc::new(Topic::new(name.clone(), now_millis())));
            self.fixed.store(Some(Arc::clone(topic)));
            self.attention.notify_one();
        }
    }

    /// Whether records choose their topic by a template.
    pub(super) fn topic_is_template(&self) -> bool {
        self.fixed.load().is_none()
    }

    /// Lets go of topics that a changed specification left behind, once they are empty.
    pub(super) fn forget_old_topics(&self) {
        let mut topics = self.topics.write();
        let Some(fixed) = self.fixed.load_full() else { return };
        if topics.len() > 1 {
            topics.retain(|name, topic| *name == fixed.name || !self.evict(topic));
        }
    }

    /// Fails what waits for a topic that does not exist. Says how many records that were.
    pub(super) fn fail_waiting(&self, topic: &Topic) -> u64 {
        let state = topic.state.read();
        let mut failed = 0;
        for log in std::iter::once(&state.unassigned).chain(state.partitions.iter().map(|partition| &partition.log)) {
            let mut log = log.lock();
            let before = log.bytes();
            failed += log.queuing();
            log.fail_queued();
            self.account(before, &log);
        }
        failed
    }

    /// The topic of this name, made when it is new; `None` when there are too many, or the Sink is gone. It is made
    /// `anyway` for a record of a Source, which waits then: whether there were too many is said as well.
    pub(super) fn topic(&self, name: &str, anyway: bool) -> Option<(Arc<Topic>, bool)> {
        let now = now_millis();
        if let Some(topic) = self.topics.read().get(name) {
            topic.used_at.store(now, Ordering::Relaxed);
            return Some((Arc::clone(topic), false));
        }
        let mut topics = self.topics.write();
        if self.closed.load(Ordering::Relaxed) {
            return None;
        }
        let most = self.bounds.topics.load(Ordering::Relaxed);
        while topics.len() >= most {
            let idle = topics.values().filter(|topic| topic.is_empty());
            let longest = idle.min_by_key(|topic| topic.used_at.load(Ordering::Relaxed)).cloned();
            let Some(longest) = longest.filter(|longest| self.evict(longest)) else { break };
            topics.remove(&longest.name);
        }
        let too_many = topics.len() >= most;
        if too_many && !anyway {
            return None;
        }
        let name = ByteString::from(name);
        let topic = topics.entry(name.clone()).or_insert_with(|| Arc::new(Topic::new(name, now)));
        self.attention.notify_one();
        Some((Arc::clone(topic), too_many))
    }

    pub(super) fn evict(&self, topic: &Topic) -> bool {
        let mut state = topic.state.write();
        let totals = state.totals();
        if !state.is_empty() {
            return false;
        }
        state.evicted = true;
        let mut slots = self.slots.write();
        for partition in state.partitions.drain(..) {
            slots.partitions[partition.slot as usize] = None;
            slots.free.push(partition.slot);
        }
        drop(slots);
        self.count_copies();
        *self.settled.lock() += totals.counters;
        true
    }

    /// Gives back the memory that empty logs keep for the next records.
    pub(super) fn trim(&self) {
        self.forget_oldest();
        for topic in self.all_topics() {
            let state = topic.state.read();
            for log in std::iter::once(&state.unassigned).chain(state.partitions.iter().map(|partition| &partition.log))
            {
                log.lock().trim();
            }
        }
    }

    pub(super) fn all_topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().values().cloned().collect()
    }

    /// Kafka says that `topic` has `count` partitions: new ones join, and records that waited for the first
    /// answer get their partition. Records of partitions that went away (the topic was made anew, smaller) move to
    /// those that are left.
    pub(super) fn assign(&self, topic: &Topic, count: usize) {
        let mut state = topic.state.write();
        if state.evicted {
            return;
        }
        let known = state.partitions.len();
        if known != count {
            tracing::info!(sink = self.name, topic = %topic.name, partitions = count, "partitions known");
        }
        let mut slots = self.slots.write();
        for id in known..count {
            let slot = slots.free.pop().unwrap_or(slots.partitions.len() as u32);
            if slot as usize >= Token::MAX_SLOTS {
                tracing::error!(sink = self.name, "more than {} partitions in one Sink", Token::MAX_SLOTS);
                break;
            }
            let partition = Arc::new(Partition {
                slot,
                id: id as i32,
                topic: topic.name.clone(),
                log: Mutex::default(),
                held: Arc::clone(&topic.held),
                stalled: AtomicBool::new(false),
                gone: AtomicBool::new(false),
            });
            if slot as usize == slots.partitions.len() {
                slots.partitions.push(None);
            }
            slots.partitions[slot as usize] = Some(Arc::clone(&partition));
            state.partitions.push(partition);
        }
        drop(slots);
        self.count_copies();
        if state.partitions.is_empty() {
            return;
        }
        state.active = count.min(state.partitions.len());
        topic.held.store(false, Ordering::Relaxed);
        for (id, partition) in state.partitions.iter().enumerate() {
            partition.gone.store(id >= state.active, Ordering::Relaxed);
        }
        let gone = state.partitions[state.active..].iter().map(|gone| &gone.log);
        for log in std::iter::once(&state.unassigned).chain(gone) {
            log.lock().move_queued(|record, receipt, age| {
                let partition = &state.partitions[partitioner::partition(record.spread, state.active)];
                partition.log.lock().adopt(record, receipt, age);
            });
        }
        for partition in &state.partitions[..state.active] {
            self.pump(partition, &mut partition.log.lock());
        }
    }
}
