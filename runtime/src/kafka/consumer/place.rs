//! Where to read on in the partitions that the group gave.
//!
//! librdkafka alone would apply `auto.offset.reset` both to a group without a place and to a place that the log does not
//! have (any more). With `latest` the second skips records that nobody saw: those of a topic that was created anew. So
//! librdkafka is told `earliest`, and [`OffsetReset::Latest`] is decided here, from what the group committed.

use std::collections::HashMap;
use std::time::Duration;

use bytestring::ByteString;
use isthmus_api::source::OffsetReset;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::{Context, Partitions};

/// Topic and number of a partition.
pub type Key = (ByteString, i32);

/// Where a partition is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The group committed this. When the log ends before it or begins behind it, from the beginning of the log.
    Committed(i64),
    /// The group has no place that could be used: from here. To be committed at once, so that a crash does not make it be
    /// looked for again.
    Chosen(i64),
    /// The group has no place: from the beginning of the log.
    Beginning,
}

/// What is asked of Kafka; a real consumer, but for tests.
pub(super) trait Ask {
    /// What the group committed, and errors, by partition.
    fn committed(&self, of: TopicPartitionList) -> KafkaResult<TopicPartitionList>;
    /// The first offset and the one after the last, as `of` has [`Offset::Beginning`] or [`Offset::End`] of a partition.
    fn bounds(&self, of: TopicPartitionList) -> KafkaResult<TopicPartitionList>;
}

/// Asks through a consumer. Blocks.
pub(super) struct Asking<'c> {
    pub(super) consumer: &'c StreamConsumer<Context>,
    /// Limit for each question.
    pub(super) within: Duration,
}

impl Ask for Asking<'_> {
    fn committed(&self, of: TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        self.consumer.committed_offsets(of, self.within)
    }

    fn bounds(&self, of: TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        // Kafka's request for a time has two times that stand for the ends of the log (KIP-79), and these two offsets are
        // the same numbers.
        self.consumer.offsets_for_times(of, self.within)
    }
}

/// The places of `partitions`; none of those that Kafka does not have. `all_is_new` says of which ones this process knows
/// that nothing of them was ever seen when the group has no place.
pub(super) fn look_up(
    ask: &impl Ask,
    partitions: &Partitions,
    reset: OffsetReset,
    all_is_new: impl Fn(&str, i32) -> bool,
) -> KafkaResult<HashMap<Key, Place>> {
    let mut places = HashMap::new();
    for element in answers(&ask.committed(unplaced(partitions)?)?)? {
        let place = match element.2 {
            Offset::Offset(offset) => Place::Committed(offset),
            _ => Place::Beginning,
        };
        places.insert((element.0, element.1), place);
    }
    if reset == OffsetReset::Earliest {
        return Ok(places);
    }
    let mut begins = TopicPartitionList::new();
    for ((topic, partition), place) in &places {
        if matches!(place, Place::Committed(_)) {
            begins.add_partition_offset(topic, *partition, Offset::Beginning)?;
        }
    }
    let mut starts = TopicPartitionList::new();
    for (topic, partition, begin) in bounds(ask, begins)? {
        // What the group would read next, Kafka has deleted.
        if let Some(Place::Committed(offset)) = places.get(&(topic.clone(), partition))
            && matches!(begin, Offset::Offset(begin) if *offset < begin)
        {
            starts.add_partition_offset(&topic, partition, Offset::End)?;
        }
    }
    for ((topic, partition), place) in &places {
        if *place == Place::Beginning {
            let new = all_is_new(topic, *partition);
            starts.add_partition_offset(topic, *partition, if new { Offset::Beginning } else { Offset::End })?;
        }
    }
    for (topic, partition, start) in bounds(ask, starts)? {
        if let Offset::Offset(start) = start {
            places.insert((topic, partition), Place::Chosen(start));
        }
    }
    Ok(places)
}

/// The same partitions, without offsets.
fn unplaced(partitions: &Partitions) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions.keys() {
        list.add_partition_offset(&topic, partition, Offset::Invalid)?;
    }
    Ok(list)
}

fn bounds(ask: &impl Ask, of: TopicPartitionList) -> KafkaResult<Vec<(ByteString, i32, Offset)>> {
    if of.count() == 0 { Ok(Vec::new()) } else { answers(&ask.bounds(of)?) }
}

/// A partition that does not exist has no place; any other error is one of all.
fn answers(list: &TopicPartitionList) -> KafkaResult<Vec<(ByteString, i32, Offset)>> {
    let mut answers = Vec::with_capacity(list.count());
    for element in list.elements() {
        match element.error() {
            Ok(()) => answers.push((element.topic().into(), element.partition(), element.offset())),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}

fn is_gone(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    matches!(error.rdkafka_error_code(), Some(UnknownTopicOrPartition | UnknownTopic | UnknownPartition))
}

#[cfg(test)]
mod tests;
