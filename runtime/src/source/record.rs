//! One record as it came from Kafka.
//!
//! Owns the bytes and what Kafka says about them; how they look to rules and templates belongs to
//! [`columns`](super::columns).

use bytes::Bytes;
use bytestring::ByteString;

/// What the timestamp of a record means (column `ts_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamp {
    /// The record carries none (message format before Kafka 0.10).
    Undefined,
    /// Set by the producer; milliseconds since the epoch.
    Create(i64),
    /// Set by the broker when it appended the record; milliseconds since the epoch.
    Append(i64),
}

impl Timestamp {
    /// `create`, `append` or `undefined`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Create(_) => "create",
            Self::Append(_) => "append",
        }
    }

    /// Milliseconds since the epoch, when there is one.
    pub fn millis(self) -> Option<i64> {
        match self {
            Self::Undefined => None,
            Self::Create(millis) | Self::Append(millis) => Some(millis),
        }
    }
}

/// A record received from Kafka.
#[derive(Debug, Clone)]
pub struct Record {
    /// Kafka topic.
    pub topic: ByteString,
    /// Partition of that topic.
    pub partition: i32,
    /// Position in the partition.
    pub offset: i64,
    /// When it was written.
    pub timestamp: Timestamp,
    /// Key, absent when the record has none.
    pub key: Option<Bytes>,
    /// Value, absent for a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order; names may repeat, a value may be absent.
    pub headers: Vec<(ByteString, Option<Bytes>)>,
    /// When this process received it, milliseconds since the epoch.
    pub received_at: i64,
}
