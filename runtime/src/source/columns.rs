//! A record as rules and templates see it (columns of a Kafka record; behaviour of the reference system).
//!
//! Owns names, encodings and the row that the templates of a mapping render over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use isthmus_api::source::Encoding;
use isthmus_rules::{Column, Columns, EventKind, Map, Row, Text, Value};

use super::record::Record;
use crate::rule::columns::NODE;

/// The columns that templates have, and that `${.}` prints, in this order (row C1).
const ROW: [Column; 7] =
    [Column::Value, Column::TsType, Column::Ts, Column::Topic, Column::Offset, Column::Key, Column::Headers];

/// How the keys and values of a Source become text (row C2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encodings {
    /// Of keys.
    pub key: Encoding,
    /// Of values.
    pub value: Encoding,
}

/// A record as an event.
#[derive(Debug)]
pub struct RecordColumns<'r> {
    record: &'r Record,
    /// The `event` column: `$bridges/kafka_consumer:NAME`.
    event: &'r Text,
    encodings: Encodings,
}

impl<'r> RecordColumns<'r> {
    /// The columns of `record`; `event` names its Source.
    pub fn new(record: &'r Record, event: &'r Text, encodings: Encodings) -> Self {
        Self { record, event, encodings }
    }

    /// What the templates of a mapping render over.
    pub fn row(&self) -> Row {
        let mut row = Row::with_capacity(ROW.len());
        for column in ROW {
            row.set(column.text(), self.get(column));
        }
        row
    }

    /// The first of key and value that JSON cannot carry: not UTF-8 and not encoded. The name of its encoding's
    /// field comes with it.
    pub fn not_text(&self) -> Option<(&'static str, &'static str)> {
        let broken = |bytes: Option<&Bytes>, encoding| {
            encoding == Encoding::None && bytes.is_some_and(|bytes| simdutf8::basic::from_utf8(bytes).is_err())
        };
        if broken(self.record.value.as_ref(), self.encodings.value) {
            return Some(("value", "valueEncoding"));
        }
        broken(self.record.key.as_ref(), self.encodings.key).then_some(("key", "keyEncoding"))
    }
}

impl Columns for RecordColumns<'_> {
    fn kind(&self) -> EventKind {
        EventKind::KafkaRecord
    }

    fn get(&self, column: Column) -> Value {
        let record = self.record;
        match column {
            Column::Event => Value::Text(self.event.clone()),
            Column::Timestamp => Value::Int(record.received_at.into()),
            Column::Node => Value::Text(NODE.clone()),
            Column::Topic => Value::Text(Text::from(&record.topic)),
            Column::Key => encoded(record.key.as_ref(), self.encodings.key),
            Column::Value => encoded(record.value.as_ref(), self.encodings.value),
            Column::Headers => headers(record),
            Column::Offset => Value::Int(record.offset.into()),
            Column::Ts => record.timestamp.millis().into(),
            Column::TsType => Value::constant(record.timestamp.kind()),
            _ => Value::Undefined,
        }
    }

    fn bytes(&self, column: Column) -> Option<&[u8]> {
        let record = self.record;
        match column {
            Column::Topic => Some(record.topic.as_bytes()),
            Column::Key if self.encodings.key == Encoding::None => record.key.as_deref(),
            Column::Value if self.encodings.value == Encoding::None => record.value.as_deref(),
            _ => None,
        }
    }
}

fn encoded(bytes: Option<&Bytes>, encoding: Encoding) -> Value {
    match (bytes, encoding) {
        (None, _) => Value::Undefined,
        (Some(bytes), Encoding::None) => Value::shared_binary(bytes),
        (Some(bytes), Encoding::Base64) => Value::from(STANDARD.encode(bytes)),
    }
}

/// Of equal names the last header counts; one without a value is null.
fn headers(record: &Record) -> Value {
    let entries = record
        .headers
        .iter()
        .map(|(name, value)| (Text::from(name.clone()), value.as_ref().map_or(Value::Null, Value::shared_binary)));
    Value::map(entries.collect::<Map>())
}
