//! `isthmus record write`: writes records to a topic.

use std::io;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::{Quiet, RecordError, find};
use crate::kafka::client;

/// How long Kafka may take to acknowledge everything.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// `isthmus record write`
#[derive(Debug, clap::Args)]
pub struct Write {
    /// The Kafka topic.
    pub topic: String,
    /// Key of the record; of every record, when they come from standard input.
    #[arg(long, short, value_name = "KEY")]
    pub key: Option<String>,
    /// Header of the record, may be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// Value of the record; `-` takes one record from each line of standard input.
    #[arg(allow_hyphen_values = true)]
    pub value: String,
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[derive(Default)]
struct Answers(Mutex<Delivered>);

#[derive(Default)]
struct Delivered {
    records: u64,
    /// Partition and offset of the last one.
    last: Option<(i32, i64)>,
    failure: Option<KafkaError>,
}

impl ClientContext for Answers {
    fn error(&self, error: KafkaError, reason: &str) {
        Quiet.error(error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Quiet.log(level, facility, message);
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut delivered = self.0.lock();
        match result {
            Ok(record) => {
                delivered.records += 1;
                delivered.last = Some((record.partition(), record.offset()));
            }
            Err((error, _)) => delivered.failure = Some(error.clone()),
        }
    }
}

impl Write {
    pub(super) fn run(
        &self,
        bootstrap_servers: &str,
        input: &mut impl io::BufRead,
        out: &mut impl io::Write,
    ) -> Result<(), RecordError> {
        let failed = |source| RecordError::Write { topic: self.topic.clone(), source };
        let looking = client::base(bootstrap_servers, "record-write").create_with_context(Quiet).map_err(failed)?;
        find::partitions(&looking, bootstrap_servers, &self.topic)?;
        let producer: BaseProducer<Answers> = client::base(bootstrap_servers, "record-write")
            // As Java clients choose partitions by key.
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string())
            .set("linger.ms", "0")
            .create_with_context(Answers::default())
            .map_err(failed)?;
        if self.value == "-" {
            let mut line = String::new();
            while input.read_line(&mut line)? > 0 {
                self.send(&producer, line.trim_end_matches(['\n', '\r'])).map_err(failed)?;
                line.clear();
            }
        } else {
            self.send(&producer, &self.value).map_err(failed)?;
        }
        producer.flush(DELIVERY_TIMEOUT).map_err(failed)?;
        let delivered = producer.context().0.lock();
        if let Some(failure) = &delivered.failure {
            return Err(failed(failure.clone()));
        }
        match (delivered.records, delivered.last) {
            (1, Some((partition, offset))) => {
                writeln!(out, "written to {}, partition {partition}, offset {offset}", self.topic)?;
            }
            (records, _) => writeln!(out, "{records} records written to {}", self.topic)?,
        }
        Ok(())
    }

    fn send(&self, producer: &BaseProducer<Answers>, value: &str) -> Result<(), KafkaError> {
        let mut record = BaseRecord::<str, str>::to(&self.topic).payload(value);
        if let Some(key) = &self.key {
            record = record.key(key);
        }
        if !self.header.is_empty() {
            let headers = self.header.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value.as_str()) })
            });
            record = record.headers(headers);
        }
        loop {
            match producer.send(record) {
                Ok(()) => {
                    // Answers are taken as they come, without waiting for them.
                    producer.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    producer.poll(Duration::from_millis(100));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}
