//! FROM: topic filters, Sources and broker events told apart and checked.

use super::Checker;
use crate::diagnostic::{Diagnostic, nearest};
use crate::event::EventKind;
use crate::rule::{From, FromEntry};
use crate::sql::ast;
use crate::topic;

/// A name that rules of the reference system may carry although it never fires there either.
const NEVER: [&str; 2] = ["$events/message_published", "$events/message/published"];

impl FromEntry {
    /// The kind of event this entry brings.
    pub(super) fn kind(&self) -> EventKind {
        match &self.from {
            From::Filter(_) => EventKind::MessagePublish,
            From::Source(_) => EventKind::KafkaRecord,
            From::Event(kind) => *kind,
        }
    }
}

impl Checker<'_> {
    pub(super) fn from(&mut self, topics: &[ast::Topic]) -> Vec<FromEntry> {
        let mut entries = Vec::new();
        for topic in topics {
            for from in self.classify(topic) {
                entries.push(FromEntry { from, span: topic.span.clone() });
            }
        }
        entries
    }

    fn classify(&mut self, topic: &ast::Topic) -> Vec<From> {
        if let Err(error) = topic::validate_filter(&topic.text) {
            let message = format!("`{}` is not a topic filter: {error}", topic.text.escape_debug());
            self.findings.push(Diagnostic::error(topic.span.clone(), message));
            return Vec::new();
        }
        if topic.text.starts_with("$events/") {
            return self.events(topic);
        }
        match topic.text.strip_prefix("$bridges/").or_else(|| topic.text.strip_prefix("$sources/")) {
            Some(source) => self.source(source, topic),
            None => vec![From::Filter(topic.text.clone())],
        }
    }

    fn events(&mut self, topic: &ast::Topic) -> Vec<From> {
        if NEVER.contains(&topic.text.as_str()) {
            let message = format!("`{}` never fires", topic.text);
            self.findings.push(
                Diagnostic::warning(topic.span.clone(), message)
                    .with_help("select from a topic filter to get published messages, as in FROM \"t/#\""),
            );
            return vec![From::Filter(topic.text.clone())];
        }
        let kinds = EventKind::ALL.iter().filter(|kind| kind.topics().any(|name| topic::matches(&topic.text, name)));
        let found: Vec<From> = kinds.map(|kind| From::Event(*kind)).collect();
        if found.is_empty() {
            let names = EventKind::ALL.iter().flat_map(|kind| kind.topics());
            let help = match nearest(&topic.text, names) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => "events are named as in \"$events/client/connected\"".to_owned(),
            };
            self.error(&topic.span, format!("there is no event `{}`", topic.text), help);
        }
        found
    }

    fn source(&mut self, source: &str, topic: &ast::Topic) -> Vec<From> {
        match source.split_once(':') {
            Some(("kafka_consumer", name)) if !name.is_empty() && !name.contains(['+', '#', '/']) => {
                vec![From::Source(name.to_owned())]
            }
            Some(("kafka_consumer", _)) => {
                self.error(
                    &topic.span,
                    "the name of a Source is missing or has a wildcard",
                    "name one Source, as in \"$sources/kafka_consumer:commands\"",
                );
                Vec::new()
            }
            _ => {
                self.error(
                    &topic.span,
                    format!("`{}` does not name a Kafka Source", topic.text),
                    "write \"$sources/kafka_consumer:NAME\" with the name of a Source",
                );
                Vec::new()
            }
        }
    }
}
