//! What the mappings of a Source do with a record: the MQTT message it becomes, and the rules that see it.
//!
//! Pure but for the routing it is handed: no Kafka, no tokio.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use isthmus_api::source::TopicMapping;
use isthmus_plan::document;
use isthmus_rules::topic::validate_topic;
use isthmus_rules::{Columns, MissingPolicy, Row, Template, TemplateKind, Text};

use super::Handler;
use super::columns::{Encodings, RecordColumns};
use super::record::Record;
use crate::ingress::{Ingress, Route};
use crate::message::{Message, MessageIds, Publisher, QoS};
use crate::receipt::Tracker;
use crate::sink::Origin;

/// Where the records of Sources enter the routing.
pub trait SourceRoute: Route {
    /// Runs the rules that select from the Source of this name (`$bridges/kafka_consumer:NAME` and
    /// `$sources/kafka_consumer:NAME`) over one of its records.
    fn record(&self, source: &str, columns: &dyn Columns, origin: Origin<'_>, tracker: &mut Tracker<'_>);
}

impl SourceRoute for Ingress {
    fn record(&self, source: &str, columns: &dyn Columns, origin: Origin<'_>, tracker: &mut Tracker<'_>) {
        Self::record(self, source, columns, origin, Some(tracker));
    }
}

/// A template of a mapping that does not compile. The plan has checked them: only a plan written by hand gets here.
#[derive(Debug, thiserror::Error)]
#[error("the {field} of Kafka topic {kafka_topic} in Source {source_name} does not compile: {message}")]
pub struct MappingError {
    source_name: String,
    kafka_topic: String,
    field: &'static str,
    message: String,
}

/// The mappings of one Source, compiled.
pub struct Mapper {
    source: ByteString,
    event: Text,
    encodings: Encodings,
    /// By Kafka topic; those without an MQTT topic are for rules only and not in here.
    mappings: HashMap<String, Mapping>,
    publisher: Arc<Publisher>,
    ids: MessageIds,
    route: Arc<dyn SourceRoute>,
}

struct Mapping {
    topic: Template,
    payload: Template,
    /// The payload has `${.}`: JSON, which bytes that are not text do not survive.
    payload_is_json: bool,
    qos: QoS,
}

impl std::fmt::Debug for Mapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapper").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Mapper {
    /// Compiles the mappings of `source`.
    pub fn compile(source: &document::Source, route: Arc<dyn SourceRoute>) -> Result<Self, MappingError> {
        let mut mappings = HashMap::new();
        for mapping in &source.topic_mapping {
            if let Some(topic) = &mapping.mqtt_topic {
                mappings.insert(mapping.kafka_topic.clone(), Mapping::compile(source, mapping, topic)?);
            }
        }
        let name = ByteString::from(source.name.as_str());
        Ok(Self {
            event: Text::from(format!("$bridges/kafka_consumer:{name}")),
            encodings: Encodings { key: source.key_encoding, value: source.value_encoding },
            mappings,
            publisher: Arc::new(Publisher { client_id: name.clone(), username: None, peer: None }),
            ids: MessageIds::new(),
            source: name,
            route,
        })
    }

    fn publish(
        &self,
        mapping: &Mapping,
        columns: &RecordColumns<'_>,
        record: &Record,
        tracker: &mut Tracker<'_>,
    ) -> Result<(), String> {
        if mapping.payload_is_json
            && let Some((part, field)) = columns.not_text()
        {
            return Err(format!(
                "its {part} is not UTF-8, so it cannot stand in JSON: set {field} of the Source to Base64, or make the \
                 payloadTemplate `${{.value}}` to pass the bytes on"
            ));
        }
        let row = columns.row();
        let topic = ByteString::try_from(render(&mapping.topic, &row)?)
            .map_err(|_| "its MQTT topic would not be UTF-8: change the mqttTopic of the mapping".to_owned())?;
        validate_topic(&topic).map_err(|error| {
            format!("its MQTT topic {topic:?} is not legal: {error}: change the mqttTopic of the mapping")
        })?;
        let message = Message {
            id: self.ids.next(record.received_at),
            topic,
            payload: Bytes::from(render(&mapping.payload, &row)?),
            qos: mapping.qos,
            dup: false,
            retain: false,
            publisher: self.publisher.clone(),
            properties: None,
            received_at: record.received_at,
        };
        self.route.publish(&message, Some(tracker));
        Ok(())
    }
}

impl Handler for Mapper {
    /// First the mapping, then the rules, as in the reference system. Rules see the record whatever becomes of the
    /// mapping.
    fn handle(&self, record: &Record, tracker: &mut Tracker<'_>) -> Result<(), String> {
        let columns = RecordColumns::new(record, &self.event, self.encodings);
        let published = match self.mappings.get(&*record.topic) {
            Some(mapping) => self.publish(mapping, &columns, record, tracker),
            None => Ok(()),
        };
        let origin = Origin { topic: &record.topic, client_id: &self.source };
        self.route.record(&self.source, &columns, origin, tracker);
        published
    }
}

impl Mapping {
    fn compile(source: &document::Source, mapping: &TopicMapping, topic: &str) -> Result<Self, MappingError> {
        let compile = |field, text: &str, kind| {
            Template::compile(text, kind).map_err(|error| MappingError {
                source_name: source.name.clone(),
                kafka_topic: mapping.kafka_topic.clone(),
                field,
                message: error.message,
            })
        };
        let payload = compile("payloadTemplate", &mapping.payload_template, TemplateKind::Action)?;
        let payload_is_json = payload.variables().any(|variable| variable.path.is_empty());
        Ok(Self {
            topic: compile("mqttTopic", topic, TemplateKind::Topic)?,
            payload_is_json,
            payload,
            qos: if mapping.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce },
        })
    }
}

/// A missing variable is empty text (row C6).
fn render(template: &Template, row: &Row) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    template
        .render(row, MissingPolicy::Empty, &mut text)
        .map(|_| text)
        .map_err(|error| format!("a template of its mapping fails: {error}"))
}

#[cfg(test)]
mod tests;
