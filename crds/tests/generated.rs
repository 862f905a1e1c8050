//! The committed files are what the types generate, and the schema keeps the promises of the API design.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its work fails its test")]

use std::path::Path;

use anyhow::Context as _;
use isthmus_api::{generated, schema};
use serde_json::Value;

#[test]
fn committed_files_match_the_types() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("this crate has no parent folder")?;
    let files = generated::files()?;
    assert_eq!(files.len(), 11);
    for (name, text) in files {
        let path = root.join(&name);
        let committed = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        assert!(
            committed == text,
            "{name} is out of date: run `cargo run -p isthmus-api --bin crdgen` and commit the result"
        );
    }
    Ok(())
}

fn visit(path: &str, schema: &Value, check: &mut dyn FnMut(&str, &Value)) {
    check(path, schema);
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            visit(&format!("{path}.{name}"), property, check);
        }
    }
    if let Some(items) = schema.get("items") {
        visit(&format!("{path}[]"), items, check);
    }
    if let Some(values) = schema.get("additionalProperties") {
        visit(&format!("{path}[]"), values, check);
    }
}

fn each_spec_field(check: &mut dyn FnMut(&str, &Value)) {
    for kind in schema::KINDS {
        let schema = schema::schema_of(kind).unwrap();
        visit(&format!("{kind}.spec"), &schema["properties"]["spec"], check);
        visit(&format!("{kind}.status"), &schema["properties"]["status"], check);
    }
}

#[test]
fn every_field_is_bounded() {
    let mut unbounded = Vec::new();
    each_spec_field(&mut |path, schema| {
        let has = |keyword: &str| schema.get(keyword).is_some();
        let bounded = match schema.get("type").and_then(Value::as_str) {
            Some("string") => has("maxLength") || has("enum") || has("format"),
            Some("array") => has("maxItems") && has("x-kubernetes-list-type"),
            // A generation is the API server's own number and has no upper bound.
            Some("integer") => has("minimum") && (has("maximum") || path.ends_with("Generation")),
            Some("object") if has("additionalProperties") => has("maxProperties") && has("x-kubernetes-validations"),
            Some("object") => {
                let free = has("x-kubernetes-preserve-unknown-fields") && has("maxProperties");
                has("properties") || free || path.ends_with(".console")
            }
            Some("boolean") => true,
            _ => has("x-kubernetes-int-or-string") && has("maxLength") && has("pattern"),
        };
        if !bounded {
            unbounded.push(path.to_owned());
        }
    });
    assert_eq!(unbounded, Vec::<String>::new());
}

#[test]
fn every_field_is_described() {
    let mut silent = Vec::new();
    each_spec_field(&mut |path, schema| {
        if !path.ends_with("[]") && schema.get("description").is_none() {
            silent.push(path.to_owned());
        }
    });
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn nothing_is_nullable() {
    let text = serde_json::to_string(&schema::definitions()).unwrap();
    assert!(!text.contains("nullable"));
}

#[test]
fn status_starts_unobserved() {
    for kind in schema::KINDS {
        let schema = schema::schema_of(kind).unwrap();
        assert_eq!(schema["properties"]["status"]["default"]["observedGeneration"], -1, "{kind}");
    }
}

#[test]
fn optional_fields_have_static_defaults_or_are_references() {
    let mut without = Vec::new();
    for kind in schema::KINDS {
        let schema = schema::schema_of(kind).unwrap();
        visit(kind, &schema["properties"]["spec"], &mut |path, schema| {
            let required: Vec<&str> =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                if !required.contains(&name.as_str()) && property.get("default").is_none() {
                    without.push(format!("{path}.{name}"));
                }
            }
        });
    }
    // Absent means something of its own in each of these.
    assert_eq!(
        without,
        [
            "Bridge.authentication.usersSecretRef",
            "Bridge.listeners[].tls",
            "Bridge.listeners[].tls.caSecretRef",
            "Bridge.tolerations[].effect",
            "Bridge.tolerations[].tolerationSeconds",
            "Connector.kafka.authentication",
            "Connector.kafka.tls",
            "Connector.kafka.authentication.plain",
            "Connector.kafka.authentication.scramSha256",
            "Connector.kafka.authentication.scramSha512",
            "Connector.kafka.tls.caSecretRef",
            "Connector.kafka.tls.certificateSecretRef",
            "Source.topicMapping[].mqttTopic",
            "Rule.actions[].console",
            "Rule.actions[].republish",
            "Rule.actions[].sinkRef",
            "Rule.tests[].expect.error",
            "Rule.tests[].expect.noMatch",
            "Rule.tests[].expect.output",
            "Rule.tests[].expect.outputs",
        ]
    );
}
