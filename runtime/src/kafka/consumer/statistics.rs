//! The few figures that we read from librdkafka's statistics (`STATISTICS.md` of librdkafka).

use std::collections::HashMap;

use serde::Deserialize;

/// A snapshot of the consumer's own view.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Statistics {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Broker {
    nodeid: i32,
    state: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<i32, PartitionStatistics>,
}

/// How far one partition is; offsets that are not known are negative.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct PartitionStatistics {
    /// End of what a `read_committed` consumer may see: next offset after the last stable record.
    pub ls_offset: i64,
    /// End of the partition: next offset to be written.
    pub hi_offset: i64,
    /// Next offset to be fetched.
    pub next_offset: i64,
    /// Offset the group committed.
    pub committed_offset: i64,
}

impl PartitionStatistics {
    /// The offset after the last record that can be received, when known.
    pub fn end(&self) -> Option<i64> {
        [self.ls_offset, self.hi_offset].into_iter().find(|offset| *offset >= 0)
    }

    /// The offset of the first record that was not received yet, as far as Kafka and the fetcher know.
    pub fn start(&self) -> Option<i64> {
        [self.committed_offset, self.next_offset].into_iter().find(|offset| *offset >= 0)
    }
}

impl Statistics {
    /// Brokers with a connection that works. librdkafka also lists its bootstrap addresses (negative ids).
    pub fn brokers_up(&self) -> usize {
        self.brokers.values().filter(|broker| broker.nodeid >= 0 && broker.state == "UP").count()
    }

    /// Figures of one partition.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionStatistics> {
        self.topics.get(topic)?.partitions.get(&partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_what_librdkafka_writes() {
        let statistics: Statistics = serde_json::from_str(
            r#"{"name":"x","ts":1,"brokers":{
                "a:9092/1":{"name":"a:9092/1","nodeid":1,"state":"UP","txidle":5},
                "a:9092/bootstrap":{"nodeid":-1,"state":"UP"},
                "b:9092/2":{"nodeid":2,"state":"DOWN"}},
              "topics":{"t":{"partitions":{
                "0":{"ls_offset":7,"hi_offset":9,"next_offset":5,"committed_offset":-1001,"msgs":3},
                "-1":{"ls_offset":-1001,"hi_offset":-1001,"next_offset":0,"committed_offset":-1001}}}}}"#,
        )
        .unwrap();
        assert_eq!(statistics.brokers_up(), 1);
        let partition = statistics.partition("t", 0).unwrap();
        assert_eq!((partition.start(), partition.end()), (Some(5), Some(7)));
        assert!(statistics.partition("t", 1).is_none());
    }
}
