//! What a newcomer reads.

use serde_json::json;

use super::*;
use crate::status::{Listener, LocalKafka};

fn plan(rules: &serde_json::Value, anonymous: bool) -> Plan {
    let kafka = json!(isthmus_plan::document::Kafka::new(vec!["127.0.0.1:9092".to_owned()]));
    serde_json::from_value(json!({
        "revision": "0123456789abcdef",
        "bridge": {
            "namespace": "default", "name": "fleet",
            "listeners": [{"name": "mqtt", "port": 1883}],
            "authentication": {"anonymous": anonymous},
            "mqtt": {}, "drain": {},
        },
        "sinks": [{
            "name": "vehicles", "connector": "kafka", "kafka": kafka, "topic": "vehicles", "dynamicTopic": false,
            "key": "${.clientid}", "value": "${.}", "timestamp": "${.timestamp}", "partitionStrategy": "Random",
            "partitionCountRefreshInterval": "60s", "compression": "None", "acks": "AllIsr", "idempotence": true,
            "maxBatchBytes": "896Ki", "linger": "5ms", "maxInflight": 10, "requestMode": "Async", "syncTimeout": "5s",
            "buffer": {},
        }],
        "sources": [{
            "name": "commands", "connector": "kafka", "kafka": kafka,
            "topicMapping": [{"kafkaTopic": "commands", "mqttTopic": "cmd/${.key}", "qos": 1}, {"kafkaTopic": "audit"}],
            "keyEncoding": "None", "valueEncoding": "None", "offsetReset": "Latest",
            "groupId": "isthmus-default-commands", "maxFetchBytes": "896Ki", "maxWait": "1s", "sessionTimeout": "10s",
            "offsetCommitInterval": "5s",
        }],
        "rules": rules,
    }))
    .unwrap()
}

fn snapshot(embedded: bool) -> Snapshot {
    Snapshot {
        listeners: vec![Listener { name: "mqtt".to_owned(), address: "127.0.0.1:1883".to_owned(), tls: false }],
        kafka: Some(LocalKafka { bootstrap_servers: "127.0.0.1:40123".to_owned(), embedded }),
        ..Snapshot::default()
    }
}

fn here(port: u16, program: &str) -> Here {
    Here { admin: (std::net::Ipv4Addr::LOCALHOST, port).into(), program: program.to_owned() }
}

#[test]
fn a_newcomer_learns_what_runs_what_flows_and_what_to_type() {
    let rules = json!([{
        "name": "speeding",
        "sql": "SELECT payload.speed AS speed, clientid FROM \"vehicles/+/telemetry\" WHERE payload.speed > 120",
        "actions": [
            {"name": "to-kafka", "do": {"sink": "vehicles"}},
            {"name": "alarm", "do": {"republish": {"topic": "alarms/${clientid}"}}},
        ],
    }, {
        "name": "audit",
        "sql": "SELECT * FROM \"$sources/kafka_consumer:commands\"",
        "actions": [{"name": "log", "do": "console"}],
    }]);
    insta::assert_snapshot!(banner(&snapshot(true), &plan(&rules, true), &here(9600, "target/release/isthmus")));
}

#[test]
fn other_ports_users_and_a_real_kafka_are_in_the_commands() {
    let rules = json!([{
        "name": "odd", "sql": "SELECT * FROM \"a b/#\" WHERE clientid = 'nobody'",
        "actions": [{"name": "to-kafka", "do": {"sink": "vehicles"}}],
    }]);
    insta::assert_snapshot!(banner(&snapshot(false), &plan(&rules, false), &here(12345, "isthmus")));
}

#[test]
fn without_anything_to_flow_it_says_what_is_missing() {
    let mut plan = plan(&json!([]), true);
    plan.sources.clear();
    let text = links(&snapshot(true), &plan, &here(9600, "target/release/isthmus"));
    assert_eq!(
        text,
        "what flows where (revision 0123456789abcdef)\n  nothing yet: add a Rule, or a Source with an mqttTopic\n\n"
    );
}
