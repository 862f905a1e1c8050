//! What a rule does with its output: hand it to a Sink, publish it, log it.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use isthmus_plan::document;
use isthmus_rules::{MissingPolicy, Output, Template, TemplateKind, topic};

use crate::message::{Message, MessageIds, Publisher, QoS, now_millis};
use crate::receipt::{Outcome, Tracker};
use crate::sink::{Origin, Sink, WriteError};

/// A compiled action.
#[derive(Debug)]
pub struct Action {
    /// Its name in the Rule.
    pub name: String,
    /// What it does.
    pub kind: Kind,
}

/// What an action does.
#[derive(Debug)]
pub enum Kind {
    /// Hands the output to a Sink.
    Sink(Arc<Sink>),
    /// Would hand it to the Sink of this name, which was deleted.
    Missing(String),
    /// Publishes it.
    Republish(Republish),
    /// Writes it to the log.
    Console,
}

/// A compiled republish action.
#[derive(Debug)]
pub struct Republish {
    topic: Template,
    payload: Template,
    qos: QoS,
    publisher: Arc<Publisher>,
    ids: MessageIds,
}

/// Why an action did not take an output.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The output cannot be made into what the action needs; it never could.
    #[error("{0}")]
    Rejected(String),
    /// The Sink did not take it.
    #[error(transparent)]
    Sink(#[from] WriteError),
    /// The Sink was deleted, the rule still names it.
    #[error("there is no Sink {0} any more: add it again, or take the action out of the rule")]
    Missing(String),
    /// Rules publish to each other without end.
    #[error("republished through {0} rules already: rules publish to each other in a circle")]
    Circle(usize),
}

impl ActionError {
    /// What the publisher of the message is told.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Rejected(_) | Self::Circle(_) | Self::Sink(WriteError::Rejected { .. }) => Outcome::Rejected,
            Self::Missing(_) => Outcome::Misconfigured,
            Self::Sink(WriteError::Full { .. }) => Outcome::QuotaExceeded,
            // Sent again, it meets the rules of now.
            Self::Sink(WriteError::Gone { .. }) => Outcome::Unavailable,
        }
    }
}

impl Republish {
    /// Compiles a republish action of `rule`.
    pub fn compile(rule: &str, spec: &isthmus_api::rule::Republish) -> Result<Self, String> {
        let payload = if spec.payload.is_empty() { "${.}" } else { &spec.payload };
        let compile = |text: &str| Template::compile(text, TemplateKind::Topic).map_err(|error| error.message);
        Ok(Self {
            topic: compile(&spec.topic)?,
            payload: compile(payload)?,
            qos: if spec.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce },
            publisher: Arc::new(Publisher { client_id: ByteString::from(rule), username: None, peer: None }),
            ids: MessageIds::new(),
        })
    }

    /// The message that an output becomes.
    pub fn message(&self, output: Output<'_>) -> Result<Message, ActionError> {
        let render = |template: &Template| {
            let mut text = Vec::new();
            // A variable that is not there prints as `undefined`, as in the reference system.
            template
                .render(output, MissingPolicy::Undefined, &mut text)
                .map(|_| text)
                .map_err(|error| ActionError::Rejected(error.to_string()))
        };
        let topic = ByteString::try_from(render(&self.topic)?)
            .map_err(|_| ActionError::Rejected("the rendered topic is not valid UTF-8".into()))?;
        topic::validate_topic(&topic)
            .map_err(|error| ActionError::Rejected(format!("the rendered topic {topic:?} is not legal: {error}")))?;
        let received_at = now_millis();
        Ok(Message {
            id: self.ids.next(received_at),
            topic,
            payload: Bytes::from(render(&self.payload)?),
            qos: self.qos,
            dup: false,
            retain: false,
            publisher: Arc::clone(&self.publisher),
            properties: None,
            received_at,
        })
    }
}

impl Action {
    /// Compiles an action of `rule`; `sinks` finds a running Sink by name.
    pub fn compile(
        rule: &str,
        action: &document::Action,
        sinks: impl Fn(&str) -> Option<Arc<Sink>>,
    ) -> Result<Self, String> {
        let kind = match &action.kind {
            document::ActionKind::Sink(name) => {
                Kind::Sink(sinks(name).ok_or_else(|| format!("the plan has no Sink {name}"))?)
            }
            document::ActionKind::Missing(name) => Kind::Missing(name.clone()),
            document::ActionKind::Republish(spec) => Kind::Republish(Republish::compile(rule, spec)?),
            document::ActionKind::Console => Kind::Console,
        };
        Ok(Self { name: action.name.clone(), kind })
    }

    /// Hands an output to a Sink or the log; `publish` is called for a message to publish.
    pub fn run(
        &self,
        rule: &str,
        output: Output<'_>,
        origin: Origin<'_>,
        tracker: Option<&mut Tracker<'_>>,
        publish: impl FnOnce(&Message, Option<&mut Tracker<'_>>) -> Result<(), ActionError>,
    ) -> Result<(), ActionError> {
        match &self.kind {
            Kind::Sink(sink) => Ok(sink.write(output, origin, tracker)?),
            Kind::Missing(sink) => Err(ActionError::Missing(sink.clone())),
            Kind::Republish(republish) => publish(&republish.message(output)?, tracker),
            Kind::Console => {
                let mut json = Vec::new();
                // For people to read: bytes that are no text show as U+FFFD.
                let _ = output.write_json(&mut json);
                tracing::info!(target: "isthmus::console", rule, action = self.name, "{}", String::from_utf8_lossy(&json));
                if let Some(tracker) = tracker {
                    tracker.settle(Outcome::Safe);
                }
                Ok(())
            }
        }
    }
}
