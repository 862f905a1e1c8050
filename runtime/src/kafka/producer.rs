//! One librdkafka producer: its settings, its polling thread, its errors in our words.
//!
//! Batching, retries and the wire are librdkafka's. Partition choice, buffering and what an answer means for
//! a record belong to `sink`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig};

use super::client::{self, Trouble};
use super::handshake::Handshakes;
use super::security::Security;
use crate::buffer::Record;

/// Where a producer's answers go. Called on its polling thread.
pub trait Deliveries: Send + Sync + 'static {
    /// Kafka's answer for the record that was sent with this token.
    fn delivered(&self, token: Token, result: Result<(), RDKafkaErrorCode>);
    /// The connection to the cluster is in trouble.
    fn trouble(&self, trouble: Trouble);
    /// The client cannot go on (KIP-360: the broker no longer knows this producer): it must be replaced.
    fn broken(&self, reason: &str);
}

/// Names a record in flight: which partition of the Sink, and which position of its log. Fits a pointer,
/// which is what librdkafka carries for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Number of the partition within the Sink.
    pub slot: u32,
    /// Position in the log, its lowest 40 bits.
    position: u64,
}

const POSITION_BITS: u32 = 40;
const POSITION_MASK: u64 = (1 << POSITION_BITS) - 1;

impl Token {
    /// The most partitions that one Sink can have at a time.
    pub const MAX_SLOTS: usize = 1 << (u64::BITS - POSITION_BITS);

    /// A token for this position of the partition in `slot`.
    pub fn new(slot: u32, position: u64) -> Self {
        Self { slot, position: position & POSITION_MASK }
    }

    /// The whole position, given one that is at most 2^39 records away.
    pub fn position(self, near: u64) -> u64 {
        let ahead = self.position.wrapping_sub(near) & POSITION_MASK;
        if ahead <= POSITION_MASK / 2 { near + ahead } else { near.wrapping_sub(POSITION_MASK + 1 - ahead) }
    }

    fn pack(self) -> usize {
        ((u64::from(self.slot) << POSITION_BITS) | self.position) as usize
    }

    fn unpack(packed: usize) -> Self {
        let packed = packed as u64;
        Self { slot: (packed >> POSITION_BITS) as u32, position: packed & POSITION_MASK }
    }
}

/// Why a record could not be handed to the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The producer's own queue is full: try again after the next delivery.
    Full,
    /// Anything else.
    Refused(RDKafkaErrorCode),
}

struct Context {
    name: String,
    bootstrap_servers: String,
    handshakes: Arc<Handshakes>,
    deliveries: Arc<dyn Deliveries>,
    /// Shared with whoever reports later.
    retired: Arc<AtomicBool>,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        if self.retired.load(Ordering::Relaxed) {
            return;
        }
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        if code == RDKafkaErrorCode::Fatal {
            self.deliveries.broken(reason);
        } else {
            let (deliveries, retired) = (Arc::clone(&self.deliveries), Arc::clone(&self.retired));
            let tell = move |trouble| {
                if !retired.load(Ordering::Relaxed) {
                    deliveries.trouble(trouble);
                }
            };
            self.deliveries.trouble(self.handshakes.trouble(code, reason, tell));
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(&self.name, level, facility, message);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        self.deliveries.delivered(Token::unpack(token), result);
    }
}

/// A running producer. Dropping it without [`Producer::retire`] gives up on what is in flight.
pub struct Producer {
    client: Arc<BaseProducer<Context>>,
    poller: Mutex<Option<std::thread::JoinHandle<()>>>,
    finished: Arc<AtomicBool>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

/// How long the polling thread sleeps at most before it looks whether it should end.
const POLL: Duration = Duration::from_millis(100);

/// A purge is local: its answers come within moments.
const PURGE: Duration = Duration::from_secs(5);

impl Producer {
    /// Starts a producer with these settings; records of one batch take at most `batch_bytes`.
    pub fn start(
        name: &str,
        mut settings: ClientConfig,
        security: &Security,
        batch_bytes: u64,
        deliveries: Arc<dyn Deliveries>,
    ) -> Result<Self, Trouble> {
        settings.set("batch.size", batch_bytes.to_string());
        security.apply(&mut settings);
        let bootstrap_servers = settings.get("bootstrap.servers").unwrap_or_default().to_owned();
        let context = Context {
            name: name.to_owned(),
            handshakes: Handshakes::new(security.clone(), &bootstrap_servers),
            bootstrap_servers,
            deliveries,
            retired: Arc::default(),
        };
        let client = settings.create_with_context(context).map_err(|error| Trouble::creation(&error))?;
        let client: Arc<BaseProducer<Context>> = Arc::new(client);
        let finished = Arc::new(AtomicBool::new(false));
        let poller = std::thread::Builder::new()
            .name(format!("producer-{name}").chars().take(15).collect())
            .spawn({
                let (client, finished) = (Arc::clone(&client), Arc::clone(&finished));
                move || {
                    while !finished.load(Ordering::Acquire) {
                        client.poll(POLL);
                    }
                }
            })
            .map_err(|error| Trouble::internal(&error))?;
        Ok(Self { client, poller: Mutex::new(Some(poller)), finished })
    }

    /// Hands a record to the producer. The answer comes through [`Deliveries::delivered`].
    pub fn send(&self, topic: &str, partition: i32, record: Record<'_>, token: Token) -> Result<(), SendError> {
        let message: BaseRecord<'_, [u8], [u8], usize> = BaseRecord {
            topic,
            partition: Some(partition),
            payload: record.value,
            key: record.key,
            timestamp: Some(record.timestamp),
            headers: None,
            delivery_opaque: token.pack(),
        };
        self.client.send(message).map_err(|(error, _)| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => SendError::Full,
            code => SendError::Refused(code.unwrap_or(RDKafkaErrorCode::InvalidArgument)),
        })
    }

    /// Whether the cluster answers. Blocks up to `timeout`.
    pub fn cluster(&self, timeout: Duration) -> Result<(), Trouble> {
        match self.client.client().fetch_cluster_id(timeout) {
            Some(_) => Ok(()),
            None => Err(Trouble::of(RDKafkaErrorCode::OperationTimedOut, "", &self.client.context().bootstrap_servers)),
        }
    }

    /// How many partitions a topic has. Blocks up to `timeout`.
    pub fn partition_count(&self, topic: &str, timeout: Duration) -> Result<usize, Trouble> {
        let refused = |code| Trouble::with_topic(code, topic, &self.client.context().bootstrap_servers);
        let metadata = self
            .client
            .client()
            .fetch_metadata(Some(topic), timeout)
            .map_err(|error| error.rdkafka_error_code().map_or_else(|| Trouble::internal(&error), refused))?;
        let described = metadata.topics().iter().find(|described| described.name() == topic);
        let described = described.ok_or_else(|| refused(RDKafkaErrorCode::UnknownTopic))?;
        if let Some(error) = described.error() {
            return Err(refused(error.into()));
        }
        if described.partitions().iter().all(|partition| partition.leader() < 0) {
            return Err(refused(RDKafkaErrorCode::LeaderNotAvailable));
        }
        Ok(described.partitions().len())
    }

    /// Stops the producer: gives back what it has not sent yet, waits until `deadline` for the answers about what it
    /// sent, then gives those up too. Every record gets its answer. Blocks. Nothing may be sent any more.
    pub fn retire(&self, deadline: Instant) {
        self.client.context().retired.store(true, Ordering::Relaxed);
        self.client.purge(PurgeConfig::default().queue());
        while self.client.in_flight_count() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.client.in_flight_count() > 0 {
            self.client.purge(PurgeConfig::default().queue().inflight());
            let deadline = Instant::now() + PURGE;
            while self.client.in_flight_count() > 0 && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.finished.store(true, Ordering::Release);
        if let Some(poller) = self.poller.lock().take() {
            let _ = poller.join();
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.finished.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_pointer_and_the_wrap() {
        for (slot, position) in [(0, 0), (7, 1), (Token::MAX_SLOTS as u32 - 1, POSITION_MASK), (3, POSITION_MASK + 5)] {
            let token = Token::unpack(Token::new(slot, position).pack());
            assert_eq!(token.slot, slot);
            assert_eq!(token.position(position.saturating_sub(3)), position);
            assert_eq!(token.position(position + 2), position);
        }
    }
}
