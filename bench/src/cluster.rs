//! The Kafka of a benchmark: real, one broker, warm, with a topic for each round.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use isthmus_tests::Result;
use isthmus_tests::kafka::{Broker, Kafka};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::runtime::Runtime;

/// Partitions of every topic.
const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(30);
/// Without a new record for so long, no more is expected.
const SILENCE: Duration = Duration::from_secs(3);

pub(crate) struct Cluster {
    pub(crate) broker: Broker,
    admin: AdminClient<DefaultClientContext>,
    runtime: Runtime,
}

impl Cluster {
    pub(crate) fn start() -> Result<Self> {
        let broker = Broker::start_fast()?;
        let admin = ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { broker, admin, runtime })
    }

    /// Lets the broker's hot code be compiled: a broker that has just started costs ten times as much.
    pub(crate) fn warm(&self, messages: u32) -> Result<()> {
        let topic = self.topic("warm")?;
        self.produce(&topic, messages, &[b'x'; 256])?;
        self.delete(&topic)
    }

    /// Creates a topic with a name of its own.
    pub(crate) fn topic(&self, stem: &str) -> Result<String> {
        let name = Kafka::unused_name(stem);
        let topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1)).set("file.delete.delay.ms", "1000");
        let created = self.runtime.block_on(self.admin.create_topics([&topic], &AdminOptions::new()))?;
        created.into_iter().next().context("no answer")?.map_err(|(name, code)| anyhow!("cannot create {name}: {code}"))
    }

    /// Deletes a topic, whose records take room on the disk.
    pub(crate) fn delete(&self, topic: &str) -> Result<()> {
        self.runtime.block_on(self.admin.delete_topics(&[topic], &AdminOptions::new()))?;
        Ok(())
    }

    /// Records that the topic has got so far.
    pub(crate) fn records(&self, topic: &str) -> Result<u64> {
        let mut records = 0;
        for partition in 0..PARTITIONS {
            let (low, high) = self.admin.inner().fetch_watermarks(topic, partition, PATIENCE)?;
            records += (high - low) as u64;
        }
        Ok(records)
    }

    /// Waits until the topic has this many records, or gets no more.
    pub(crate) fn wait_for_records(&self, topic: &str, count: u64) -> Result<()> {
        let (mut seen, mut changed) = (0, Instant::now());
        while seen < count && changed.elapsed() < SILENCE {
            let now = self.records(topic)?;
            if now > seen {
                (seen, changed) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Writes this many records as fast as Kafka takes them, and returns when it has them.
    pub(crate) fn produce(&self, topic: &str, count: u32, value: &[u8]) -> Result<()> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", self.broker.bootstrap())
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .create()?;
        for number in 0..count {
            let key = number.to_be_bytes();
            let mut record = BaseRecord::to(topic).key(&key).payload(value);
            while let Err((error, returned)) = producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    bail!("cannot write to {topic}: {error}");
                }
                producer.poll(Duration::from_millis(10));
                record = returned;
            }
            if number % 1000 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        Ok(producer.flush(PATIENCE)?)
    }
}
