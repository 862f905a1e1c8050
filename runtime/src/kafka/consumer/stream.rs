//! The records of one assigned partition, and what is committed of it.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer, stream_consumer::StreamPartitionQueue};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp as KafkaTimestamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::Context;
use super::place::{Key, Place};
use crate::message::now_millis;
use crate::source::record::{Record, Timestamp};

/// The records of one assigned partition, in order.
pub struct PartitionStream {
    queue: StreamPartitionQueue<Context>,
    consumer: Arc<StreamConsumer<Context>>,
    topic: ByteString,
    partition: i32,
    place: Option<Place>,
}

impl std::fmt::Debug for PartitionStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartitionStream({}/{})", self.topic, self.partition)
    }
}

impl PartitionStream {
    pub(super) fn new(
        queue: StreamPartitionQueue<Context>,
        consumer: Arc<StreamConsumer<Context>>,
        (topic, partition): Key,
        place: Option<Place>,
    ) -> Self {
        Self { queue, consumer, topic, partition, place }
    }

    /// Where it begins, when that was looked up.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// Kafka topic.
    pub fn topic(&self) -> &ByteString {
        &self.topic
    }

    /// Partition number.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The next record. Cancel safe; pends for ever when the partition is no longer assigned.
    pub async fn next(&self) -> Record {
        loop {
            match self.queue.recv().await {
                Ok(message) => return self.record(&message),
                Err(error) => self.consumer.context().consumption_error(&error),
            }
        }
    }

    /// Everything before `next` is settled: commit that when the time comes. librdkafka does so only while `next` is
    /// beyond what it knows to be committed; otherwise call [`PartitionStream::commit`] too.
    pub fn store(&self, next: i64) {
        let stored = self.offset(next).and_then(|offsets| self.consumer.store_offsets(&offsets));
        self.log_unless_ok("stored", next, stored);
    }

    /// Asks Kafka to make `next` the group's place, wherever it was before. The answer is not given here; it shows in
    /// `committed_offset` of the statistics.
    pub fn commit(&self, next: i64) {
        let asked = self.offset(next).and_then(|offsets| self.consumer.commit(&offsets, CommitMode::Async));
        self.log_unless_ok("committed", next, asked);
    }

    fn offset(&self, next: i64) -> KafkaResult<TopicPartitionList> {
        let mut offsets = TopicPartitionList::with_capacity(1);
        offsets.add_partition_offset(&self.topic, self.partition, Offset::Offset(next))?;
        Ok(offsets)
    }

    fn log_unless_ok(&self, what: &str, next: i64, result: KafkaResult<()>) {
        if let Err(error) = result {
            // The partition went to another member in the meantime; that one delivers the records again.
            tracing::debug!(topic = %self.topic, partition = self.partition, next, %error, "offset not {what}");
        }
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> Record {
        Record {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: message.offset(),
            timestamp: match message.timestamp() {
                KafkaTimestamp::NotAvailable => Timestamp::Undefined,
                KafkaTimestamp::CreateTime(millis) => Timestamp::Create(millis),
                KafkaTimestamp::LogAppendTime(millis) => Timestamp::Append(millis),
            },
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers: message.headers().map_or_else(Vec::new, |headers| {
                headers
                    .iter()
                    .map(|header| (ByteString::from(header.key), header.value.map(Bytes::copy_from_slice)))
                    .collect()
            }),
            received_at: now_millis(),
        }
    }
}
