//! From a rule's output to a record: topic, key, value, timestamp and what chooses the partition.

use std::cell::RefCell;
use std::time::Duration;

use bytestring::ByteString;
use isthmus_api::sink::{PartitionStrategy, RequestMode};
use isthmus_plan::document;
use isthmus_rules::{MissingPolicy, Output, RenderError, Template, TemplateKind, Value};

use super::partitioner::murmur2;
use crate::buffer::Record;
use crate::message::now_millis;

/// What a record's message came from, for the partition strategies that look at it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin<'o> {
    /// MQTT topic, or Kafka topic for a Source's record.
    pub topic: &'o str,
    /// Client identifier of the publisher.
    pub client_id: &'o str,
}

/// Compiled templates and the rest of what a Sink does with an output.
#[derive(Debug)]
pub(super) struct Writing {
    topic: Topic,
    key: Template,
    value: Template,
    timestamp: Template,
    strategy: PartitionStrategy,
    pub(super) request_mode: RequestMode,
    pub(super) sync_timeout: Duration,
}

#[derive(Debug)]
enum Topic {
    Fixed(ByteString),
    Template(Template),
}

/// Buffers for rendering, kept from message to message.
#[derive(Default)]
struct Scratch {
    key: Vec<u8>,
    value: Vec<u8>,
    timestamp: Vec<u8>,
    topic: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Writing {
    pub(super) fn compile(plan: &document::Sink) -> Result<Self, String> {
        let action = |field: &str, text: &str| {
            Template::compile(text, TemplateKind::Action).map_err(|error| format!("{field}: {}", error.message))
        };
        let topic =
            Template::compile(&plan.topic, TemplateKind::Topic).map_err(|error| format!("topic: {}", error.message))?;
        Ok(Self {
            topic: match topic.constant() {
                Some(name) => Topic::Fixed(ByteString::from(name.as_ref())),
                None => Topic::Template(topic),
            },
            key: action("key", &plan.key)?,
            value: action("value", &plan.value)?,
            timestamp: action("timestamp", &plan.timestamp)?,
            strategy: plan.partition_strategy,
            request_mode: plan.request_mode,
            sync_timeout: plan.sync_timeout.into(),
        })
    }

    /// The topic that is known without a record.
    pub(super) fn fixed_topic(&self) -> Option<&ByteString> {
        match &self.topic {
            Topic::Fixed(name) => Some(name),
            Topic::Template(_) => None,
        }
    }

    /// The Kafka topic and the record that an output becomes, handed to `take`. `Err` says why there can be none.
    pub(super) fn render<R>(
        &self,
        output: Output<'_>,
        origin: Origin<'_>,
        take: impl FnOnce(&str, Record<'_>) -> R,
    ) -> Result<R, String> {
        let mut scratch = SCRATCH.take();
        let taken = self.render_with(&mut scratch, output, origin).map(|(topic, record)| take(topic, record));
        SCRATCH.set(scratch);
        taken
    }

    fn render_with<'s>(
        &'s self,
        scratch: &'s mut Scratch,
        output: Output<'_>,
        origin: Origin<'s>,
    ) -> Result<(&'s str, Record<'s>), String> {
        let Scratch { key, value, timestamp: text, topic } = scratch;
        for buffer in [&mut *key, value, text, topic] {
            buffer.clear();
        }
        // Kafka's NULL stands for an empty key or value, and so for a variable that is not there.
        let key = or_null(&self.key, output, key).map_err(|error| format!("key: {error}"))?;
        let value = or_null(&self.value, output, value).map_err(|error| format!("value: {error}"))?;
        let timestamp = timestamp(&self.timestamp, output, text).unwrap_or_else(now_millis);
        let spread = match self.strategy {
            PartitionStrategy::Random => None,
            PartitionStrategy::KeyDispatch => key,
            PartitionStrategy::MqttTopic => Some(origin.topic.as_bytes()),
            PartitionStrategy::ClientId => Some(origin.client_id.as_bytes()),
        };
        let topic = match &self.topic {
            Topic::Fixed(name) => &**name,
            Topic::Template(template) => {
                template
                    .render(output, MissingPolicy::Error, topic)
                    .map(drop)
                    .map_err(|error| format!("topic: {error}"))?;
                let name =
                    std::str::from_utf8(topic).map_err(|_| "the rendered topic is not valid UTF-8".to_owned())?;
                legal_topic(name)?;
                name
            }
        };
        Ok((topic, Record { key, value, timestamp, spread: spread.map(murmur2) }))
    }
}

fn or_null<'s>(template: &Template, output: Output<'_>, out: &'s mut Vec<u8>) -> Result<Option<&'s [u8]>, RenderError> {
    // What is missing is empty.
    let _ = template.render(output, MissingPolicy::Empty, out)?;
    Ok((!out.is_empty()).then_some(out.as_slice()))
}

/// The milliseconds that a template says, if it says a whole number above zero: Kafka has no time before 1970, and 0 is what a
/// device without a clock sends. A number is not printed to be read again.
fn timestamp(template: &Template, output: Output<'_>, text: &mut Vec<u8>) -> Option<i64> {
    let millis = if let Some(Value::Int(millis)) = template.value(output) {
        i64::try_from(millis).ok()
    } else {
        std::str::from_utf8(or_null(template, output, text).ok()??).ok()?.parse().ok()
    };
    millis.filter(|millis| *millis > 0)
}

/// Kafka's rule for topic names (`org.apache.kafka.common.internals.Topic`).
fn legal_topic(name: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 249 || name == "." || name == ".." || !name.bytes().all(legal) {
        return Err(format!(
            "the rendered Kafka topic {name:?} is not legal: 1 to 249 letters, digits, '.', '_' and '-', and not . or .."
        ));
    }
    Ok(())
}
