//! Sinks of a plan: their Connector resolved, their templates compiled.

use isthmus_api::{Sink, sink::PartitionStrategy};
use isthmus_rules::template::TemplateKind;
use kube::core::ObjectMeta;

use super::{
    Scope,
    connector::Connectors,
    keep::Made,
    link::{self, Link},
    template,
};
use crate::{Finding, Severity, document, finding::reason, resources::reference};

pub(super) fn render_all(connectors: &Connectors, scope: &mut Scope<'_>) -> Vec<document::Sink> {
    let sinks: Vec<&Sink> = scope.sinks.values().copied().collect();
    let mut rendered = Vec::new();
    for sink in sinks {
        let ObjectMeta { name, uid, .. } = &sink.metadata;
        match render(sink, connectors, scope) {
            Made::Right(sink) => rendered.push(sink),
            Made::Wrong => rendered.extend(scope.keep(name.as_deref().unwrap_or_default(), uid.as_deref())),
            Made::NotHere => {}
        }
    }
    let unreadable = scope.keep_unreadable(&rendered);
    rendered.extend(unreadable);
    rendered.sort_by(|one: &document::Sink, other| one.name.cmp(&other.name));
    rendered
}

fn render(sink: &Sink, connectors: &Connectors, scope: &mut Scope<'_>) -> Made<document::Sink> {
    let object = reference(sink);
    let connector = &sink.spec.connector_ref.name;
    // Checked also when its Connector leads nowhere: it learns everything that is wrong with it at once.
    if let Link::Elsewhere = link::to_connector(&object, connector, scope) {
        return Made::NotHere;
    }
    let spec = &sink.spec;
    let mut findings = Vec::new();
    let topic = template::compile(&object, "spec.topic", &spec.topic, TemplateKind::Topic, &mut findings);
    if let Some(topic) = &topic {
        findings.extend(template::kafka_topic(&object, "spec.topic", &spec.topic, topic));
    }
    for (path, text) in [("spec.key", &spec.key), ("spec.value", &spec.value), ("spec.timestamp", &spec.timestamp)] {
        template::compile(&object, path, text, TemplateKind::Action, &mut findings);
    }
    if spec.partition_strategy == PartitionStrategy::KeyDispatch && spec.key.is_empty() {
        let message = "records are dispatched by a key that is always empty";
        findings.push(
            Finding::error(&object, "spec.key", reason::EMPTY_KEY, message)
                .with_help("set key to a template, or choose another partitionStrategy"),
        );
    }
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    scope.findings.extend(findings);
    if refused {
        return Made::Wrong;
    }
    let Some(kafka) = connectors.get(connector).cloned() else { return Made::Wrong };
    let dynamic_topic = topic.is_some_and(|topic| topic.variables().next().is_some());
    Made::Right(document(sink, &object.name, kafka, dynamic_topic))
}

fn document(sink: &Sink, name: &str, kafka: document::Kafka, dynamic_topic: bool) -> document::Sink {
    let spec = &sink.spec;
    document::Sink {
        name: name.to_owned(),
        uid: sink.metadata.uid.clone(),
        generation: sink.metadata.generation,
        connector: spec.connector_ref.name.clone(),
        kafka,
        topic: spec.topic.clone(),
        dynamic_topic,
        key: spec.key.clone(),
        value: spec.value.clone(),
        timestamp: spec.timestamp.clone(),
        partition_strategy: spec.partition_strategy,
        partition_count_refresh_interval: spec.partition_count_refresh_interval,
        compression: spec.compression,
        acks: spec.acks,
        idempotence: spec.idempotence,
        max_batch_bytes: spec.max_batch_bytes,
        linger: spec.linger,
        max_inflight: spec.max_inflight,
        request_mode: spec.request_mode,
        sync_timeout: spec.sync_timeout,
        buffer: spec.buffer.clone(),
    }
}
