//! A wrong edit changes nothing that runs: what has an error goes on as it was, and everything else is taken on.

use std::time::Duration;

use anyhow::anyhow;
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::isthmus::{Isthmus, Start};
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, Resource, bridge, connector, documents, rule, sink};
use isthmus_tests::mosquitto::Version::{V5, V311};
use isthmus_tests::mqtt::Client;
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);
const PUBLICATIONS: usize = 20;
/// Implementation specific error.
const MISCONFIGURED: u8 = 0x83;

fn stamp(sql: &str) -> Resource {
    rule("stamp", sql).to_sink("load")
}

fn good_sql(version: u32) -> String {
    format!(r#"SELECT payload.message AS message, {version} AS version FROM "load/#""#)
}

/// Makes the edit and waits until it is known that something of it is wrong.
fn edit_wrongly(isthmus: &Isthmus, manifests: &str, names: &str) -> Result<()> {
    isthmus.edit(manifests)?;
    eventually("the mistake is told", SOON, || {
        let status = isthmus.status()?;
        let told = status["rejected"]["message"].as_str().is_some_and(|message| message.contains(names));
        if told { Ok(()) } else { Err(anyhow!("{}", status["rejected"])) }
    })
}

#[test]
fn wrong_edits_change_nothing_that_runs() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("lastgood")?;
    let load = || sink("load", &topic);
    let good = |version| documents(&[bridge(), connector(), load(), stamp(&good_sql(version))]);
    let isthmus = Start::on(kafka).manifests(&good(0))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    let mut sent = 0;
    let edits = [
        ("bad SQL", "stamp", documents(&[bridge(), connector(), load(), stamp("SELCT 1")])),
        (
            "a failing test of its own",
            "stamp",
            documents(&[
                bridge(),
                connector(),
                load(),
                stamp(&good_sql(9)).and(
                    "tests",
                    json!({"name": "never", "event": {"topic": "load/1", "payload": "{}"}, "expect": {"noMatch": true}}),
                ),
            ]),
        ),
        (
            "a mistyped reference",
            "load",
            documents(&[bridge(), connector(), load().with("connectorRef.name", "kafak"), stamp(&good_sql(0))]),
        ),
        ("a deleted Connector", "load", documents(&[bridge(), load(), stamp(&good_sql(0))])),
    ];
    for (version, (what, names, edit)) in (1..).zip(edits) {
        edit_wrongly(&isthmus, &edit, names)?;
        for _ in 0..PUBLICATIONS {
            assert_eq!(device.publish_and_wait("load/1", br#"{"message":1}"#)?, 0, "{what}");
        }
        sent += PUBLICATIONS;
        let records = kafka.read(&topic, sent, SOON)?;
        assert_eq!(records.len(), sent, "{what}");
        // The corrected one takes effect, and nothing is said to be wrong any more.
        isthmus.reload(&good(version))?;
        assert_eq!(device.publish_and_wait("load/1", br#"{"message":2}"#)?, 0, "after {what}");
        sent += 1;
        let last = kafka.read(&topic, sent, SOON)?.pop().ok_or_else(|| anyhow!("no record"))?.json()?;
        assert_eq!(last["version"], version, "after {what}");
        assert!(isthmus.status()?["rejected"].is_null(), "after {what}");
    }
    Ok(())
}

#[test]
fn one_mistake_does_not_hold_back_the_rest() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (topic, other) = (kafka.topic("mistake")?, kafka.topic("rest")?);
    let file = |sql: &str, version: u32| {
        let rest = rule("rest", &good_sql(version)).to_sink("rest");
        manifest::file(&[sink("load", &topic), sink("rest", &other), stamp(sql), rest])
    };
    let isthmus = Start::on(kafka).manifests(&file(&good_sql(1), 1))?;
    isthmus.reload(&file("SELCT 1", 2))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    assert_eq!(device.publish_and_wait("load/1", br#"{"message":1}"#)?, 0);
    assert_eq!(kafka.read(&topic, 1, SOON)?[0].json()?["version"], 1, "the last good version");
    assert_eq!(kafka.read(&other, 1, SOON)?[0].json()?["version"], 2, "the new version");
    Ok(())
}

#[test]
fn action_whose_sink_was_deleted_fails_and_the_others_go_on() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (topic, gone) = (kafka.topic("stays")?, kafka.topic("gone")?);
    let both = || stamp(&good_sql(1)).to_sink("gone");
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[sink("load", &topic), sink("gone", &gone), both()]))?;
    let mut five = Client::connect(isthmus.mqtt(), V5, "five")?;
    assert_eq!(five.publish_and_wait("load/1", br#"{"message":1}"#)?, 0);

    isthmus.reload(&manifest::file(&[sink("load", &topic), both()]))?;
    assert_eq!(five.publish_and_wait("load/1", br#"{"message":2}"#)?, MISCONFIGURED);
    // MQTT 3.1.1 has no reason codes, and sending again would only repeat it.
    Client::connect(isthmus.mqtt(), V311, "three")?.publish_and_wait("load/1", br#"{"message":3}"#)?;
    assert_eq!(isthmus.figure("rules", "stamp", "actionsFailed")?, 2);
    assert_eq!(kafka.read(&topic, 3, SOON)?.len(), 3, "the other action");
    Ok(())
}
