//! What a schema alone does not tell: texts that match a pattern and texts that do not, objects that
//! keep a rule and objects that break it. A pattern or rule without an entry here fails the test.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::case::merged;

const BRIDGE_NAME: &str = "the name of a Bridge becomes the name of its Service: use at most 63 lower-case letters, digits and hyphens, with a letter first";
const SECRET_KEYS: &[&str] = &["tls.crt", ".hidden", "CA_1"];

/// Texts inside and outside, by pattern.
const PATTERNS: [(&str, &[&str], &[&str]); 10] = [
    // a name of an object
    (
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        &["a", "kafka-1", "kafka.north.v2"],
        &["Kafka", "-kafka", "kafka-", "kafka..north", "kafka_1"],
    ),
    // a name of an entry in a list
    (r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", &["a", "mqtt-2"], &["Mqtt", "-mqtt", "mqtt-", "mqtt.2", "mqtt_2"]),
    // a duration
    (r"^([0-9]{1,5}(h|m|s|ms)){1,4}$", &["8s", "8000ms", "7s500ms"], &["5", "5 s", "5sec", "1.5s", "-5s", "1d"]),
    // a size
    (
        r"^[0-9]{1,15}(Ki|Mi|Gi|Ti|k|M|G|T)?$",
        &["1Mi", "1M", "1024Ki", "1048576"],
        &["1MB", "1 Mi", "1.5Mi", "-1", "1mi", "Mi"],
    ),
    // a Kafka server
    (
        r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)(:[0-9]{1,5})?$",
        &["kafka", "kafka:9092", "kafka-0.kafka.svc:9092", "10.0.0.1:9092", "[fd00::1]:9092"],
        &["kafka:", "kafka:port", "kafka:9092,other:9092", "PLAINTEXT://kafka:9092", "kafka :9092", "fd00::1"],
    ),
    // a Kafka topic
    (
        r"^[a-zA-Z0-9._-]{1,249}$",
        &["vehicles", "Vehicles_2.north-1"],
        &["vehicles/1", "vehicles 1", "véhicules", "${t}"],
    ),
    // a key of a Secret, needed and optional
    (r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$", SECRET_KEYS, &["", "tls/crt", "..data", "tls crt"]),
    (r"^(\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*)?$", SECRET_KEYS, &["tls/crt", "..data", "tls crt"]),
    // a quantity of a pod's resources
    (
        r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
        &["1", "0.5", "500m", "512Mi"],
        &["-1", ".5", "1 Gi", "1GB", "half"],
    ),
    // a consumer group
    (r"^[a-zA-Z0-9._-]*$", &["", "fleet-1"], &["fleet 1", "fleet/1"]),
];

/// The examples for a pattern.
pub(super) fn pattern(pattern: &str) -> Option<(&'static [&'static str], &'static [&'static str])> {
    PATTERNS.iter().find(|(known, ..)| *known == pattern).map(|(_, accepted, refused)| (*accepted, *refused))
}

/// The choices that go with the other fields of `every_field.yaml`, where not all of them do.
pub(super) fn choices(field: &str) -> Option<Vec<Value>> {
    (field == "spec.listeners[].tls.clientAuth").then(|| vec![json!("Required")])
}

/// Changes to the object of `every_field.yaml` that keep and that break the rule with this message.
pub(super) fn rule(message: &str) -> Option<(Vec<Value>, Vec<Value>)> {
    let listener = |name: &str, port: u16| json!({"name": name, "port": port});
    Some(match message {
        "each listener needs a port of its own" => (
            vec![json!([listener("one", 1883), listener("two", 1884)])],
            vec![json!([listener("one", 1883), listener("two", 1883)])],
        ),
        "port 9600 and the name admin are those of the pods' health and metrics: choose others" => (
            vec![json!([listener("one", 9601)])],
            vec![json!([listener("one", 9600)]), json!([listener("admin", 1883)])],
        ),
        "idempotence needs acks AllIsr: set acks to AllIsr, or idempotence to false" => (
            vec![json!({"idempotence": true, "acks": "AllIsr"}), json!({"idempotence": false, "acks": "None"})],
            vec![json!({"idempotence": true, "acks": "LeaderOnly"}), json!({"idempotence": null, "acks": "None"})],
        ),
        "partitionStrategy KeyDispatch needs a key: set key, or choose another strategy" => (
            vec![json!({"partitionStrategy": "Random", "key": ""}), json!({"key": null})],
            vec![json!({"partitionStrategy": "KeyDispatch", "key": ""})],
        ),
        "Kafka has no topics called `.` or `..`" => (vec![json!("..."), json!(".a")], vec![json!("."), json!("..")]),
        "clientAuth Required needs a CA: name the Secret with the CA of the devices in caSecretRef" => {
            (vec![json!({})], vec![json!({"caSecretRef": null})])
        }
        "caSecretRef is used only to check devices: set clientAuth to Required, or remove caSecretRef" => {
            (vec![json!({"clientAuth": "None", "caSecretRef": null})], vec![json!({"clientAuth": "None"})])
        }
        "each key needs 1 to 317 characters" => {
            (vec![json!({filler(317): "1"})], vec![json!({"": "1"}), json!({filler(318): "1"})])
        }
        "externalTrafficPolicy Local needs a Service that is reached from outside: set type to NodePort or LoadBalancer" => {
            (
                vec![json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"})],
                vec![json!({"type": "ClusterIP", "externalTrafficPolicy": "Local"})],
            )
        }
        "operator Exists takes no value: remove it, or set operator to Equal" => (
            vec![json!({"operator": "Equal", "value": "north"})],
            vec![json!({"operator": "Exists", "value": "north"})],
        ),
        "without a key, operator Exists tolerates every taint: set operator to Exists, or name a key" => {
            (vec![json!({"key": "", "operator": "Exists"})], vec![json!({"key": "", "operator": "Equal"})])
        }
        "authentication is exactly one of plain, scramSha256 and scramSha512" => {
            let user = json!({"secretRef": {"name": "a"}});
            (
                vec![json!({"plain": null, "scramSha256": user, "scramSha512": null})],
                vec![
                    json!({"plain": null, "scramSha256": null, "scramSha512": null}),
                    json!({"plain": user, "scramSha256": user, "scramSha512": null}),
                ],
            )
        }
        "the user name comes from one place: set username or usernameKey, not both" => (
            vec![json!({"username": "a"}), json!({"usernameKey": "a"})],
            vec![json!({"username": "a", "usernameKey": "a"})],
        ),
        "insecureSkipVerify checks nothing against a CA: remove caSecretRef, or insecureSkipVerify" => {
            (vec![json!({"insecureSkipVerify": true, "caSecretRef": null})], vec![json!({"insecureSkipVerify": true})])
        }
        "certificateKey and keyKey go together: set both, or none of them" => (
            vec![json!({"certificateKey": null, "keyKey": null})],
            vec![json!({"keyKey": null}), json!({"certificateKey": null})],
        ),
        BRIDGE_NAME => {
            let named = |name: &str| json!({"metadata": {"name": name}});
            (
                vec![named(&filler(63)), named("fleet-2")],
                vec![named(&filler(64)), named("2fleet"), named("fleet.north")],
            )
        }
        "an action is exactly one of sinkRef, republish and console" => (
            vec![
                json!({"sinkRef": null, "republish": null, "console": {}}),
                json!({"sinkRef": null, "republish": {"topic": "a"}, "console": null}),
                json!({"sinkRef": {"name": "a"}, "republish": null, "console": null}),
            ],
            vec![
                json!({"sinkRef": null, "republish": null, "console": null}),
                json!({"sinkRef": {"name": "a"}, "republish": {"topic": "a"}, "console": null}),
                json!({"sinkRef": {"name": "a"}, "republish": null, "console": {}}),
            ],
        ),
        "a test expects exactly one of output, outputs, noMatch and error" => (
            vec![
                expectation(&json!({"output": {}})),
                expectation(&json!({"outputs": []})),
                expectation(&json!({"noMatch": true})),
                expectation(&json!({"error": true})),
            ],
            vec![expectation(&json!({})), expectation(&json!({"output": {}, "noMatch": true}))],
        ),
        "`noMatch` can only be true: say what comes out instead" => {
            (vec![expectation(&json!({"noMatch": true}))], vec![expectation(&json!({"noMatch": false}))])
        }
        "`error` can only be true: say what comes out instead" => {
            (vec![expectation(&json!({"error": true}))], vec![expectation(&json!({"error": false}))])
        }
        _ => return None,
    })
}

/// What a test of a rule expects: these fields and no other.
fn expectation(fields: &Value) -> Value {
    merged(&json!({"output": null, "outputs": null, "noMatch": null, "error": null}), fields)
}

/// The nearest values below and above a range of durations or sizes, where there are any.
pub(super) fn outside(min: &str, max: &str) -> Result<Vec<String>> {
    let below = match (min, size(min)) {
        ("0s", _) => None,
        ("1s", _) => Some("999ms".to_owned()),
        ("6s", _) => Some("5s999ms".to_owned()),
        (_, Some(bytes)) => Some((bytes - 1).to_string()),
        _ => Some(format!("{}ms", min.trim_end_matches("ms").parse::<u32>().context("a new lower bound")? - 1)),
    };
    let above = size(max).map_or_else(|| format!("{max}1ms"), |bytes| (bytes + 1).to_string());
    Ok(below.into_iter().chain([above]).collect())
}

/// A size in bytes; none for a duration.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        "Ti" => 40,
        _ => return None,
    };
    Some(digits.parse::<u64>().ok()? << shift)
}

/// Another entry for a list like this one, different for each number.
pub(super) fn another(entry: &Value, key: Option<&str>, number: u64) -> Value {
    let mut entry = entry.clone();
    match key {
        Some(key) => entry[key] = json!(format!("n{number}")),
        // Without a key, objects may be equal.
        None if entry.is_object() => {}
        None => entry = json!(format!("n{number}")),
    }
    if entry["port"].is_number() {
        entry["port"] = json!(1000 + number);
    }
    entry
}

/// A text of this length.
pub(super) fn filler(length: usize) -> String {
    "x".repeat(length)
}

/// A value as the report shows it.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= 100 {
        text
    } else {
        format!("{}… ({} bytes)", text.chars().take(60).collect::<String>(), text.len())
    }
}
