//! `isthmus record read`: prints the records of a topic.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Quiet, RecordError, find};
use crate::kafka::client;

/// How many bytes of a key or value that is not text are shown.
const SHOWN_BYTES: usize = 32;

/// `isthmus record read`
#[derive(Debug, clap::Args)]
pub struct Read {
    /// The Kafka topic.
    pub topic: String,
    /// End after this many records.
    #[arg(long, value_name = "N")]
    pub max: Option<u64>,
    /// End when everything that is there was printed, instead of waiting for more.
    #[arg(long)]
    pub no_follow: bool,
    /// Print values only.
    #[arg(long)]
    pub values: bool,
    /// Start with the next record instead of the oldest.
    #[arg(long)]
    pub from_end: bool,
}

impl Read {
    pub(super) fn run(&self, bootstrap_servers: &str, out: &mut impl io::Write) -> Result<(), RecordError> {
        let failed = |source| RecordError::Read { topic: self.topic.clone(), source };
        let consumer = consumer(bootstrap_servers).map_err(failed)?;
        let mut open: BTreeSet<_> = find::partitions(&consumer, bootstrap_servers, &self.topic)?.into_iter().collect();
        let start = if self.from_end { Offset::End } else { Offset::Beginning };
        let mut assignment = TopicPartitionList::with_capacity(open.len());
        for partition in &open {
            assignment.add_partition_offset(&self.topic, *partition, start).map_err(failed)?;
        }
        consumer.assign(&assignment).map_err(failed)?;
        let mut left = self.max.unwrap_or(u64::MAX);
        while left > 0 && !(self.no_follow && open.is_empty()) {
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(record)) => {
                    left -= 1;
                    self.print(&record, out)?;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                // librdkafka connects again by itself: the local mode may be restarting its Kafka.
                Some(Err(error)) if is_passing(&error) => tracing::debug!(%error, "kafka is away for the moment"),
                Some(Err(error)) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    fn print(&self, record: &BorrowedMessage<'_>, out: &mut impl io::Write) -> io::Result<()> {
        let value = shown(record.payload());
        if self.values {
            writeln!(out, "{value}")?;
        } else {
            let time = record.timestamp().to_millis().and_then(|millis| Timestamp::from_millisecond(millis).ok());
            let time = time.map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"));
            let key = shown(record.key());
            writeln!(out, "{}  {}  {time}  {key}  {value}{}", record.partition(), record.offset(), headers(record))?;
        }
        // One line as soon as it is there: somebody is looking.
        out.flush()
    }
}

fn consumer(bootstrap_servers: &str) -> Result<BaseConsumer<Quiet>, KafkaError> {
    client::base(bootstrap_servers, "record-read")
        // librdkafka asks for a group name to assign partitions; the group is never joined.
        .set("group.id", "isthmus-record-read")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        // The embedded broker answers a fetch that found nothing only when its time is over.
        .set("fetch.wait.max.ms", "50")
        .create_with_context(Quiet)
}

fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
        )
    )
}

/// Text as it is, but on one line; the beginning of other bytes in hexadecimal digits; `-` for nothing.
fn shown(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "-".to_owned() };
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().any(char::is_control) => text
            .chars()
            .flat_map(|char| if char.is_control() { char.escape_default().collect() } else { vec![char] })
            .collect(),
        Ok(text) => text.to_owned(),
        Err(_) => {
            let mut text = format!("<{} bytes> ", bytes.len());
            for byte in bytes.iter().take(SHOWN_BYTES) {
                // Writing to a String does not fail.
                let _ = write!(text, "{byte:02x}");
            }
            if bytes.len() > SHOWN_BYTES {
                text.push('…');
            }
            text
        }
    }
}

fn headers(record: &BorrowedMessage<'_>) -> String {
    let mut text = String::new();
    for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
        // Writing to a String does not fail.
        let _ = write!(text, "  {}={}", header.key, shown(header.value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stays_on_one_line_whatever_it_holds() {
        assert_eq!(shown(None), "-");
        assert_eq!(shown(Some(b"")), "");
        assert_eq!(shown(Some("grüße".as_bytes())), "grüße");
        assert_eq!(shown(Some(b"a\nb\x1b[2J")), "a\\nb\\u{1b}[2J");
        assert_eq!(shown(Some(b"\xff\x00")), "<2 bytes> ff00");
        assert!(shown(Some(&[0xff; 40])).ends_with("ff…"));
    }
}
