//! Sources of a plan: their Connector resolved, their templates compiled, their group named.

use std::collections::BTreeSet;

use isthmus_api::{ObjectRef, Source, source::TopicMapping};
use isthmus_rules::template::{Template, TemplateKind, Variable};
use kube::core::ObjectMeta;

use super::{
    Scope,
    connector::Connectors,
    keep::Made,
    link::{self, Link},
    template,
};
use crate::{Finding, Severity, document, finding::reason, resources::reference};

/// What a record offers to the templates of a mapping (row C1).
const RECORD: [&str; 7] = ["value", "key", "headers", "topic", "offset", "ts", "ts_type"];

pub(super) fn render_all(connectors: &Connectors, scope: &mut Scope<'_>) -> Vec<document::Source> {
    let sources: Vec<&Source> = scope.sources.values().copied().collect();
    let mut rendered = Vec::new();
    for source in sources {
        let ObjectMeta { name, uid, .. } = &source.metadata;
        match render(source, connectors, scope) {
            Made::Right(source) => rendered.push(source),
            Made::Wrong => rendered.extend(scope.keep(name.as_deref().unwrap_or_default(), uid.as_deref())),
            Made::NotHere => {}
        }
    }
    let unreadable = scope.keep_unreadable(&rendered);
    rendered.extend(unreadable);
    rendered.sort_by(|one: &document::Source, other| one.name.cmp(&other.name));
    rendered
}

fn render(source: &Source, connectors: &Connectors, scope: &mut Scope<'_>) -> Made<document::Source> {
    let object = reference(source);
    let connector = &source.spec.connector_ref.name;
    // Checked also when its Connector leads nowhere: it learns everything that is wrong with it at once.
    if let Link::Elsewhere = link::to_connector(&object, connector, scope) {
        return Made::NotHere;
    }
    let spec = &source.spec;
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for (position, mapping) in spec.topic_mapping.iter().enumerate() {
        let path = format!("spec.topicMapping[{position}]");
        if !seen.insert(&mapping.kafka_topic) {
            let message = format!("the Kafka topic `{}` is mapped twice", mapping.kafka_topic);
            findings.push(
                Finding::error(&object, format!("{path}.kafkaTopic"), reason::DUPLICATE_KAFKA_TOPIC, message)
                    .with_help(
                        "map each topic once; for a second MQTT topic add a Rule on this Source, or another Source",
                    ),
            );
        }
        check(&object, &path, mapping, &mut findings);
    }
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    scope.findings.extend(findings);
    if refused {
        return Made::Wrong;
    }
    let Some(kafka) = connectors.get(connector).cloned() else { return Made::Wrong };
    let group_id = if spec.group_id.is_empty() {
        format!("isthmus-{}-{}", object.namespace, object.name)
    } else {
        spec.group_id.clone()
    };
    Made::Right(document::Source {
        name: object.name,
        uid: source.metadata.uid.clone(),
        generation: source.metadata.generation,
        connector: spec.connector_ref.name.clone(),
        kafka,
        topic_mapping: spec.topic_mapping.clone(),
        key_encoding: spec.key_encoding,
        value_encoding: spec.value_encoding,
        offset_reset: spec.offset_reset,
        group_id,
        max_fetch_bytes: spec.max_fetch_bytes,
        max_wait: spec.max_wait,
        offset_commit_interval: spec.offset_commit_interval,
        session_timeout: spec.session_timeout,
    })
}

fn check(object: &ObjectRef, path: &str, mapping: &TopicMapping, findings: &mut Vec<Finding>) {
    let kafka_path = format!("{path}.kafkaTopic");
    findings.extend(template::kafka_topic_name(object, &kafka_path, &mapping.kafka_topic));
    if let Some(topic) = &mapping.mqtt_topic {
        let path = format!("{path}.mqttTopic");
        if let Some(compiled) = template::compile(object, &path, topic, TemplateKind::Topic, findings) {
            findings.extend(template::mqtt_topic(object, &path, topic, &compiled));
            findings.extend(unknown(object, &path, &compiled));
        }
        // Without an MQTT topic nothing is published, so the payload template is never used.
        let path = format!("{path}.payloadTemplate");
        if let Some(compiled) =
            template::compile(object, &path, &mapping.payload_template, TemplateKind::Action, findings)
        {
            findings.extend(unknown(object, &path, &compiled));
        }
    }
}

/// Variables that no record has: they are always empty text.
fn unknown<'t>(object: &'t ObjectRef, path: &'t str, template: &'t Template) -> impl Iterator<Item = Finding> + 't {
    let known = |variable: &Variable| {
        let root = variable.path.split('.').next().unwrap_or_default();
        root.is_empty() || RECORD.contains(&root)
    };
    template.variables().filter(move |variable| !known(variable)).map(move |variable| {
        let message = format!("a Kafka record has no `{}`: it is always empty text", variable.path);
        Finding::warning(object, path, reason::UNKNOWN_VARIABLE, message)
            .with_help(format!("a record has {}", RECORD.join(", ")))
            .at(variable.span.clone())
    })
}
