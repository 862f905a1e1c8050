//! Messages that cannot become records: counted, said, and the next ones flow.

use std::time::Duration;

use isthmus_tests::Result;
use isthmus_tests::isthmus::Start;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, rule, sink};
use isthmus_tests::mosquitto::Version::{V5, V311};
use isthmus_tests::mqtt::Client;
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn payload_that_is_not_json_is_counted_and_the_next_one_flows() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("json")?;
    let speed = r#"SELECT payload.speed AS speed FROM "vehicles/#""#;
    let isthmus = Start::on(kafka)
        .manifests(&manifest::file(&[sink("vehicles", &topic), rule("speed", speed).to_sink("vehicles")]))?;
    let mut device = Client::connect(isthmus.mqtt(), V311, "car-7")?;
    for payload in [&b"{\"speed\":"[..], b"", b"\xFF\xFE", b"not json", br#"{"speed":7}"#] {
        device.publish_and_wait("vehicles/7", payload)?;
    }
    assert_eq!(kafka.read(&topic, 1, SOON)?[0].json()?, json!({"speed": 7}));
    assert_eq!(isthmus.wait_for("rules", "speed", "failedException", 4)?, 4);
    assert_eq!(isthmus.figure("rules", "speed", "passed")?, 1);
    assert_eq!(kafka.read_all(&topic)?.len(), 1);
    Ok(())
}

#[test]
fn record_too_large_for_the_broker_fails_and_the_next_one_flows() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic_with("small", 1, &["max.message.bytes=10000"])?;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("small", &topic).with("value", "${.payload}").with("requestMode", "Sync"),
        rule("small", r#"SELECT * FROM "load/#""#).to_sink("small"),
    ]))?;
    let large = vec![b'x'; 50_000];
    let mut new = Client::connect(isthmus.mqtt(), V5, "new")?;
    assert!(new.publish_and_wait("load/new", &large)? >= 0x80, "5.0 hears of it");
    assert_eq!(new.publish_and_wait("load/new", b"fits")?, 0);
    let mut old = Client::connect(isthmus.mqtt(), V311, "old")?;
    old.publish_and_wait("load/old", &large)?;
    old.publish_and_wait("load/old", b"fits")?;

    let values: Vec<_> = kafka.read(&topic, 2, SOON)?.into_iter().map(|r| r.value).collect();
    assert_eq!(values, [Some("fits".to_owned()), Some("fits".to_owned())]);
    assert_eq!(isthmus.wait_for("sinks", "small", "failed", 2)?, 2);
    assert_eq!(isthmus.figure("sinks", "small", "success")?, 2);
    Ok(())
}

#[test]
fn topic_that_a_message_chooses_and_that_does_not_exist_fails_its_record_and_no_others() -> Result<()> {
    let kafka = Kafka::shared()?;
    let there = kafka.topic("there")?;
    // A topic that depends on the message is not created beforehand, and this broker creates none.
    // The verdict comes from Kafka, not from the end of the patience with it.
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("by-name", "${.kafka}").with("value", "${.text}").with("requestMode", "Sync").with("syncTimeout", "5m"),
        rule("by-name", r#"SELECT payload.kafka AS kafka, payload.text AS text FROM "by-name""#).to_sink("by-name"),
    ]))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    let to = |topic: &str| json!({"kafka": topic, "text": "hello"}).to_string();
    let missing = Kafka::unused_name("missing");
    assert_eq!(device.publish_and_wait("by-name", to(&missing).as_bytes())?, 0x80);
    assert_eq!(device.publish_and_wait("by-name", to(&there).as_bytes())?, 0);
    assert!(device.publish_and_wait("by-name", to("no such name!").as_bytes())? >= 0x80);
    assert!(device.publish_and_wait("by-name", br#"{"text":"no topic"}"#)? >= 0x80);
    assert_eq!(isthmus.figure("sinks", "by-name", "failed")?, 3);

    // A device that cannot be told would only send it again.
    let mut old = Client::connect(isthmus.mqtt(), V311, "old")?;
    old.publish_and_wait("by-name", to(&missing).as_bytes())?;
    old.publish_and_wait("by-name", to(&there).as_bytes())?;
    assert_eq!(isthmus.figure("sinks", "by-name", "failed")?, 4);
    for record in kafka.read(&there, 2, SOON)? {
        assert_eq!(record.value.as_deref(), Some("hello"));
    }
    assert_eq!(isthmus.figure("sinks", "by-name", "success")?, 2);
    Ok(())
}

#[test]
fn records_in_the_buffer_fail_when_the_topic_they_chose_does_not_exist() -> Result<()> {
    let kafka = Kafka::shared()?;
    let there = kafka.topic("there")?;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("by-name", "${.kafka}").with("value", "${.text}"),
        rule("by-name", r#"SELECT payload.kafka AS kafka, payload.text AS text FROM "by-name""#).to_sink("by-name"),
    ]))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    for topic in [Kafka::unused_name("missing"), Kafka::unused_name("missing"), there.clone()] {
        for _ in 0..10 {
            let payload = json!({"kafka": topic, "text": "hello"}).to_string();
            assert_eq!(device.publish_and_wait("by-name", payload.as_bytes())?, 0, "it is in the buffer");
        }
    }
    assert_eq!(kafka.read(&there, 10, SOON)?.len(), 10);
    assert_eq!(isthmus.wait_for("sinks", "by-name", "failed", 20)?, 20);
    assert_eq!(isthmus.wait_for("sinks", "by-name", "success", 10)?, 10);
    assert_eq!(isthmus.figure("sinks", "by-name", "queuing")?, 0);
    Ok(())
}
