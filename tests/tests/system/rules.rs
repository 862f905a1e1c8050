//! Rules between the two sides: filtering, reshaping, and many-to-many wiring.

use std::time::Duration;

use isthmus_tests::Result;
use isthmus_tests::isthmus::Start;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, rule, sink};
use isthmus_tests::mosquitto::{Subscriber, Version};
use isthmus_tests::mqtt::Client;
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_rule_filters_and_reshapes() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("speeding")?;
    let speeding = r#"
        SELECT payload.speed AS speed, payload.speed - 120 AS over, clientid AS vehicle, topic
        FROM "vehicles/+/telemetry", "trucks/#"
        WHERE payload.speed > 120 AND NOT (payload.test = true)"#;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("speeding", &topic).with("key", "${.vehicle}"),
        rule("speeding", speeding).to_sink("speeding"),
    ]))?;
    let mut car = Client::connect(isthmus.mqtt(), Version::V5, "car-7")?;
    for (to, payload) in [
        ("vehicles/7/telemetry", r#"{"speed":130}"#),
        ("vehicles/7/telemetry", r#"{"speed":120}"#),
        ("vehicles/7/telemetry", r#"{"speed":190,"test":true}"#),
        ("vehicles/7/position", r#"{"speed":200}"#),
        ("trucks", r#"{"speed":120.5,"test":false}"#),
    ] {
        assert!(car.publish_and_wait(to, payload.as_bytes())? < 0x80);
    }
    let records = kafka.read(&topic, 2, SOON)?;
    assert_eq!(
        records[0].json()?,
        json!({"speed": 130, "over": 10, "vehicle": "car-7", "topic": "vehicles/7/telemetry"})
    );
    assert_eq!(records[1].json()?, json!({"speed": 120.5, "over": 0.5, "vehicle": "car-7", "topic": "trucks"}));
    assert_eq!(kafka.read_all(&topic)?.len(), 2, "nothing else passed");
    assert_eq!(isthmus.figure("rules", "speeding", "matched")?, 4);
    assert_eq!(isthmus.figure("rules", "speeding", "passed")?, 2);
    Ok(())
}

#[test]
fn two_rules_feed_one_sink() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("merged")?;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("merged", &topic),
        rule("cars", r#"SELECT 'car' AS kind FROM "cars/#""#).to_sink("merged"),
        rule("all", r##"SELECT 'any' AS kind FROM "#""##).to_sink("merged"),
    ]))?;
    let mut device = Client::connect(isthmus.mqtt(), Version::V311, "device")?;
    device.publish_and_wait("cars/1", b"{}")?;
    device.publish_and_wait("ships/1", b"{}")?;
    let mut kinds = Vec::new();
    for record in kafka.read(&topic, 3, SOON)? {
        kinds.push(record.json()?["kind"].as_str().unwrap_or_default().to_owned());
    }
    kinds.sort_unstable();
    assert_eq!(kinds, ["any", "any", "car"]);
    assert_eq!(isthmus.wait_for("sinks", "merged", "success", 3)?, 3);
    Ok(())
}

#[test]
fn one_rule_feeds_two_sinks() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (one, other) = (kafka.topic("one")?, kafka.topic("other")?);
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("one", &one).with("value", "${.temperature}"),
        sink("other", &other).with("requestMode", "Sync"),
        rule("both", r#"SELECT payload.temperature AS temperature FROM "rooms/+""#).to_sink("one").to_sink("other"),
    ]))?;
    let mut device = Client::connect(isthmus.mqtt(), Version::V311, "device")?;
    device.publish_and_wait("rooms/1", br#"{"temperature":21.5}"#)?;
    assert_eq!(kafka.read(&one, 1, SOON)?[0].value.as_deref(), Some("21.5"));
    assert_eq!(kafka.read(&other, 1, SOON)?[0].json()?, json!({"temperature": 21.5}));
    Ok(())
}

#[test]
fn a_rule_republishes_to_subscribers() -> Result<()> {
    let kafka = Kafka::shared()?;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[rule(
        "alarm",
        r#"SELECT payload.speed AS speed, clientid FROM "vehicles/+/telemetry" WHERE payload.speed > 120"#,
    )
    .to_topic("alarms/${clientid}", "${speed} km/h")]))?;
    let subscriber = Subscriber::start(isthmus.mqtt(), Version::V5, "alarms/#", &[])?;
    let mut car = Client::connect(isthmus.mqtt(), Version::V311, "car-7")?;
    car.publish_and_wait("vehicles/7/telemetry", br#"{"speed":131}"#)?;
    assert_eq!(subscriber.payload("alarms/car-7", SOON)?, "131 km/h");
    Ok(())
}
