//! What is wrong with a resource, as its author reads it: condition, reason and message.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::manifest::{self, rule, sink};
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::shared::PATIENCE;

/// The snapshot, to know when to stop waiting for it.
const EXPECTED: &str =
    include_str!("snapshots/cluster__bad_input__mistakes_are_shown_with_their_reason_and_what_to_do.snap");

/// The conditions of an object that do not hold, and its summary.
fn complaints(object: &Value, namespace: &str) -> Result<String> {
    let observed = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    ensure!(observed, "not looked at: {:#}", object["status"]);
    let mut text = format!("{} {}\n", object["kind"].as_str().context("no kind")?, object["metadata"]["name"]);
    for condition in object["status"]["conditions"].as_array().context("no conditions")? {
        let field = |name: &str| condition[name].as_str().unwrap_or_default();
        // What follows from them says less.
        if matches!(field("type"), "Accepted" | "ResolvedRefs") && field("status") == "False" {
            writeln!(
                text,
                "  {}: {}: {}",
                field("type"),
                field("reason"),
                field("message").replace(namespace, "NAMESPACE")
            )?;
        }
    }
    let mut all = object["status"]["conditions"].as_array().into_iter().flatten();
    let ready = all.find(|condition| condition["type"] == "Ready").context("no Ready")?;
    ensure!(text.lines().count() > 1, "nothing is wrong with it: {:#}", object["status"]);
    writeln!(text, "  Ready={} {}", ready["status"].as_str().unwrap_or_default(), ready["reason"])?;
    Ok(text)
}

#[test]
fn mistakes_are_shown_with_their_reason_and_what_to_do() -> Result<()> {
    let elsewhere = Fleet::new("elsewhere")?;
    elsewhere.namespace.apply(&[manifest::bridge().with("replicas", 0), manifest::connector().named("central")])?;
    let fleet = Fleet::new("bad-input")?;
    let namespace = &fleet.namespace;
    namespace.kubectl().apply(&manifest::secret("half", &[("username", "car")]))?;
    let scram = |secret: &str| json!({"scramSha512": {"secretRef": {"name": secret}}});
    let connector = |name: &str| manifest::connector().named(name);
    let users = json!({"name": "users"});
    let other = manifest::bridge().named("other").with("replicas", 0);
    let bad = [
        // A Secret that does not exist, one without the key, and a key that is called otherwise.
        other.clone().named("no-users").with("authentication", json!({"anonymous": "Deny", "usersSecretRef": users})),
        connector("no-secret").with("kafka.authentication", scram("missing")),
        connector("no-key").with("kafka.authentication", scram("half")),
        connector("no-ca").with("kafka.tls", json!({"caSecretRef": {"name": "half"}})),
        // References that lead nowhere, into another namespace, or to another Bridge.
        connector("no-bridge").with("bridgeRef.name", "fleeet"),
        sink("in-another-namespace", "t").with("connectorRef.name", "central"),
        rule("misspelt", r#"SELECT * FROM "a""#).to_sink("lod"),
        rule("of-another-bridge", r#"SELECT * FROM "a""#).with("bridgeRef.name", "other").to_sink("load"),
        rule("no-source", r#"SELECT * FROM "$sources/kafka_consumer:none""#),
        // What cannot work.
        sink("bad-topic", "site/${site}"),
        manifest::source("twice").with("topicMapping", json!([{"kafkaTopic": "a", "mqttTopic": "x/#"}])),
        rule("bad-function", "SELECT lowr(clientid) AS id\nFROM \"a\""),
        rule("bad-republish", r#"SELECT * FROM "a""#).to_topic("x/+", "${.}"),
        rule("fails-its-test", r#"SELECT payload.speed AS speed FROM "a" WHERE payload.speed > 120"#).and(
            "tests",
            json!({"name": "slow", "event": {"topic": "a", "payload": {"speed": 30}}, "expect": {"output": {"speed": 30}}}),
        ),
    ];
    let mut resources = fleet.resources(0);
    resources.push(other);
    resources.extend(bad.iter().cloned());
    namespace.apply(&resources)?;
    let mut report = String::new();
    // What a condition says follows what it speaks of: the first word on a reference may not know all that there is yet.
    let settled = eventually("every mistake is shown as it should be", PATIENCE, || {
        report.clear();
        for resource in &bad {
            report += &complaints(&namespace.object(&resource.plural(), resource.name())?, namespace.name())?;
        }
        ensure!(EXPECTED.ends_with(&report), "{report}");
        Ok(())
    });
    insta::assert_snapshot!(report);
    settled
}

#[test]
fn listeners_that_share_a_port_are_refused_before_anybody_acts() -> Result<()> {
    let fleet = Fleet::new("one-port")?;
    let listeners = json!([{"name": "one", "port": 1883}, {"name": "two", "port": 1883}]);
    let bridge = manifest::bridge().with("listeners", listeners).to_string();
    let refused = fleet.namespace.kubectl().attempt(&["apply", "-f", "-"], &bridge)?;
    assert_eq!(refused.code, Some(1), "{}", refused.output);
    assert!(refused.output.contains("each listener needs a port of its own"), "{}", refused.output);
    Ok(())
}
