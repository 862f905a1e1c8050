//! What a record becomes.

use std::time::Instant;

use isthmus_api::duration::Duration;
use isthmus_api::size::Size;
use isthmus_api::source::{Encoding, OffsetReset};
use isthmus_rules::Column;
use parking_lot::Mutex;

use super::*;
use crate::receipt::{Outcome, Window};
use crate::source::record::Timestamp;

/// Remembers messages and the columns that rules would see.
#[derive(Default)]
struct Seen {
    messages: Mutex<Vec<Message>>,
    records: Mutex<Vec<(String, String, String)>>,
}

impl Route for Seen {
    fn publish(&self, message: &Message, tracker: Option<&mut Tracker<'_>>) {
        assert!(tracker.expect("a Source waits for delivery").waits_for_delivery());
        self.messages.lock().push(message.clone());
    }
}

impl SourceRoute for Seen {
    fn record(&self, source: &str, columns: &dyn Columns, origin: Origin<'_>, _: &mut Tracker<'_>) {
        let mut row = Row::default();
        columns.for_each(&mut |name, value| {
            if name.as_str() != Column::Node.name() {
                row.set(name, value);
            }
        });
        let mut json = Vec::new();
        let _ = row.write_json(&mut json);
        self.records.lock().push((source.to_owned(), String::from_utf8(json).unwrap(), origin.topic.to_owned()));
    }
}

fn source(mapping: TopicMapping) -> document::Source {
    document::Source {
        name: "commands".to_owned(),
        uid: None,
        generation: None,
        connector: "kafka".to_owned(),
        kafka: document::Kafka::new(vec!["kafka:9092".to_owned()]),
        topic_mapping: vec![mapping],
        key_encoding: Encoding::None,
        value_encoding: Encoding::None,
        offset_reset: OffsetReset::Latest,
        group_id: "isthmus-default-commands".to_owned(),
        max_fetch_bytes: Size::from_bytes(917_504),
        max_wait: Duration::from_secs(1),
        offset_commit_interval: Duration::from_secs(5),
        session_timeout: Duration::from_secs(10),
    }
}

fn mapping(mqtt_topic: &str, payload: &str) -> TopicMapping {
    TopicMapping {
        mqtt_topic: Some(mqtt_topic.to_owned()),
        qos: 1,
        payload_template: payload.to_owned(),
        ..TopicMapping::new("commands")
    }
}

fn record() -> Record {
    Record {
        topic: "commands".into(),
        partition: 0,
        offset: 42,
        timestamp: Timestamp::Create(1_700_000_000_000),
        key: Some(Bytes::from_static(b"car-7")),
        value: Some(Bytes::from_static(br#"{"do":"stop"}"#)),
        headers: vec![
            ("site".into(), Some(Bytes::from_static(b"x"))),
            ("site".into(), Some(Bytes::from_static(b"y"))),
            ("empty".into(), None),
        ],
        received_at: 1_700_000_000_500,
    }
}

/// Handles one record; gives the message's topic and payload, or why there is none.
fn handled(source: &document::Source, record: &Record) -> (Result<(String, Bytes), String>, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let mapper = Mapper::compile(source, seen.clone()).unwrap();
    let mut window = Window::for_source();
    let result = window.track(Instant::now(), (), |tracker| mapper.handle(record, tracker));
    assert_eq!(window.pop_settled(), Some(((), Outcome::Unmatched)));
    let message = result.map(|()| {
        let message = seen.messages.lock().pop().expect("a message");
        assert_eq!((message.qos, &*message.publisher.client_id), (QoS::AtLeastOnce, "commands"));
        (message.topic.to_string(), message.payload)
    });
    (message, seen)
}

#[test]
fn the_default_payload_is_the_record_as_json() {
    let (message, _) = handled(&source(mapping("cmd/${.key}", "${.}")), &record());
    let (topic, payload) = message.unwrap();
    assert_eq!(topic, "cmd/car-7");
    assert_eq!(
        std::str::from_utf8(&payload).unwrap(),
        r#"{"value":"{\"do\":\"stop\"}","ts_type":"create","ts":1700000000000,"topic":"commands","offset":42,"key":"car-7","headers":{"site":"y","empty":null}}"#
    );
}

#[test]
fn templates_reach_into_a_json_value() {
    let (message, _) = handled(&source(mapping("cmd/${.value.do}", "${value.do}@${offset}")), &record());
    assert_eq!(message.unwrap(), ("cmd/stop".to_owned(), Bytes::from_static(b"stop@42")));
}

#[test]
fn missing_values_render_as_empty_text() {
    let record = Record { key: None, value: None, timestamp: Timestamp::Undefined, ..record() };
    let (message, _) = handled(&source(mapping("cmd/x${.key}", "[${.value}${.ts}${.nothing}${ts_type}]")), &record);
    assert_eq!(message.unwrap(), ("cmd/x".to_owned(), Bytes::from_static(b"[undefined]")));
}

#[test]
fn bytes_pass_unchanged_where_the_template_is_the_value() {
    let record = Record { value: Some(Bytes::from_static(b"\xff\x00\x01")), ..record() };
    let (message, _) = handled(&source(mapping("cmd/${.key}", "${.value}")), &record);
    assert_eq!(message.unwrap().1, Bytes::from_static(b"\xff\x00\x01"));
}

#[test]
fn bytes_in_json_need_base64_and_the_reason_says_so() {
    let record = Record { value: Some(Bytes::from_static(b"\xff\x00\x01")), ..record() };
    let mut source = source(mapping("cmd/${.key}", "${.}"));
    let (message, _) = handled(&source, &record);
    insta::assert_snapshot!(message.unwrap_err(), @"its value is not UTF-8, so it cannot stand in JSON: set valueEncoding of the Source to Base64, or make the payloadTemplate `${.value}` to pass the bytes on");
    source.value_encoding = Encoding::Base64;
    source.key_encoding = Encoding::Base64;
    let (message, _) = handled(&source, &record);
    let (topic, payload) = message.unwrap();
    assert_eq!(topic, "cmd/Y2FyLTc=");
    assert!(payload.starts_with(br#"{"value":"/wAB","#), "{payload:?}");
}

#[test]
fn an_illegal_topic_fails_the_record_with_the_reason() {
    let record = Record { key: Some(Bytes::from_static(b"a/#")), ..record() };
    let (message, seen) = handled(&source(mapping("cmd/${.key}", "${.}")), &record);
    insta::assert_snapshot!(message.unwrap_err(), @r#"its MQTT topic "cmd/a/#" is not legal: a topic to publish to may not contain the wildcard `#` (byte 6): change the mqttTopic of the mapping"#);
    assert_eq!(seen.records.lock().len(), 1, "rules see the record all the same");
}

#[test]
fn rules_see_all_columns_of_a_record_without_an_mqtt_topic() {
    let seen = Arc::new(Seen::default());
    let mapper = Mapper::compile(&source(TopicMapping::new("commands")), seen.clone()).unwrap();
    let mut window = Window::for_source();
    window.track(Instant::now(), (), |tracker| mapper.handle(&record(), tracker)).unwrap();
    assert!(seen.messages.lock().is_empty());
    let records = seen.records.lock();
    let (name, columns, topic) = &records[0];
    assert_eq!((name.as_str(), topic.as_str()), ("commands", "commands"));
    insta::assert_snapshot!(columns, @r#"{"topic":"commands","key":"car-7","value":"{\"do\":\"stop\"}","headers":{"site":"y","empty":null},"offset":42,"ts":1700000000000,"ts_type":"create","event":"$bridges/kafka_consumer:commands","timestamp":1700000000500}"#);
}

#[test]
fn bytes_that_columns_lend_are_those_that_their_values_print() {
    let event = Text::constant("$bridges/kafka_consumer:commands");
    let without = Record { key: None, value: None, ..record() };
    let mut lent = 0;
    for record in [record(), without, Record { value: Some(Bytes::from_static(b"\xff\0")), ..record() }] {
        for encoding in [Encoding::None, Encoding::Base64] {
            let columns = RecordColumns::new(&record, &event, Encodings { key: encoding, value: encoding });
            for &column in Column::ALL {
                let Some(bytes) = columns.bytes(column) else { continue };
                let mut printed = Vec::new();
                isthmus_rules::template::write_text(&columns.get(column), &mut printed).unwrap();
                assert_eq!(printed, bytes, "{column:?}");
                lent += 1;
            }
        }
    }
    // The topic of each of the six, and twice key and value.
    assert_eq!(lent, 10);
}
