//! What the threads of a Sink share: the logs, the producer that feeds on them, and what Kafka answered.
//!
//! Records enter on connection tasks ([`Core::store`]) and leave when Kafka's answers are settled (`delivery`). Both
//! send while a partition's window has room, under that partition's lock, so that order holds from the socket to the
//! partition. Slow matters (metadata, a new producer) are left to `maintenance`, which is woken through
//! [`Core::attention`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use bytestring::ByteString;
use foldhash::fast::RandomState;
use isthmus_plan::document;
use parking_lot::{Mutex, RwLock};
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Notify;

use super::delivery::Answers;
use super::room::Oldest;
use super::topic::{Partition, Topic, Totals};
use super::topics::Slots;
use super::verdict::Verdict;
use super::{partitioner, settings};
use crate::buffer::{Appended, Counters, Full, PartitionLog, Record};
use crate::kafka::client::{self, Trouble};
use crate::kafka::producer::{Producer, SendError, Token};
use crate::memory::Share;
use crate::receipt::{Outcome, Receipt};
use crate::status::{Link, LinkState};
use crate::throttle::Throttle;

/// Topics a Sink with a topic template holds at a time; the one idle longest makes room.
const MAX_TOPICS: usize = 1000;

/// Bytes that may be held and be in flight.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    pub(super) per_partition: AtomicU64,
    pub(super) total: AtomicU64,
    /// Bytes in flight in one partition.
    pub(super) window: AtomicU64,
    /// Bytes in flight in all partitions, at most: Kafka's client holds a copy of them.
    pub(super) copied: AtomicU64,
    /// Topics held at a time.
    pub(super) topics: AtomicUsize,
}

/// The shared part of a Sink.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) name: String,
    pub(super) bounds: Bounds,
    pub(super) topics: RwLock<HashMap<ByteString, Arc<Topic>, RandomState>>,
    /// The topic of the specification, when it is no template.
    pub(super) fixed: ArcSwapOption<Topic>,
    /// Nothing is taken any more. Changed under the lock of `topics`.
    pub(super) closed: AtomicBool,
    pub(super) slots: RwLock<Slots>,
    pub(super) producer: ArcSwapOption<Producer>,
    pub(super) answers: Answers,
    /// Bytes that were ever put into the logs, and taken out: what they hold, and the age of a record.
    appended: AtomicU64,
    removed: AtomicU64,
    pub(super) oldest: Mutex<Oldest>,
    /// What the Sink has of the memory of the process.
    pub(super) memory: Share,
    /// Figures of records that never reached a log, and of topics that were evicted.
    pub(super) settled: Mutex<Counters>,
    link: Mutex<Link>,
    /// For messages about the link.
    pub(super) bootstrap_servers: Mutex<String>,
    /// The producer broke: nothing is sent until it has been replaced.
    replacing: AtomicBool,
    pub(super) attention: Notify,
    /// Partitions that found the producer's queue full.
    stalled: Mutex<Vec<u32>>,
    pub(super) any_stalled: AtomicBool,
    /// Something happened that makes the link worth a look.
    suspect: AtomicBool,
    connected: AtomicBool,
    /// Why Kafka does not take records although it answers questions, until it takes one.
    refusal: Mutex<Option<Trouble>>,
    pub(super) throttle: Throttle,
    /// The link is down because Kafka and this client do not accept each other.
    refused: AtomicBool,
}

impl Core {
    pub(super) fn new(name: String, memory: Share) -> Self {
        Self {
            name,
            bounds: Bounds::default(),
            topics: RwLock::default(),
            fixed: ArcSwapOption::empty(),
            closed: AtomicBool::new(false),
            slots: RwLock::default(),
            producer: ArcSwapOption::empty(),
            answers: Answers::default(),
            appended: AtomicU64::new(0),
            removed: AtomicU64::new(0),
            oldest: Mutex::default(),
            memory,
            settled: Mutex::default(),
            link: Mutex::new(Link {
                state: LinkState::Connecting,
                reason: "Starting",
                message: "no answer from Kafka yet".into(),
            }),
            bootstrap_servers: Mutex::default(),
            replacing: AtomicBool::new(false),
            attention: Notify::new(),
            stalled: Mutex::default(),
            any_stalled: AtomicBool::new(false),
            suspect: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            refusal: Mutex::default(),
            throttle: Throttle::default(),
            refused: AtomicBool::new(false),
        }
    }

    pub(super) fn configure(&self, spec: &document::Sink) {
        self.bounds.per_partition.store(spec.buffer.per_partition_limit.bytes(), Ordering::Relaxed);
        self.bounds.total.store(spec.buffer.total_limit.bytes(), Ordering::Relaxed);
        *self.bootstrap_servers.lock() = spec.kafka.bootstrap_servers.join(",");
        self.bounds.topics.store(MAX_TOPICS, Ordering::Relaxed);
        self.bounds.window.store(settings::window(spec), Ordering::Relaxed);
        self.count_copies();
    }

    /// Takes in that the window or the number of partitions changed.
    pub(super) fn count_copies(&self) {
        let partitions = self.slots.read().len() as u64;
        self.bounds
            .copied
            .store(self.bounds.window.load(Ordering::Relaxed).saturating_mul(partitions), Ordering::Relaxed);
    }

    /// Whether the Sink takes nothing any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.read().values().all(|topic| topic.is_empty())
    }

    /// Stores a record for `topic` and sends what the window allows.
    pub(super) fn store(&self, topic: &str, record: Record<'_>, mut receipt: Option<Receipt>) -> Appended {
        let cost = record.cost();
        let of_a_source = receipt.as_ref().is_some_and(Receipt::is_patient);
        let mut beyond = false;
        let allowed = self.allowed(cost);
        if self.bytes() + cost > allowed.0 {
            // Nothing is dropped for a Source: it waits.
            beyond = of_a_source;
            if !beyond && !self.make_room(cost, allowed) {
                return self.refuse(receipt, allowed.1);
            }
        }
        // Most Sinks have one topic: it need not be looked up.
        if let Some(fixed) = self.fixed.load().as_deref().filter(|fixed| *fixed.name == *topic) {
            match self.store_in(fixed, record, receipt) {
                Ok(_) if beyond => return Appended::StoredBeyond,
                Ok(appended) => return appended,
                Err(returned) => receipt = returned,
            }
        }
        loop {
            let Some((topic, too_many)) = self.topic(topic, of_a_source) else {
                return self.refuse(receipt, Full::Limit);
            };
            match self.store_in(&topic, record, receipt) {
                Ok(_) if beyond || too_many => return Appended::StoredBeyond,
                Ok(appended) => return appended,
                Err(returned) => receipt = returned,
            }
        }
    }

    /// Takes no record: there is no room, or the Sink is gone.
    fn refuse(&self, receipt: Option<Receipt>, full: Full) -> Appended {
        let mut settled = self.settled.lock();
        settled.matched += 1;
        let outcome = if self.is_closed() {
            settled.sink_deleted += 1;
            Outcome::Unavailable
        } else {
            settled.count_full(full);
            Outcome::QuotaExceeded
        };
        if let Some(receipt) = receipt {
            receipt.resolve(outcome);
        }
        Appended::Refused
    }

    /// Counts a record that failed before it could be stored.
    pub(super) fn count_failed(&self) {
        let mut settled = self.settled.lock();
        settled.matched += 1;
        settled.failed += 1;
    }

    /// Gives the receipt back when the topic was evicted meanwhile.
    fn store_in(
        &self,
        topic: &Topic,
        record: Record<'_>,
        receipt: Option<Receipt>,
    ) -> Result<Appended, Option<Receipt>> {
        let state = topic.state.read();
        if state.evicted {
            return Err(receipt);
        }
        if state.active == 0 {
            return Ok(self.append(&mut state.unassigned.lock(), record, receipt));
        }
        let partition = &state.partitions[partitioner::partition(record.spread, state.active)];
        let mut log = partition.log.lock();
        let appended = self.append(&mut log, record, receipt);
        self.pump(partition, &mut log);
        Ok(appended)
    }

    fn append(&self, log: &mut PartitionLog, record: Record<'_>, receipt: Option<Receipt>) -> Appended {
        let before = log.bytes();
        let appended = log.append(record, receipt, self.age(), self.bounds.per_partition.load(Ordering::Relaxed));
        if appended != Appended::Refused {
            let cost = record.cost();
            self.appended.fetch_add(cost, Ordering::Relaxed);
            self.account(before + cost, log);
        }
        appended
    }

    /// Takes in that a log holds fewer bytes than `before`.
    pub(super) fn account(&self, before: u64, log: &PartitionLog) {
        let removed = before - log.bytes();
        if removed > 0 {
            self.removed.fetch_add(removed, Ordering::Relaxed);
        }
    }

    /// Bytes over all logs.
    pub(super) fn bytes(&self) -> u64 {
        // In this order, and acquired: nothing counts as taken out that does not count as put in.
        let removed = self.removed.load(Ordering::Acquire);
        self.appended.load(Ordering::Relaxed).saturating_sub(removed)
    }

    /// The age of a record that is appended now.
    pub(super) fn age(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }

    /// Sends queued records of a partition while its window has room.
    pub(super) fn pump(&self, partition: &Partition, log: &mut PartitionLog) {
        let window = self.bounds.window.load(Ordering::Relaxed);
        if log.next_to_send(window).is_none() {
            return;
        }
        if partition.held.load(Ordering::Relaxed) || partition.gone.load(Ordering::Relaxed) {
            return;
        }
        let producer = self.producer.load();
        let Some(producer) = producer.as_deref() else { return };
        if self.replacing.load(Ordering::Relaxed) {
            return;
        }
        while let Some((position, record)) = log.next_to_send(window) {
            match producer.send(&partition.topic, partition.id, record, Token::new(partition.slot, position)) {
                Ok(()) => log.mark_sent(),
                Err(SendError::Full) => return self.stall(partition),
                Err(SendError::Refused(code)) => match Verdict::of(code) {
                    Verdict::TopicMissing => return self.hold(partition),
                    Verdict::TopicRefused if self.topic_is_template() => self.fail_next(partition, log, code),
                    Verdict::TopicRefused | Verdict::Kafka | Verdict::TakenBack => {
                        return self.hold_for(code, partition);
                    }
                    Verdict::Producer => return self.ask_to_replace(),
                    Verdict::Record | Verdict::TooLarge | Verdict::Bystander => self.fail_next(partition, log, code),
                },
            }
        }
    }

    /// Stops sending to a topic until maintenance has seen that Kafka takes it again.
    pub(super) fn hold(&self, partition: &Partition) {
        if !partition.held.swap(true, Ordering::Relaxed) {
            self.attention.notify_one();
        }
    }

    /// Likewise; the Sink's state says why, until Kafka takes a record.
    pub(super) fn hold_for(&self, code: RDKafkaErrorCode, partition: &Partition) {
        let servers = self.bootstrap_servers.lock().clone();
        let trouble = Trouble::with_topic(code, &partition.topic, &servers);
        *self.refusal.lock() = Some(trouble.clone());
        self.set_link(trouble.into());
        self.hold(partition);
    }

    /// Kafka took a record although the Sink is not known to be connected.
    pub(super) fn works_again(&self) {
        *self.refusal.lock() = None;
        self.suspect();
    }

    /// Why Kafka does not take records, if it answers questions.
    pub(super) fn refusal(&self) -> Option<Trouble> {
        self.refusal.lock().clone()
    }

    /// The next record of a partition cannot be sent.
    fn fail_next(&self, partition: &Partition, log: &mut PartitionLog, code: RDKafkaErrorCode) {
        let before = log.bytes();
        log.mark_unsendable();
        self.account(before, log);
        self.say_refused(&partition.topic, code);
    }

    /// Tries again after the next answer: the producer's queue is full.
    pub(super) fn stall(&self, partition: &Partition) {
        if !partition.stalled.swap(true, Ordering::Relaxed) {
            self.stalled.lock().push(partition.slot);
        }
        self.any_stalled.store(true, Ordering::Release);
    }

    /// Says, now and then, that records failed and why.
    pub(super) fn say_refused(&self, topic: &str, code: RDKafkaErrorCode) {
        if let Some(left_out) = self.throttle.admit(topic) {
            tracing::warn!(sink = self.name, topic, left_out, "Kafka refused a record: {code}");
        }
    }

    /// Says, now and then, that batches are too large for a topic.
    pub(super) fn say_too_large(&self, topic: &str) {
        if let Some(left_out) = self.throttle.admit("too large") {
            tracing::warn!(
                sink = self.name,
                topic,
                left_out,
                "Kafka refused a batch as too large, sending smaller ones: lower the Sink's maxBatchBytes or raise the \
                 topic's max.message.bytes"
            );
        }
    }

    pub(super) fn ask_to_replace(&self) {
        self.replacing.store(true, Ordering::Relaxed);
        self.attention.notify_one();
    }

    /// Whether the producer has to be replaced.
    pub(super) fn is_replacing(&self) -> bool {
        self.replacing.load(Ordering::Relaxed)
    }

    /// A producer takes over. Whatever was asked for concerned the one before.
    pub(super) fn install(&self, producer: Producer) {
        {
            // Held so that a Sink that is dropped now finds this producer, or it finds the Sink closed.
            let _topics = self.topics.read();
            if self.closed.load(Ordering::Relaxed) {
                return;
            }
            self.producer.store(Some(Arc::new(producer)));
        }
        self.replacing.store(false, Ordering::Relaxed);
        self.pump_all();
    }

    /// Sends again after a hold was lifted or a producer was replaced.
    fn pump_all(&self) {
        for topic in self.all_topics() {
            for partition in &topic.state.read().partitions {
                self.pump(partition, &mut partition.log.lock());
            }
        }
    }

    pub(super) fn pump_stalled(&self) {
        self.any_stalled.store(false, Ordering::Release);
        let stalled = std::mem::take(&mut *self.stalled.lock());
        for slot in stalled {
            if let Some(partition) = self.partition(slot) {
                partition.stalled.store(false, Ordering::Relaxed);
                self.pump(&partition, &mut partition.log.lock());
            }
        }
    }

    /// After the producer was taken away, makes sure that nobody is still sending with it.
    pub(super) fn wait_for_senders(&self) {
        for topic in self.all_topics() {
            for partition in &topic.state.read().partitions {
                drop(partition.log.lock());
            }
        }
    }

    pub(super) fn partition(&self, slot: u32) -> Option<Arc<Partition>> {
        self.slots.read().partitions.get(slot as usize)?.clone()
    }

    /// Takes on a link state. Says it once: that the same trouble is worded anew is no news.
    pub(super) fn set_link(&self, new: Link) {
        let mut link = self.link.lock();
        if (link.state, link.reason) != (new.state, new.reason) {
            match new.state {
                LinkState::Connected => tracing::info!(sink = self.name, "connected to Kafka"),
                LinkState::Connecting => tracing::warn!(sink = self.name, reason = new.reason, "{}", new.message),
            }
            self.connected.store(new.state == LinkState::Connected, Ordering::Relaxed);
        }
        self.refused.store(client::is_refusal(new.reason), Ordering::Relaxed);
        *link = new;
    }

    /// Takes on that the link is in trouble. That a broker refused this client is not forgotten because it is silent
    /// afterwards.
    pub(super) fn set_trouble(&self, trouble: Trouble) {
        if self.refused.load(Ordering::Relaxed) && !trouble.replaces(self.link().reason) {
            return;
        }
        self.set_link(trouble.into());
    }

    /// What Kafka said of records so far says nothing about the next ones.
    pub(super) fn forget_refused_records(&self) {
        *self.refusal.lock() = None;
    }

    /// A client with other credentials takes over: what was refused to the one before says nothing about it.
    pub(super) fn forget_refusal(&self) {
        self.refused.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(super) fn take_suspicion(&self) -> bool {
        self.suspect.swap(false, Ordering::Relaxed)
    }

    pub(super) fn suspect(&self) {
        self.suspect.store(true, Ordering::Relaxed);
        self.attention.notify_one();
    }

    pub(super) fn link(&self) -> Link {
        self.link.lock().clone()
    }

    /// Figures over everything, now.
    pub(super) fn totals(&self) -> Totals {
        let topics = self.topics.read();
        let mut totals = Totals { counters: *self.settled.lock(), ..Totals::default() };
        for topic in topics.values() {
            totals += topic.totals();
        }
        totals
    }

    /// Gives up on all records and takes no more: the Sink is gone. Says how many it gave up on.
    pub(super) fn abandon(&self) -> u64 {
        let mut topics = self.topics.write();
        self.closed.store(true, Ordering::Relaxed);
        let mut abandoned = Counters::default();
        for (_, topic) in topics.drain() {
            let mut state = topic.state.write();
            state.evicted = true;
            for log in std::iter::once(&state.unassigned).chain(state.partitions.iter().map(|partition| &partition.log))
            {
                let mut log = log.lock();
                let bytes = log.bytes();
                log.abandon();
                self.account(bytes, &log);
                abandoned += log.counters();
            }
        }
        *self.settled.lock() += abandoned;
        abandoned.sink_deleted
    }

    /// Marks the link as up.
    pub(super) fn set_connected(&self) {
        self.set_link(Link { state: LinkState::Connected, reason: "Connected", message: String::new() });
    }
}

#[cfg(test)]
impl Core {
    /// How many partitions are listed to be tried again.
    pub(super) fn stalled_partitions(&self) -> usize {
        self.stalled.lock().len()
    }
}
